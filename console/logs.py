"""Logging: one line an event, to standard error, without secrets."""

import logging
import re

from flask import Flask

#: The bot token stands in the Bot API's addresses, passwords in the addresses of servers.
SECRETS = re.compile(r"(bot)\d+:[\w-]+|(://[^:/\s@]*:)[^@\s]+(?=@)")


class MaskSecrets(logging.Filter):
    """Replaces tokens and passwords in the finished message."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        masked = SECRETS.sub(lambda m: (m.group(1) or m.group(2) or "") + "***", message)
        if masked != message:
            record.msg, record.args = masked, ()
        return True


def init_app(app: Flask) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(MaskSecrets())
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(handler)
        root.setLevel(logging.INFO)
    # The client logs whole addresses, and the Bot API's hold the token.
    logging.getLogger("httpx").setLevel(logging.WARNING)
