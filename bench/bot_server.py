"""A Bot API that does nothing but answer after a while: as little as a server can cost, in its own process.

`python -m bench.bot_server --latency 0.05 [--per-second 30 --chat-seconds 1] [--flood-every N]` prints its
address; GET /stats tells what it saw, GET /clear forgets it. With limits it answers 429 to whatever exceeds
them within any second, as the real one does.
"""

import argparse
import asyncio
import json
import re
import signal
import time
from collections import deque
from contextlib import suppress

ACCEPTED = b'{"ok":true,"result":{"message_id":1,"date":1,"chat":{"id":1,"type":"private"}}}'
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
CHAT = re.compile(rb'"chat_id": ?(-?\d+)')


class Limits:
    """What was accepted when, and what is too much."""

    def __init__(self, per_second: int, chat_seconds: float, flood_every: int) -> None:
        self.per_second, self.chat_seconds, self.flood_every = per_second, chat_seconds, flood_every
        self.clear()

    def clear(self) -> None:
        self.times: deque[float] = deque()
        self.chats: dict[int, float] = {}
        self.received: dict[int, int] = {}
        self.requests = self.accepted = self.floods = 0
        self.first = self.last = self.silent_until = 0.0
        #: Requests that came although silence was asked for.
        self.broken_silences = 0
        self.arrivals: list[float] = []

    def judge(self, chat_id: int) -> int:
        """0, or how long to wait."""
        now = time.monotonic()
        self.requests += 1
        if now < self.silent_until:
            self.broken_silences += 1
        while self.times and now - self.times[0] >= 1:
            self.times.popleft()
        too_many = self.per_second and len(self.times) >= self.per_second
        too_soon = self.chat_seconds and now - self.chats.get(chat_id, -10) < self.chat_seconds
        chance = self.flood_every and self.requests % self.flood_every == 0
        if too_many or too_soon or chance:
            self.floods += 1
            # On their way already: no later than what the latency and a hiccup explain.
            self.silent_until = now + 1 if now >= self.silent_until else self.silent_until
            return 1
        self.times.append(now)
        self.chats[chat_id] = now
        self.accepted += 1
        self.received[chat_id] = self.received.get(chat_id, 0) + 1
        self.first, self.last = self.first or now, now
        self.arrivals.append(now)
        return 0

    def stats(self) -> dict[str, float]:
        return {
            "requests": self.requests,
            "accepted": self.accepted,
            "floods": self.floods,
            "chats": len(self.received),
            "most": max(self.received.values(), default=0),
            "first": self.first,
            "last": self.last,
            "broken_silences": self.broken_silences,
        }


class Connection(asyncio.Protocol):
    def __init__(self, limits: Limits, latency: float) -> None:
        self.limits, self.latency, self.buffer = limits, latency, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end]
            found = LENGTH.search(head)
            length = int(found[1]) if found else 0
            if len(self.buffer) < end + 4 + length:
                return
            body, self.buffer = self.buffer[end + 4 : end + 4 + length], self.buffer[end + 4 + length :]
            self.answer(head, body)

    def answer(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"GET /stats"):
            self.write(b"200 OK", json.dumps(self.limits.stats()).encode())
        elif head.startswith(b"GET /arrivals"):
            self.write(b"200 OK", json.dumps(self.limits.arrivals).encode())
        elif head.startswith(b"GET /clear"):
            self.limits.clear()
            self.write(b"200 OK", b"{}")
        else:
            chat = CHAT.search(body)
            wait = self.limits.judge(int(chat[1]) if chat else 0)
            told = b"200 OK", ACCEPTED
            if wait:
                said = {
                    "ok": False,
                    "error_code": 429,
                    "description": f"Too Many Requests: retry after {wait}",
                }
                told = (
                    b"429 Too Many Requests",
                    json.dumps({**said, "parameters": {"retry_after": wait}}).encode(),
                )
            asyncio.get_running_loop().call_later(self.latency, self.write, *told)

    def write(self, status: bytes, body: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(
                b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                % (status, len(body), body)
            )


async def serve(arguments: argparse.Namespace) -> None:
    limits = Limits(arguments.per_second, arguments.chat_seconds, arguments.flood_every)
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(limits, arguments.latency), "127.0.0.1", 0, backlog=1024
    )
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--latency", type=float, default=0.05)
    parser.add_argument("--per-second", type=int, default=0)
    parser.add_argument("--chat-seconds", type=float, default=0)
    parser.add_argument("--flood-every", type=int, default=0)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
