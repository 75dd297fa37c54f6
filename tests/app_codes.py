"""An authenticator app, as far as tests need one: the codes of a second factor."""

from datetime import UTC, datetime

import pyotp

from console.models import SecondFactor
from console.services import second_factor


def code_of(factor: SecondFactor, steps: int = 0, *, at: datetime | None = None) -> str:
    """What the app shows at a moment (now, unless given), or so many steps of 30 seconds later."""
    secret = second_factor.secret_of(factor.user_id, factor.seed)
    return code_from(secret, steps, at=at)


def code_from(secret: str, steps: int = 0, *, at: datetime | None = None) -> str:
    """The same for a secret in base32, with or without spaces."""
    moment = at or datetime.now(UTC)
    return pyotp.TOTP(secret.replace(" ", "")).at(moment, counter_offset=steps)


def wrong_code(factor: SecondFactor) -> str:
    """Six digits that are no code around now."""
    right = {code_of(factor, steps) for steps in range(-3, 4)}
    return next(code for number in range(10) if (code := f"{number:06}") not in right)
