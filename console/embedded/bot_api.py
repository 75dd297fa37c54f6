"""A stand-in for Telegram's Bot API on the loopback: it answers as the real one does and keeps what it got.

`python -m console.embedded.bot_api --port 8081 --record messages.jsonl` runs it alone. GET /messages lists
the messages that were accepted, GET /requests everything that was asked; POST /behave sets how the next
requests end:

    {"mode": "flood", "retry_after": 3, "times": 2, "chat_id": 42}

`times` and `chat_id` are optional: without them the mode stays, and holds for every chat.
"""

import argparse
import json
import re
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

MAX_BODY_BYTES = 10 * 1024 * 1024
LONGEST_TEXT = 4096

#: The real API's words for each way to fail: (status, description).
FAILURES = {
    "flood": (429, "Too Many Requests: retry after {retry_after}"),
    "blocked": (403, "Forbidden: bot was blocked by the user"),
    "deactivated": (403, "Forbidden: user is deactivated"),
    "chat_not_found": (400, "Bad Request: chat not found"),
    "cannot_parse": (400, "Bad Request: can't parse entities: Unsupported start tag"),
    "error": (502, "Bad Gateway"),
    "unauthorized": (401, "Unauthorized"),
}
#: What changes nothing that the stand-in keeps.
SILENT = frozenset({"answercallbackquery", "editmessagetext", "editmessagereplymarkup", "setwebhook"})
TAGS = frozenset({"b", "strong", "i", "em", "u", "s", "a", "code", "pre", "blockquote", "tg-spoiler"})
TAG = re.compile(r"<(/?)([^\s>/]*)[^>]*>?")

#: Ways to fail below the API: no answer, a connection reset after the message was taken, a proxy's page.
BREAKDOWNS = ("hang", "reset_after_accept", "html")


@dataclass
class Behaviour:
    """How requests end: `mode` is "ok", a key of FAILURES or one of BREAKDOWNS."""

    mode: str = "ok"
    #: Requests it holds for; None is all.
    times: int | None = None
    #: The chat it holds for; None is every one.
    chat_id: int | None = None
    retry_after: int = 1
    latency_seconds: float = 0.0


@dataclass
class Message:
    """A message that the stand-in accepted."""

    message_id: int
    chat_id: int | str
    text: str
    method: str
    received_at: str
    parameters: dict[str, Any] = field(default_factory=dict)


class BotApi:
    """The server, in threads of this process. `record` is a file that gets one JSON line a message."""

    def __init__(self, port: int = 0, record: Path | None = None) -> None:
        self.record = record
        self.messages: list[Message] = []
        self.requests: list[dict[str, Any]] = []
        self.behaviours: list[Behaviour] = []
        #: Messages a second and seconds between two to a chat; 0 is no limit.
        self.per_second, self.chat_seconds = 0, 0.0
        self._times: deque[float] = deque()
        self._last_to: dict[str, float] = {}
        self._lock = threading.Lock()
        self._released = threading.Event()
        handler = type("Handler", (_Handler,), {"api": self})
        self._server = _Server(("127.0.0.1", port), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def start(self) -> "BotApi":
        self._thread.start()
        return self

    def stop(self) -> None:
        self._released.set()
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def __enter__(self) -> "BotApi":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def behave(self, mode: str = "ok", **how: Any) -> None:
        """From now on requests end in this way; see Behaviour. `behave()` is back to normal."""
        if mode != "ok" and mode not in FAILURES and mode not in BREAKDOWNS:
            raise ValueError(f"no such mode: {mode}")
        with self._lock:
            if mode == "ok" and not how:
                self.behaviours.clear()
                self._released.set()
                self._released = threading.Event()
            else:
                self.behaviours.insert(0, Behaviour(mode, **how))

    def clear(self) -> None:
        """Forgets what was received and how to fail."""
        self.behave()
        with self._lock:
            self.messages.clear()
            self.requests.clear()

    def _behaviour(self, chat_id: int | str | None) -> Behaviour:
        with self._lock:
            for behaviour in self.behaviours:
                if behaviour.chat_id is not None and str(behaviour.chat_id) != str(chat_id):
                    continue
                if behaviour.times is not None:
                    behaviour.times -= 1
                    if behaviour.times <= 0:
                        self.behaviours.remove(behaviour)
                return behaviour
        return Behaviour()

    def call(self, method: str, parameters: dict[str, Any]) -> tuple[int, dict[str, Any]] | str:
        """The status and body of a Bot API answer, or the name of the breakdown."""
        chat_id = parameters.get("chat_id")
        with self._lock:
            self.requests.append({"method": method, "parameters": parameters})
        behaviour = self._behaviour(chat_id)
        if behaviour.latency_seconds:
            time.sleep(behaviour.latency_seconds)
        if behaviour.mode in FAILURES:
            status, description = FAILURES[behaviour.mode]
            extra = (
                {"parameters": {"retry_after": behaviour.retry_after}} if behaviour.mode == "flood" else {}
            )
            return _failure(status, description.format(retry_after=behaviour.retry_after), **extra)
        if behaviour.mode == "hang":
            self._released.wait(60)
        if behaviour.mode in ("hang", "html"):
            return behaviour.mode
        answer = self._answer(method, parameters)
        return behaviour.mode if behaviour.mode == "reset_after_accept" else answer

    def _answer(self, method: str, parameters: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        name = method.lower()
        if name == "getme":
            bot = {"id": 1, "is_bot": True, "first_name": "Crewdeck", "username": "crewdeck_stand_in_bot"}
            return 200, {"ok": True, "result": bot}
        if name in SILENT:
            return 200, {"ok": True, "result": True}
        if name not in ("sendmessage", "sendphoto", "senddocument"):
            return _failure(404, "Not Found")
        chat_id: Any = parameters.get("chat_id")
        text = str(parameters.get("text", parameters.get("caption", "")))
        if wrong := _wrong(name, chat_id, text, parameters.get("parse_mode")):
            return _failure(400, f"Bad Request: {wrong}")
        if wait := self._too_many(str(chat_id)):
            return _failure(429, f"Too Many Requests: retry after {wait}", parameters={"retry_after": wait})
        return 200, {"ok": True, "result": self._accept(method, chat_id, text, parameters)}

    def _too_many(self, chat_id: str) -> int:
        """The seconds to wait when a message exceeds the limits within any second, else 0."""
        now = time.monotonic()
        with self._lock:
            while self._times and now - self._times[0] >= 1:
                self._times.popleft()
            since = now - self._last_to.get(chat_id, -self.chat_seconds)
            if since < self.chat_seconds or (self.per_second and len(self._times) >= self.per_second):
                return 1
            self._times.append(now)
            self._last_to[chat_id] = now
        return 0

    def _accept(
        self, method: str, chat_id: int | str, text: str, parameters: dict[str, Any]
    ) -> dict[str, Any]:
        with suppress(ValueError):
            chat_id = int(chat_id)
        now = datetime.now(UTC)
        with self._lock:
            message = Message(len(self.messages) + 1, chat_id, text, method, now.isoformat(), parameters)
            self.messages.append(message)
            if self.record is not None:
                with self.record.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(message), ensure_ascii=False) + "\n")
        return {
            "message_id": message.message_id,
            "date": int(now.timestamp()),
            "chat": {"id": chat_id, "type": "private"},
            "text": text,
        }


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing of clients that went away: killing them is what the stand-in is there for."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """/bot<token>/<method> as the Bot API has it, and the stand-in's own three addresses."""

    api: BotApi
    protocol_version = "HTTP/1.1"
    #: An idle connection is closed after this, so that its thread ends.
    timeout = 60

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/messages":
            self._send(200, [asdict(message) for message in self.api.messages])
        elif path == "/requests":
            self._send(200, list(self.api.requests))
        else:
            self._bot_api(dict(parse_qsl(urlsplit(self.path).query)))

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > MAX_BODY_BYTES:
            self.close_connection = True
            self._send(413, {"ok": False, "error_code": 413, "description": "Request Entity Too Large"})
            return
        parameters = _parameters(self.rfile.read(length), self.headers.get("Content-Type", "").lower())
        if urlsplit(self.path).path == "/behave":
            try:
                self.api.behave(**parameters)
            except (TypeError, ValueError) as error:
                self._send(400, {"ok": False, "description": str(error)})
            else:
                self._send(200, {"ok": True})
        else:
            self._bot_api(parameters)

    def _bot_api(self, parameters: dict[str, Any]) -> None:
        parts = urlsplit(self.path).path.strip("/").split("/")
        if len(parts) != 2 or not parts[0].startswith("bot") or len(parts[0]) < 4:
            self._send(*_failure(404, "Not Found"))
            return
        answer = self.api.call(parts[1], parameters)
        if isinstance(answer, tuple):
            self._send(*answer)
            return
        self.close_connection = True
        if answer == "html":
            self._send_bytes(502, b"<html><body><h1>502 Bad Gateway</h1></body></html>", "text/html")

    def _send(self, status: int, body: Any) -> None:
        self._send_bytes(status, json.dumps(body, ensure_ascii=False).encode(), "application/json")

    def _send_bytes(self, status: int, body: bytes, content_type: str) -> None:
        # The other side may have given up waiting.
        with suppress(ConnectionError):
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Says nothing: the address of a request holds the token."""


def _parameters(body: bytes, content_type: str) -> dict[str, Any]:
    """The parameters of a request, as JSON or as a form; of an upload, only that there was one."""
    if "json" in content_type:
        try:
            found = json.loads(body or b"{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}
    if "multipart" in content_type:
        return {"multipart_bytes": len(body)}
    return dict(parse_qsl(body.decode("utf-8", "replace")))


def _wrong(method: str, chat_id: Any, text: str, parse_mode: Any) -> str:
    """What the real one refuses a message for; empty when it takes it."""
    if chat_id in (None, ""):
        return "chat_id is empty"
    if method == "sendmessage" and not text.strip():
        return "message text is empty"
    if len(text) > LONGEST_TEXT:
        return "message is too long"
    wrong = _wrong_tag(text) if parse_mode == "HTML" else ""
    return f"can't parse entities: {wrong}" if wrong else ""


def _wrong_tag(text: str) -> str:
    """What the real one finds wrong with the HTML of a message; empty when it is right."""
    opened: list[str] = []
    for closing, name in TAG.findall(text):
        if name.lower() not in TAGS:
            return f'Unsupported start tag "{name}"'
        if not closing:
            opened.append(name)
        elif not opened or opened.pop() != name:
            return f'Unexpected end tag "{name}"'
    return f'Can\'t find end tag corresponding to start tag "{opened[-1]}"' if opened else ""


def _failure(status: int, description: str, **extra: Any) -> tuple[int, dict[str, Any]]:
    return status, {"ok": False, "error_code": status, "description": description, **extra}


def main() -> None:
    parser = argparse.ArgumentParser(description="A stand-in for Telegram's Bot API on the loopback.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--record", type=Path, help="a file that gets one JSON line a message")
    arguments = parser.parse_args()
    with BotApi(arguments.port, arguments.record) as api:
        print(api.url, flush=True)
        with suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
