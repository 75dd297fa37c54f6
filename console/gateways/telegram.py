"""Telegram's Bot API: sends one message, and says why it could not."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx

from console import config

#: From the first byte sent to the last one read; whatever hangs in between.
DEADLINE_SECONDS = 5.0
CONNECTIONS = 50
MAX_ANSWER_BYTES = 64 * 1024
#: A flood wait longer than this is a bug of the other side, or an attack through a proxy.
MAX_WAIT_SECONDS = 3600.0


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


@dataclass
class Bot:
    """The bot with its open connections. When told to wait, it waits for every chat."""

    client: httpx.AsyncClient
    address: str
    _waits_until: float = field(default=0.0, init=False)

    async def send(
        self, chat_id: int, text: str, *, html: bool = True, button: tuple[str, str] | None = None
    ) -> None:
        """Sends a message, with a `button` (label, address) below it.

        Raises a TelegramError within DEADLINE_SECONDS.
        """
        wait = self._waits_until - time.monotonic()
        if wait > 0:
            raise Flood(wait)
        parameters: dict[str, object] = {
            "chat_id": chat_id,
            "text": text,
            "link_preview_options": {"is_disabled": True},
        }
        if button:
            label, address = button
            parameters["reply_markup"] = {"inline_keyboard": [[{"text": label, "url": address}]]}
        if html:
            parameters["parse_mode"] = "HTML"
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                status, answer = await self._post("sendMessage", parameters)
        except TimeoutError:
            raise Unavailable(f"Telegram did not answer within {DEADLINE_SECONDS:g} s") from None
        except (httpx.HTTPError, OSError) as error:
            # The error's own text may hold the address, and that the token.
            raise Unavailable(f"Telegram cannot be reached ({type(error).__name__})") from None
        self._judge(status, answer)

    async def _post(self, method: str, parameters: dict[str, object]) -> tuple[int, dict[str, object]]:
        async with self.client.stream("POST", f"{self.address}/{method}", json=parameters) as response:
            body = b""
            async for part in response.aiter_bytes():
                body += part
                if len(body) > MAX_ANSWER_BYTES:
                    raise httpx.DecodingError("too long")
            try:
                answer = json.loads(body)
            except ValueError:
                answer = None
            return response.status_code, answer if isinstance(answer, dict) else {}

    def _judge(self, status: int, answer: dict[str, object]) -> None:
        if status == 200 and answer.get("ok") is True:
            return
        said = str(answer.get("description") or "")
        if status == 429:
            wait = _retry_after(answer)
            self._waits_until = time.monotonic() + wait
            raise Flood(wait)
        plain = said.lower()
        if status == 403 or (status == 400 and ("chat not found" in plain or "user not found" in plain)):
            raise Unreachable(said or "the chat cannot be written to")
        if status == 400 and ("can't parse" in plain or "button" in plain):
            raise CannotParse(said)
        if status == 400 and said:
            raise Refused(said)
        # 401 and 404 are a wrong token: nothing is lost while somebody sets it right.
        raise Unavailable(f"Telegram answered {status}" + (f": {said}" if said else ""))


def _retry_after(answer: dict[str, object]) -> float:
    parameters = answer.get("parameters")
    value = parameters.get("retry_after") if isinstance(parameters, dict) else None
    return min(float(value), MAX_WAIT_SECONDS) if isinstance(value, int | float) and value > 0 else 1.0


@asynccontextmanager
async def bot() -> AsyncIterator[Bot]:
    """The bot of the settings TELEGRAM_BOT_TOKEN and TELEGRAM_API_BASE, with its own connections."""
    settings = config.current()
    limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    async with httpx.AsyncClient(timeout=DEADLINE_SECONDS, limits=limits, trust_env=False) as client:
        yield Bot(client, f"{settings.telegram_api_base}/bot{settings.telegram_bot_token}")
