"""Passwords: argon2id, the same work for every sign-in, and the rules for new ones."""

import base64
import secrets
from contextlib import suppress

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from console.errors import N_, InvalidInput

#: Above OWASP's minimum (19 MiB, 2 passes, 1 lane) in memory and passes: about 70 ms of one core.
#: One lane, so that several sign-ins at once do not fight for the cores.
HASHER = PasswordHasher(time_cost=3, memory_cost=32 * 1024, parallelism=1)

MIN_CHARACTERS = 12
#: Longer ones only make the server work.
MAX_CHARACTERS = 256

#: Nobody's hash. Verifying against it takes as long as against a real one.
_NOBODY = "$argon2id$v=19$m={},t={},p={}${}${}".format(
    HASHER.memory_cost,
    HASHER.time_cost,
    HASHER.parallelism,
    *(
        base64.b64encode(secrets.token_bytes(length)).decode().rstrip("=")
        for length in (HASHER.salt_len, HASHER.hash_len)
    ),
)


def hashed(password: str) -> str:
    """What the database keeps of a password."""
    return HASHER.hash(password)


def matches(password_hash: str | None, password: str) -> bool:
    """Whether this is the password. Costs one verification also when there is no usable hash."""
    try:
        return HASHER.verify(password_hash or _NOBODY, password)
    except InvalidHashError:
        # Another kind of hash, which nobody can sign in with: the same work all the same.
        with suppress(VerificationError):
            HASHER.verify(_NOBODY, password)
        return False
    except VerificationError:
        return False


def is_outdated(password_hash: str) -> bool:
    """Whether the hash was made with other parameters than today's."""
    return HASHER.check_needs_rehash(password_hash)


def check_rules(password: str, username: str) -> None:
    """Raises InvalidInput when a new password is too short, too long, or the username."""
    if len(password) < MIN_CHARACTERS:
        raise InvalidInput(field=N_("Password"), problem=N_("use at least 12 characters."))
    if len(password) > MAX_CHARACTERS:
        raise InvalidInput(field=N_("Password"), problem=N_("use at most 256 characters."))
    plain, name = password.casefold(), username.casefold()
    if plain.replace(name, "") == "" or plain == name[::-1]:
        raise InvalidInput(field=N_("Password"), problem=N_("do not use the username."))
    if len(set(plain)) < 5:
        raise InvalidInput(field=N_("Password"), problem=N_("use more different characters."))
