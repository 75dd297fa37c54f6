"""What acquirers send, as staff see it: secrets covered, and as a tree that folds."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

from console import policy
from console.models import User

#: The column that holds it.
COLUMN = "raw_payload"
MASK = "••••••"
#: Parts of names whose values nobody sees, and whole names that are too short to look for as a part.
SECRET_PARTS = ("token", "secret", "password", "signature", "cvv", "cvc", "cardnumber", "authorization")
SECRET_NAMES = frozenset({"pan", "exp", "expdate", "cardexpdate", "cryptogram", "cardcryptogrampacket"})
#: What tells who somebody is: for who may read profiles.
PERSONAL_NAMES = frozenset({"phone", "phonenumber", "name", "cardholder", "cardholdername", "payername"})
EMAIL = re.compile(r"([\w.+-])[\w.+-]*@([\w-]+(?:\.[\w-]+)+)")
#: A number of a card, with spaces or dashes or without.
CARD = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){11,18}(?![\w.])")


def covered(payload: Any, user: User) -> Any:
    """A payload with its secrets covered; who may not read profiles sees nobody's address either."""
    return _covered(payload, policy.allowed(user, "user.profiles", policy.Action.READ))


def covered_text(text: str, user: User) -> str:
    """The same of a payload as the database writes it. It begins with a bracket or a quote: no formula."""
    return json.dumps(covered(json.loads(text), user), ensure_ascii=False)


def _covered(value: Any, people: bool, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _covered(item, people, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_covered(item, people, name) for item in value]
    if value is not None and _is_hidden(name, people):
        return MASK
    # The number of a payment may look like that of a card.
    may_be_card = not name.lower().endswith("id")
    if isinstance(value, int) and not isinstance(value, bool):
        return MASK if may_be_card and _is_card(str(value)) else value
    if not isinstance(value, str):
        return value
    text = CARD.sub(lambda found: _card(found.group()), value) if may_be_card else value
    return text if people else EMAIL.sub(r"\1•••@\2", text)


def _is_hidden(name: str, people: bool) -> bool:
    plain = name.replace("_", "").replace("-", "").lower()
    if plain in SECRET_NAMES or any(part in plain for part in SECRET_PARTS):
        return True
    return not people and plain in PERSONAL_NAMES


def _card(number: str) -> str:
    return f"•••• {number[-4:]}" if _is_card(number) else number


def _is_card(number: str) -> bool:
    """Whether the digits are those of a card: the last one is the sum of the others (ISO/IEC 7812, Luhn)."""
    digits = [int(digit) for digit in number if digit.isdigit()]
    if not 12 <= len(digits) <= 19:
        return False
    doubled = [sum(divmod(digit * 2, 10)) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


@dataclass(frozen=True)
class Node:
    """A name with a value, or with what is below it."""

    name: str
    text: str = ""
    kind: str = "text"
    below: list["Node"] = field(default_factory=list)


def tree(value: Any, name: str = "") -> Node:
    """A payload as nodes; a list names its items by number."""
    if isinstance(value, dict):
        return Node(name, kind="object", below=[tree(item, key) for key, item in value.items()])
    if isinstance(value, list):
        items = [tree(item, str(number)) for number, item in enumerate(value, 1)]
        return Node(name, kind="list", below=items)
    if value is None or isinstance(value, bool):
        return Node(name, {None: "null", True: "true", False: "false"}[value], "word")
    return Node(name, str(value), "text" if isinstance(value, str) else "number")
