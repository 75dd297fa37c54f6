"""A seating problem: who can sit where, who wishes and who avoids whom. Pure data, no database.

Wishes are normalised once, here: an *effective* wish names another participant whom neither side avoids
(an avoidance beats a wish). Everything else in the engine works on the indexes of people and crews.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: What a wish weighs that is answered with a wish, and one that is not.
MUTUAL, ONE_SIDED = 3, 1

#: The crew of a person without a place.
NOWHERE = -1


class BadProblem(ValueError):
    """The problem cannot be read, or holds no solution; the message is one line that says why."""


@dataclass(frozen=True)
class Problem:
    """People 0…n-1 and crews 0…m-1. `people` and `crews` hold the caller's names for them.

    Raises BadProblem when more people are pinned to a crew than it has seats.
    """

    people: Sequence[str]
    crews: Sequence[str]
    capacities: Sequence[int]
    #: The effective wishes: for each person, whom they want in their crew.
    wishes: Sequence[Sequence[int]]
    #: For each person, with whom they must not sit, whichever of the two said so.
    avoided: Sequence[Sequence[int]]
    #: Person to crew; nobody may change it.
    pins: Mapping[int, int] = field(default_factory=dict)
    #: Person to crew, before: leaving it is a move.
    current: Mapping[int, int] = field(default_factory=dict)
    #: At most so many people may leave their current crew; None: as many as it takes.
    most_moves: int | None = None

    def __post_init__(self) -> None:
        pinned = [0] * len(self.crews)
        for crew in self.pins.values():
            pinned[crew] += 1
        for crew, count in enumerate(pinned):
            if count > self.capacities[crew]:
                raise BadProblem(
                    f"crew {self.crews[crew]}: {count} people are pinned to {self.capacities[crew]} seats"
                )

    @property
    def unseated(self) -> int:
        """How many people must stay without a place: there are fewer seats than people."""
        return max(0, len(self.people) - sum(self.capacities))

    def bands(self) -> list[tuple[int, int]]:
        """For each crew, the fewest and the most people of its even share: by its seats, rounded."""
        seats = sum(self.capacities)
        seated = min(len(self.people), seats)
        return [
            (seated * capacity // seats, -(-seated * capacity // seats)) if seats else (0, 0)
            for capacity in self.capacities
        ]

    def ties(self) -> list[list[tuple[int, int, bool, bool]]]:
        """For each person the wishes from and for them: (other, weight of the pair, do I wish, do they)."""
        wished = [set(others) for others in self.wishes]
        ties: list[list[tuple[int, int, bool, bool]]] = [[] for _ in self.people]
        for person, others in enumerate(wished):
            for other in sorted(others):
                mutual = person in wished[other]
                ties[person].append((other, MUTUAL if mutual else ONE_SIDED, True, mutual))
                if not mutual:
                    ties[other].append((person, ONE_SIDED, False, True))
        return ties


def make(
    people: Sequence[str],
    crews: Sequence[tuple[str, int]],
    *,
    prefers: Mapping[str, Sequence[str]],
    avoids: Mapping[str, Sequence[str]],
    pins: Mapping[str, str] | None = None,
    current: Mapping[str, str] | None = None,
    most_moves: int | None = None,
) -> Problem:
    """The problem of people, crews (name, seats) and what people said; names that are no participants count
    for nothing, and so does a current crew that is not there. Raises BadProblem."""
    index = _index(people, "person")
    crew_index = _index([name for name, _ in crews], "crew")
    avoided: list[set[int]] = [set() for _ in people]
    for name, others in avoids.items():
        for other in others:
            if name in index and other in index and name != other:
                avoided[index[name]].add(index[other])
                avoided[index[other]].add(index[name])
    wishes: list[set[int]] = [set() for _ in people]
    for name, others in prefers.items():
        if name in index:
            me = index[name]
            wishes[me] = {index[other] for other in others if other in index} - avoided[me] - {me}
    pinned = {}
    for name, crew in (pins or {}).items():
        if name not in index:
            continue
        if crew not in crew_index:
            raise BadProblem(f"pins: there is no crew {crew!r}")
        pinned[index[name]] = crew_index[crew]
    return Problem(
        people=list(people),
        crews=[name for name, _ in crews],
        capacities=[capacity for _, capacity in crews],
        wishes=[sorted(others) for others in wishes],
        avoided=[sorted(others) for others in avoided],
        pins=pinned,
        current={
            index[name]: crew_index[crew]
            for name, crew in (current or {}).items()
            if name in index and crew in crew_index
        },
        most_moves=most_moves,
    )


def parse(document: Any) -> Problem:
    """The problem of a file's JSON: people, crews, prefers, avoids, pins, current. Raises BadProblem."""
    if not isinstance(document, dict):
        raise BadProblem("the file is not a JSON object")
    for name in ("people", "crews"):
        if name not in document:
            raise BadProblem(f"{name} is missing")
    return make(
        _names(document["people"], "people"),
        _crews(document["crews"]),
        prefers=_lists(document, "prefers"),
        avoids=_lists(document, "avoids"),
        pins=_single(document, "pins"),
        current=_single(document, "current"),
    )


def _index(names: Sequence[str], what: str) -> dict[str, int]:
    index = {name: number for number, name in enumerate(names)}
    if len(index) < len(names):
        twice = next(name for number, name in enumerate(names) if index[name] != number)
        raise BadProblem(f"{what} {twice!r} is there twice")
    return index


def _names(value: Any, where: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise BadProblem(f"{where} is not a list of ids")
    return value


def _crews(value: Any) -> list[tuple[str, int]]:
    if not isinstance(value, list):
        raise BadProblem("crews is not a list")
    crews = []
    for number, crew in enumerate(value, 1):
        name = crew.get("id") if isinstance(crew, dict) else None
        if not isinstance(name, str):
            raise BadProblem(f"crews: number {number} has no id")
        capacity = crew.get("capacity")
        if not isinstance(capacity, int) or isinstance(capacity, bool) or capacity < 0:
            raise BadProblem(f"crew {name}: capacity {capacity!r} is not a whole number of seats")
        crews.append((name, capacity))
    return crews


def _lists(document: dict[str, Any], name: str) -> dict[str, list[str]]:
    value = document.get(name) or {}
    if not isinstance(value, dict):
        raise BadProblem(f"{name} is not an object of lists of ids")
    return {person: _names(others, f"{name} of {person}") for person, others in value.items()}


def _single(document: dict[str, Any], name: str) -> dict[str, str]:
    value = document.get(name) or {}
    if not isinstance(value, dict) or not all(isinstance(crew, str) for crew in value.values()):
        raise BadProblem(f"{name} is not an object of crew ids")
    return value
