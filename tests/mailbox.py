"""A mail server on the loopback that keeps what it got, and fails in every way a real one does."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller


class Mailbox:
    """A handler of aiosmtpd. `answer` is what DATA is answered, `to` what a recipient is."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.url = ""
        self.clear()

    def clear(self) -> None:
        self.answer, self.to = "250 OK", "250 OK"
        #: "drop" takes the message and cuts the connection; "hang" takes it and says nothing.
        self.breakdown = ""

    @property
    def parsed(self) -> list[EmailMessage]:
        return [message_from_bytes(one.content, policy=policy.default) for one in self.messages]  # type: ignore[misc]

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, _: Any) -> str:  # noqa: N802
        if self.to.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.to

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.answer.startswith("250"):
            envelope.session_peer = session.peer
            self.messages.append(envelope)
        if self.breakdown == "drop":
            server.transport.abort()
        if self.breakdown == "hang":
            await asyncio.sleep(3600)
        return self.answer


@contextmanager
def mail_server() -> Iterator[Mailbox]:
    box = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    box.url = f"smtp://127.0.0.1:{port}"
    try:
        yield box
    finally:
        controller.stop()
