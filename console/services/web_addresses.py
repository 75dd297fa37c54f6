"""Addresses that other pages, the public site's among them, make links and pictures of."""

import re

from console.errors import N_, InvalidInput

#: Of all schemes these two alone run nothing in a browser that follows them.
_ADDRESS = re.compile(r"https?://[^\s/?#\\<>\"@]+(?:[/?#][^\s\\<>\"]*)?", re.IGNORECASE)
LENGTH_MAX = 2000


def clean_web_address(text: str | None) -> str | None:
    """An http or https address as it is; None for what is empty. Raises InvalidInput."""
    if not text or not text.strip():
        return None
    address = text.strip()
    if len(address) > LENGTH_MAX or not _ADDRESS.fullmatch(address):
        raise InvalidInput(
            field=N_("Address"), problem=N_("give a whole address, such as https://example.com/photo.jpg.")
        )
    return address
