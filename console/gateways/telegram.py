"""Telegram's Bot API: calls one method, and says why it could not."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from console import config

#: From the first byte sent to the last one read; whatever hangs in between.
DEADLINE_SECONDS = 5.0
CONNECTIONS = 150
MAX_ANSWER_BYTES = 64 * 1024
#: A flood wait longer than this is a bug of the other side, or an attack through a proxy.
MAX_WAIT_SECONDS = 3600.0
LONGEST_TEXT = 4096


class TelegramError(Exception):
    """The message did not go out; the text says why, without the token."""


class Unreachable(TelegramError):
    """This chat cannot be written to: the bot is blocked, or there is no such chat. No use to try again."""


class CannotParse(TelegramError):
    """The Bot API does not understand the HTML or takes no such button: the plain text may still go."""


class Refused(TelegramError):
    """The Bot API refuses this message, and will refuse it again."""


class Unavailable(TelegramError):
    """The Bot API did not answer as it should: later it may."""


class Flood(TelegramError):
    """Too many messages: wait `retry_after` seconds."""

    def __init__(self, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__(f"Telegram asks to wait {retry_after:g} s")


@dataclass(frozen=True)
class Button:
    """A button below a message: it opens `url`, or sends `data` back to the bot."""

    label: str
    url: str | None = None
    data: str | None = None


Keyboard = Sequence[Sequence[Button]]


def message(chat_id: int, text: str, *, html: bool = True, keyboard: Keyboard = ()) -> dict[str, Any]:
    """The parameters of a message, for `sendMessage` and `editMessageText`."""
    parameters: dict[str, Any] = {
        "chat_id": chat_id,
        "text": text,
        "link_preview_options": {"is_disabled": True},
    }
    if keyboard:
        parameters["reply_markup"] = {"inline_keyboard": [[_button(one) for one in row] for row in keyboard]}
    if html:
        parameters["parse_mode"] = "HTML"
    return parameters


def _button(button: Button) -> dict[str, str]:
    if button.url is not None:
        return {"text": button.label, "url": button.url}
    return {"text": button.label, "callback_data": button.data or ""}


@dataclass(frozen=True)
class Bot:
    """The bot with its open connections."""

    client: aiohttp.ClientSession
    address: str

    async def send(
        self,
        chat_id: int,
        text: str,
        *,
        html: bool = True,
        keyboard: Keyboard = (),
        written: Callable[[], None] | None = None,
    ) -> None:
        """Sends a message. Raises a TelegramError within DEADLINE_SECONDS."""
        await self.call("sendMessage", message(chat_id, text, html=html, keyboard=keyboard), written=written)

    async def call(
        self, method: str, parameters: Mapping[str, Any], *, written: Callable[[], None] | None = None
    ) -> None:
        """Calls a method of the Bot API. Raises a TelegramError within DEADLINE_SECONDS.

        `written` is called at the moment the request goes out, a connection being there.
        """
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                status, answer = await self._post(method, parameters, written)
        except TimeoutError:
            raise Unavailable(f"Telegram did not answer within {DEADLINE_SECONDS:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # The error's own text may hold the address, and that the token.
            raise Unavailable(f"Telegram cannot be reached ({type(error).__name__})") from None
        _judge(status, answer)

    async def _post(
        self, method: str, parameters: Mapping[str, Any], written: Callable[[], None] | None
    ) -> tuple[int, dict[str, Any]]:
        async with self.client.post(
            f"{self.address}/{method}", json=parameters, trace_request_ctx=written
        ) as response:
            body = await response.content.read(MAX_ANSWER_BYTES)
            while part := await response.content.read(MAX_ANSWER_BYTES):
                body += part
                if len(body) > MAX_ANSWER_BYTES:
                    raise ValueError("too long")
            try:
                answer = json.loads(body)
            except ValueError:
                answer = None
            return response.status, answer if isinstance(answer, dict) else {}


def _judge(status: int, answer: Mapping[str, Any]) -> None:
    if status == 200 and answer.get("ok") is True:
        return
    said = str(answer.get("description") or "")
    if status == 429:
        raise Flood(_retry_after(answer))
    plain = said.lower()
    if status == 403 or (status == 400 and ("chat not found" in plain or "user not found" in plain)):
        raise Unreachable(said or "the chat cannot be written to")
    if status == 400 and ("can't parse" in plain or "button" in plain):
        raise CannotParse(said)
    if status == 400 and said:
        raise Refused(said)
    # 401 and 404 are a wrong token: nothing is lost while somebody sets it right.
    raise Unavailable(f"Telegram answered {status}" + (f": {said}" if said else ""))


def _retry_after(answer: Mapping[str, Any]) -> float:
    parameters = answer.get("parameters")
    value = parameters.get("retry_after") if isinstance(parameters, dict) else None
    return min(float(value), MAX_WAIT_SECONDS) if isinstance(value, int | float) and value > 0 else 1.0


async def _tell_written(_session: Any, context: Any, _parameters: Any) -> None:
    written = context.trace_request_ctx
    if written is not None:
        written()


@asynccontextmanager
async def bot() -> AsyncIterator[Bot]:
    """The bot of the settings TELEGRAM_BOT_TOKEN and TELEGRAM_API_BASE, with its own connections."""
    settings = config.current()
    connector = aiohttp.TCPConnector(limit=CONNECTIONS, ttl_dns_cache=300)
    # Each call has its own deadline, which covers the wait for a connection, too.
    timeout = aiohttp.ClientTimeout(total=None)
    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(_tell_written)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, trace_configs=[trace]) as client:
        yield Bot(client, f"{settings.telegram_api_base}/bot{settings.telegram_bot_token}")
