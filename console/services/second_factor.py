"""The second factor: codes of an app on a phone (TOTP, RFC 6238), and recovery codes for who lost it.

The app's secret stands nowhere: it is made anew each time from SECRET_KEY and a seed (RFC 4226, 7.5), so that
a copy of the database makes no codes. Recovery codes do not need the key: they work after it has changed.
"""

import base64
import hmac
import logging
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import pyotp
import sqlalchemy as sa
from argon2 import PasswordHasher

from console import config, policy
from console.db import db, lock, now
from console.errors import CodeRefused, NoSecondFactor, NotFound, OwnAccount, SecondFactorNeeded
from console.models import RecoveryCode, RefreshSession, SecondFactor, User
from console.services import accounts, audit

log = logging.getLogger(__name__)

STEP_SECONDS = 30
CODE_DIGITS = 6
SEED_BYTES = 16
#: HMAC-SHA-1, which the apps use, takes keys of this length.
SECRET_BYTES = 20

RECOVERY_CODES = 10
#: 53 bits, and digits alone: the same on every keyboard.
RECOVERY_DIGITS = 16
RECOVERY_DAYS = 365
#: OWASP's minimum. Other parameters would make void what people have on paper, so passwords have their own.
RECOVERY_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def factor_of(user_id: UUID) -> SecondFactor | None:
    """The second factor that somebody has set up."""
    return db.session.get(SecondFactor, user_id)


def owners() -> set[UUID]:
    """Everybody who has set up a second factor."""
    return set(db.session.scalars(sa.select(SecondFactor.user_id)))


def new_seed() -> bytes:
    """A seed for an app that is to be set up."""
    return secrets.token_bytes(SEED_BYTES)


def secret_of(user_id: UUID, seed: bytes) -> str:
    """What the app makes its codes of, in base32 as people type it."""
    key = config.current().secret_key.encode()
    derived = hmac.digest(key, b"crewdeck second factor" + user_id.bytes + seed, "sha256")
    return base64.b32encode(derived[:SECRET_BYTES]).decode()


def app_address(user: User, seed: bytes) -> str:
    """What the QR code says: the address that apps take a secret from."""
    totp = pyotp.TOTP(secret_of(user.id, seed))
    return totp.provisioning_uri(name=user.username, issuer_name="Crewdeck")


def set_up(session_id: UUID, seed: bytes, code: str, *, actor: User, at: datetime | None = None) -> list[str]:
    """Makes the app with this seed the second factor of `actor`, in the place of any before; the code proves
    that the app has it. Ends the other sessions. Returns new recovery codes, the only time they are seen.

    `at` is the database's now unless given. Raises CodeRefused.
    """
    at = at or now()
    step = _step_of(secret_of(actor.id, seed), _digits(code), at)
    if step is None:
        raise CodeRefused()
    codes = _draw_codes()
    hashes = [_hashed(actor.id, one) for one in codes]
    factor = db.session.get(SecondFactor, actor.id, with_for_update=True, populate_existing=True)
    if factor is None:
        factor = SecondFactor(user_id=actor.id)
        db.session.add(factor)
    factor.seed, factor.last_step, factor.set_up_at = seed, step, at
    _replace_codes(actor.id, hashes)
    _note_given(session_id)
    audit.record(actor, "second_factor.set_up", actor)
    accounts.revoke_sessions(actor.id, actor=actor, keep=session_id)
    db.session.flush()
    return codes


def give(
    session_id: UUID, code: str, *, actor: User, address: str | None = None, at: datetime | None = None
) -> int | None:
    """Takes a code of the app, or a recovery code, and notes it on the session; each is taken once.

    Returns how many recovery codes are left after one of them. Raises CodeRefused; NotFound without a second
    factor. The caller counts attempts (`throttle`).
    """
    digits = _digits(code)
    # Before the lock: it is meant to take a while.
    code_hash = _hashed(actor.id, digits) if len(digits) == RECOVERY_DIGITS else None
    factor = lock(SecondFactor, actor.id)
    left = None
    if code_hash is not None:
        is_good = _spend_recovery(actor.id, code_hash)
        left = codes_left(actor.id)
    else:
        step = _step_of(secret_of(actor.id, factor.seed), digits, at or now())
        is_good = step is not None and step > factor.last_step
        if is_good and step is not None:
            factor.last_step = step
    if not is_good:
        log.warning("second factor refused: user=%s address=%s", actor.id, address)
        raise CodeRefused()
    _note_given(session_id)
    audit.record(actor, "second_factor.give", actor, recovery_codes_left=left, address=address)
    db.session.flush()
    return left


def codes_left(user_id: UUID) -> int:
    """How many recovery codes can still be used."""
    return db.session.scalars(sa.select(sa.func.count()).select_from(_usable(user_id).subquery())).one()


def new_codes(*, actor: User) -> list[str]:
    """New recovery codes for `actor`; those before are void. Raises NotFound without a second factor."""
    codes = _draw_codes()
    hashes = [_hashed(actor.id, one) for one in codes]
    lock(SecondFactor, actor.id)
    _replace_codes(actor.id, hashes)
    audit.record(actor, "second_factor.new_codes", actor)
    db.session.flush()
    return codes


def switch_off(session_id: UUID, *, actor: User) -> None:
    """Forgets the second factor of `actor`, and ends their other sessions.

    Raises SecondFactorNeeded where their role must have one, NoSecondFactor.
    """
    if policy.needs_second_factor(actor):
        raise SecondFactorNeeded()
    _forget(actor, actor=actor, keep=session_id)


def reset(user_id: UUID, *, actor: User | None) -> User:
    """Forgets the second factor of somebody who lost it, and ends their sessions.

    Raises NotFound, NoSecondFactor, OwnAccount for the actor's own.
    """
    if actor is not None and actor.id == user_id:
        raise OwnAccount()
    user = db.session.get(User, user_id)
    if user is None:
        raise NotFound()
    _forget(user, actor=actor)
    return user


def _forget(user: User, *, actor: User | None, keep: UUID | None = None) -> None:
    factor = db.session.get(SecondFactor, user.id, with_for_update=True, populate_existing=True)
    if factor is None:
        raise NoSecondFactor(who=user.username)
    db.session.delete(factor)
    _replace_codes(user.id, ())
    audit.record(actor, "second_factor.switch_off", user)
    accounts.revoke_sessions(user.id, actor=actor, keep=keep)
    db.session.flush()


def _step_of(secret: str, digits: str, at: datetime) -> int | None:
    """The step whose code this is: the one of the moment `at`, or one beside it, because clocks differ."""
    codes = pyotp.HOTP(secret, digits=CODE_DIGITS)
    present = int(at.timestamp()) // STEP_SECONDS
    found = None
    for step in (present - 1, present, present + 1):
        # All three, whichever it is: how long it takes tells nothing.
        if hmac.compare_digest(codes.at(step), digits):
            found = step
    return found


def _digits(code: str) -> str:
    """A code as typed, without the spaces and dashes that make it readable; empty when it is none."""
    digits = "".join(code.split()).replace("-", "")
    return digits if digits.isascii() and digits.isdigit() and len(digits) <= RECOVERY_DIGITS else ""


def _draw_codes() -> list[str]:
    return [f"{secrets.randbelow(10**RECOVERY_DIGITS):0{RECOVERY_DIGITS}}" for _ in range(RECOVERY_CODES)]


def _hashed(user_id: UUID, digits: str) -> str:
    """One hash finds the code among its owner's: their id, which is random, is the salt."""
    return RECOVERY_HASHER.hash(digits, salt=user_id.bytes)


def _replace_codes(user_id: UUID, hashes: Sequence[str]) -> None:
    db.session.execute(sa.delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    expires_at = now() + timedelta(days=RECOVERY_DAYS)
    db.session.add_all(RecoveryCode(user_id=user_id, code_hash=one, expires_at=expires_at) for one in hashes)
    db.session.flush()


def _usable(user_id: UUID) -> sa.Select[RecoveryCode]:
    return sa.select(RecoveryCode).where(
        RecoveryCode.user_id == user_id,
        RecoveryCode.used_at.is_(None),
        RecoveryCode.expires_at > sa.func.now(),
    )


def _spend_recovery(user_id: UUID, code_hash: str) -> bool:
    """Uses a recovery code up, under the lock of its owner's factor; False when there is none to use."""
    code = db.session.scalar(_usable(user_id).where(RecoveryCode.code_hash == code_hash))
    if code is None:
        return False
    code.used_at = now()
    db.session.flush()
    return True


def _note_given(session_id: UUID) -> None:
    db.session.execute(
        sa.update(RefreshSession)
        .where(RefreshSession.id == session_id)
        .values(second_factor_at=sa.func.now())
    )
