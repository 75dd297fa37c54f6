"""What a link in a notice carries: a few bytes, signed for one purpose, so that nobody makes up others."""

import base64
import binascii
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from itsdangerous import BadSignature, Signer

from console import config, errors

#: Ours have fewer than 80 characters; nothing longer is looked at.
MAX_TOKEN_CHARACTERS = 100


@dataclass(frozen=True)
class Seal:
    """Signs and reads the tokens of one purpose, with the setting SECRET_KEY."""

    purpose: bytes
    digest: Callable[..., Any] = hashlib.sha256

    def sign(self, raw: bytes) -> str:
        """The bytes as a token for an address."""
        return self._signer().sign(base64.urlsafe_b64encode(raw).rstrip(b"=")).decode()

    def read(self, text: str) -> bytes:
        """The bytes of a token. Raises NotFound for what we have not signed for this purpose."""
        if len(text) > MAX_TOKEN_CHARACTERS:
            raise errors.NotFound()
        try:
            return base64.urlsafe_b64decode(self._signer().unsign(text) + b"==")
        except (BadSignature, binascii.Error, UnicodeEncodeError):
            raise errors.NotFound() from None

    def _signer(self) -> Signer:
        return Signer(
            config.current().secret_key,
            salt=self.purpose,
            digest_method=self.digest,
            key_derivation="hmac",
        )
