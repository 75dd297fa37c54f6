"""E-mail by the setting SMTP_URL: `smtp://user:password@host:port/?from=address`, `smtps:`."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from urllib.parse import parse_qs, unquote, urlsplit

import aiosmtplib

from console import config

#: From the first byte sent to the last answer, the connection included; whatever hangs in between.
DEADLINE_SECONDS = 20.0
#: Conversations at the same time: few mail servers take more from one client.
CONNECTIONS = 10
#: A server that does not answer is left alone for so long.
AWAY_SECONDS = 10.0
#: Around the rich body: a narrow column in the reader's own sans-serif, light or dark as their program is.
SHEET = (
    '<!doctype html><html><head><meta charset="utf-8"><meta name="color-scheme" content="light dark"></head>'
    '<body style="margin:0;padding:24px 16px"><div style="max-width:560px;margin:0 auto;'
    'overflow-wrap:anywhere;font:15px/1.55 -apple-system,Segoe UI,Roboto,Helvetica,Arial,sans-serif">'
    "{}</div></body></html>"
)


class EmailError(Exception):
    """The message did not go out; the text says why."""


class Refused(EmailError):
    """The server refuses this message or address, and will refuse it again."""


class Unavailable(EmailError):
    """The server cannot take it now: later it may."""


class Away(Unavailable):
    """The server does not answer at all: who comes after would only wait as long."""


@dataclass(frozen=True)
class Post:
    """The mail server with the connections that are open and free."""

    _free: list[aiosmtplib.SMTP] = field(default_factory=list)
    _places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CONNECTIONS))

    async def send(
        self,
        to: str,
        *,
        subject: str,
        text: str,
        html: str,
        message_id: str,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """Sends a message in plain text and HTML. Raises an EmailError within DEADLINE_SECONDS of its turn.

        `message_id` is the same at each attempt, so that a mailbox can see a repetition. `check` is asked
        when it is the message's turn; what it raises is passed on.
        """
        message = _message(to, subject=subject, text=text, html=html, message_id=message_id)
        async with self._places:
            check()
            server = self._free.pop() if self._free else _server()
            try:
                async with asyncio.timeout(DEADLINE_SECONDS):
                    await _hand_over(server, message)
            except TimeoutError:
                server.close()
                raise Away(f"the mail server did not answer within {DEADLINE_SECONDS:g} s") from None
            except aiosmtplib.SMTPRecipientsRefused as error:
                server.close()
                refused = error.recipients[0]
                raise _judged(refused.code, refused.message) from error
            except aiosmtplib.SMTPResponseException as error:
                server.close()
                raise _judged(error.code, error.message) from error
            except (aiosmtplib.SMTPConnectError, aiosmtplib.SMTPTimeoutError) as error:
                server.close()
                raise Away(f"the mail server cannot be reached ({type(error).__name__})") from error
            except (aiosmtplib.SMTPException, OSError, ValueError) as error:
                server.close()
                raise Unavailable(f"the mail server cannot be reached ({type(error).__name__})") from error
            except BaseException:
                server.close()
                raise
            self._free.append(server)


async def _hand_over(server: aiosmtplib.SMTP, message: EmailMessage) -> None:
    if server.is_connected:
        # A server may have closed a connection that was idle: nothing has been said on it yet.
        try:
            await server.rset()
        except aiosmtplib.SMTPException:
            server.close()
    if not server.is_connected:
        await server.connect()
    await server.send_message(message)


@asynccontextmanager
async def post() -> AsyncIterator[Post]:
    """The mail server of the setting SMTP_URL; its connections close at the end."""
    opened = Post()
    try:
        yield opened
    finally:
        for server in opened._free:
            with suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
                async with asyncio.timeout(1):
                    await server.quit()
            server.close()


def deliverable(address: str | None) -> bool:
    """Whether it is one plain address: nothing that could add a recipient or a header."""
    if not address or len(address) > 254 or not address.isascii():
        return False
    try:
        parsed = Address(addr_spec=address)
    except (ValueError, IndexError, MessageError):
        return False
    return bool(parsed.username and parsed.domain) and not any(c in address for c in "\r\n ,;<>")


def _message(to: str, *, subject: str, text: str, html: str, message_id: str) -> EmailMessage:
    if not deliverable(to):
        raise Refused("this is not an address mail can be sent to")
    settings = config.current()
    site = urlsplit(settings.public_url).hostname or "localhost"
    query = parse_qs(urlsplit(settings.smtp_url).query)
    message = EmailMessage(policy=SMTP)
    message["From"] = query.get("from", [f"crewdeck@{site}"])[0]
    message["To"] = to
    message["Subject"] = subject
    message["Message-ID"] = f"<{message_id}@{site}>"
    # Nobody's out-of-office reply should answer a machine.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    message.add_alternative(SHEET.replace("{}", html.replace("\n", "<br>")), subtype="html")
    return message


def _server() -> aiosmtplib.SMTP:
    url = urlsplit(config.current().smtp_url)
    encrypted = url.scheme == "smtps"
    return aiosmtplib.SMTP(
        hostname=url.hostname or "localhost",
        port=url.port or (465 if encrypted else 25),
        username=unquote(url.username) if url.username else None,
        password=unquote(url.password or "") if url.username else None,
        use_tls=encrypted,
        # Encrypted whenever the server can.
        start_tls=False if encrypted else None,
        tls_context=ssl.create_default_context(),
        # The deadline is that of the whole conversation.
        timeout=DEADLINE_SECONDS,
    )


def _judged(code: int, said: bytes | str) -> EmailError:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    reason = f"the mail server answered {code}: {' '.join(text.split())[:200]}"
    # Without a code, or below 400, the other side does not speak SMTP.
    return Refused(reason) if 500 <= code < 600 else Unavailable(reason)
