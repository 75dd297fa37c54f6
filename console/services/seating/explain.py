"""Why somebody sits where they sit: wishes met and unmet, who is avoided here, what others would cost."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from console.services.seating.problem import NOWHERE, Problem
from console.services.seating.score import Score


@dataclass(frozen=True)
class Alternative:
    """The best way into another crew: onto a free seat, or in exchange for somebody."""

    crew: int
    exchanged_with: int | None
    #: By how much the score would change.
    change: Score
    #: Own wishes that would be met there.
    met: int


@dataclass(frozen=True)
class Why:
    """What there is to say of one person's place; people and crews by their index."""

    met: list[int]
    unmet: list[int]
    avoided_here: list[int]
    pinned: bool
    #: The best first.
    alternatives: list[Alternative]


def why(problem: Problem, seating: Sequence[int], person: int, *, most: int = 3) -> Why:
    """Explains a person's place in a seating, with at most so many alternatives. Milliseconds of work."""
    here = seating[person]
    together = [other for other in problem.wishes[person] if seating[other] == here != NOWHERE]
    alternatives = []
    if person not in problem.pins:
        view = _View(problem, seating)
        found = (view.best_way(person, crew) for crew in range(len(problem.crews)) if crew != here)
        alternatives = sorted(
            (way for way in found if way is not None), key=lambda way: (way.change.order, way.crew)
        )
    return Why(
        met=together,
        unmet=[other for other in problem.wishes[person] if other not in together],
        avoided_here=[other for other in problem.avoided[person] if seating[other] == here != NOWHERE],
        pinned=person in problem.pins,
        alternatives=alternatives[:most],
    )


class _View:
    """A seating crew by crew: no tie counts beyond a crew, so two crews tell what a change is worth."""

    def __init__(self, problem: Problem, seating: Sequence[int]) -> None:
        self._problem = problem
        self._seating = seating
        self._ties = problem.ties()
        self._bands = problem.bands()
        self._members: list[set[int]] = [set() for _ in problem.crews]
        for person, crew in enumerate(seating):
            if crew != NOWHERE:
                self._members[crew].add(person)
        self._worth = [self._of(members) for members in self._members]

    def _of(self, members: Iterable[int]) -> tuple[int, int, int]:
        inside = set(members)
        avoided = satisfied = weight = 0
        for person in inside:
            avoided += sum(other in inside for other in self._problem.avoided[person])
            met = False
            for other, pair, wished, _ in self._ties[person]:
                if other in inside:
                    weight += pair
                    met = met or wished
            satisfied += met
        return avoided // 2, satisfied, weight // 2

    def best_way(self, person: int, crew: int) -> Alternative | None:
        members = self._members[crew]
        others: list[int | None] = [other for other in sorted(members) if other not in self._problem.pins]
        if len(members) < self._problem.capacities[crew]:
            others.insert(0, None)
        ways = [(self._change(person, crew, other), other) for other in others]
        if not ways:
            return None
        change, other = min(ways, key=lambda way: way[0].order)
        met = sum(wish in members and wish != other for wish in self._problem.wishes[person])
        return Alternative(crew, other, change, met)

    def _change(self, person: int, there: int, other: int | None) -> Score:
        here = self._seating[person]
        coming, going = {person}, set() if other is None else {other}
        before, after = [self._worth[there]], [self._of(self._members[there] - going | coming)]
        uneven = 0
        if here != NOWHERE:
            before.append(self._worth[here])
            after.append(self._of(self._members[here] - coming | going))
        if other is None:
            uneven = self._uneven(there, 1) + (self._uneven(here, -1) if here != NOWHERE else 0)
        current = self._problem.current
        moves = (current.get(person) == here) - (current.get(person) == there) if person in current else 0
        if other is not None and other in current:
            moves += (current[other] == there) - (current[other] == here)
        gains = [
            sum(new) - sum(old)
            for new, old in zip(zip(*after, strict=True), zip(*before, strict=True), strict=True)
        ]
        unseated = -(here == NOWHERE and other is None)
        return Score(unseated, gains[0], gains[1], gains[2], uneven, moves)

    def _uneven(self, crew: int, more: int) -> int:
        fewest, most = self._bands[crew]

        def outside(size: int) -> int:
            return max(0, size - most) + max(0, fewest - size)

        size = len(self._members[crew])
        return outside(size + more) - outside(size)
