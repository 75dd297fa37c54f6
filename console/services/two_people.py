"""The rule of two: above SECOND_REVIEW_ABOVE, what one person says of money counts once another confirms it.

It holds for whatever staff say of money that moved: an approved proof, cash, a transfer found on the account,
money given back. What an acquirer tells, and what moves no money (a rest that is waived, money that goes
along to another booking), needs no second person.
"""

from decimal import Decimal

from console import config
from console.models import User


def are_needed(amount: Decimal, actor: User | None) -> bool:
    """Whether one person is not enough for this amount; `actor` None is the system."""
    above = config.current().second_review_above
    return actor is not None and above is not None and amount > above
