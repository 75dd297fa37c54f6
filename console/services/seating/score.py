"""How good a seating is: one tuple, compared from the left, where less is better.

The order of aims: nobody unseated who can be seated; fewest avoided pairs together; most people with a wish
met; most wishes met; even crew sizes; fewest moves.
"""

from collections.abc import Sequence
from typing import NamedTuple

from console.services.seating.problem import NOWHERE, Problem


class Score(NamedTuple):
    """What a seating is worth. Of two, the smaller `order` is better."""

    unseated: int
    #: Pairs in one crew of whom one avoids the other.
    avoided: int
    #: People with at least one effective wish met.
    satisfied: int
    #: Wishes met: a one-sided one 1, a mutual pair 3.
    weight: int
    #: People above or below the even share of their crews.
    uneven: int
    #: People who leave the crew they were in.
    moves: int

    @property
    def order(self) -> tuple[int, int, int, int, int, int]:
        return (self.unseated, self.avoided, -self.satisfied, -self.weight, self.uneven, self.moves)


def score(problem: Problem, seating: Sequence[int]) -> Score:
    """The score of a seating: for each person the index of their crew, or NOWHERE."""
    sizes = [0] * len(problem.crews)
    for crew in seating:
        if crew != NOWHERE:
            sizes[crew] += 1
    satisfied = weight = avoided = 0
    for person, ties in enumerate(problem.ties()):
        crew = seating[person]
        if crew == NOWHERE:
            continue
        met = False
        for other, pair_weight, wished, _ in ties:
            if seating[other] == crew:
                met = met or wished
                weight += pair_weight
        satisfied += met
        avoided += sum(seating[other] == crew for other in problem.avoided[person])
    return Score(
        unseated=sum(crew == NOWHERE for crew in seating),
        # Every pair was met from both sides.
        avoided=avoided // 2,
        satisfied=satisfied,
        weight=weight // 2,
        uneven=sum(
            max(0, size - most) + max(0, fewest - size)
            for size, (fewest, most) in zip(sizes, problem.bands(), strict=True)
        ),
        moves=sum(seating[person] != crew for person, crew in problem.current.items()),
    )


def faults(problem: Problem, seating: Sequence[int]) -> list[str]:
    """What is not allowed in a seating, a line each: overfull crews, broken pins, people left standing."""
    lines = []
    for crew, capacity in enumerate(problem.capacities):
        if (size := sum(where == crew for where in seating)) > capacity:
            lines.append(f"crew {problem.crews[crew]} holds {size} people on {capacity} seats")
    for person, crew in problem.pins.items():
        if seating[person] != crew:
            lines.append(f"{problem.people[person]} is not in {problem.crews[crew]}")
    if (standing := sum(crew == NOWHERE for crew in seating)) > problem.unseated:
        lines.append(f"{standing} people are without a place, {problem.unseated} would do")
    return lines
