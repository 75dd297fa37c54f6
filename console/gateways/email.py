"""E-mail by the setting SMTP_URL: `smtp://user:password@host:port/?from=address`, `smtps:`."""

import smtplib
import ssl
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from urllib.parse import parse_qs, unquote, urlsplit

from console import config

#: Of each step of the conversation.
TIMEOUT_SECONDS = 10.0


class EmailError(Exception):
    """The message did not go out; the text says why."""


class Refused(EmailError):
    """The server refuses this message or address, and will refuse it again."""


class Unavailable(EmailError):
    """The server cannot take it now: later it may."""


def send(to: str, *, subject: str, text: str, html: str, message_id: str) -> None:
    """Sends a message in plain text and HTML. Blocks; raises an EmailError.

    `message_id` is the same at each attempt, so that a mailbox can see a repetition.
    """
    settings = config.current()
    url = urlsplit(settings.smtp_url)
    host = url.hostname or "localhost"
    message = _message(to, subject=subject, text=text, html=html, message_id=message_id)
    try:
        with _connection(url.scheme == "smtps", host, url.port) as server:
            if url.username:
                server.login(unquote(url.username), unquote(url.password or ""))
            server.send_message(message)
    except smtplib.SMTPRecipientsRefused as error:
        code, said = next(iter(error.recipients.values()))
        raise _judged(code, said) from error
    except smtplib.SMTPResponseException as error:
        raise _judged(error.smtp_code, error.smtp_error) from error
    except (smtplib.SMTPException, OSError) as error:
        raise Unavailable(f"the mail server cannot be reached ({type(error).__name__})") from error


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
    message = EmailMessage()
    message["From"] = query.get("from", [f"crewdeck@{site}"])[0]
    message["To"] = to
    message["Subject"] = subject
    message["Message-ID"] = f"<{message_id}@{site}>"
    # Nobody's out-of-office reply should answer a machine.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    message.add_alternative("<p>" + html.replace("\n", "<br>") + "</p>", subtype="html")
    return message


def _connection(encrypted: bool, host: str, port: int | None) -> smtplib.SMTP:
    context = ssl.create_default_context()
    if encrypted:
        return smtplib.SMTP_SSL(host, port or 465, timeout=TIMEOUT_SECONDS, context=context)
    server = smtplib.SMTP(host, port or 25, timeout=TIMEOUT_SECONDS)
    try:
        server.ehlo()
        if server.has_extn("starttls"):
            server.starttls(context=context)
    except BaseException:
        server.close()
        raise
    return server


def _judged(code: int, said: bytes | str) -> EmailError:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    reason = f"the mail server answered {code}: {' '.join(text.split())[:200]}"
    return Refused(reason) if code >= 500 else Unavailable(reason)
