"""What a check is."""

from dataclasses import dataclass

from console.states import State


@dataclass(frozen=True)
class Check:
    """A name, what must hold, and a SELECT of one text column, `told`, with a row for each violation."""

    name: str
    rule: str
    sql: str


def listed(states: tuple[State, ...]) -> str:
    """The states as SQL: ('PENDING', 'CONFIRMED')."""
    return "(" + ", ".join(f"'{state}'" for state in states) + ")"
