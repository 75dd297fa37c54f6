"""Simulated annealing over swaps of two seats, an empty seat included (Kirkpatrick, Gelatt, Vecchi 1983).

The walk itself is WebAssembly, made from walk.c: a step takes some tens of nanoseconds, where CPython takes
microseconds. Here its memory is laid out and the temperature falls.
"""

import math
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any

import wasmtime

from console.services.seating.problem import NOWHERE, Problem
from console.services.seating.score import score

#: Steps between two looks at the clock, the cancel button and the temperature: some milliseconds.
CHUNK = 20_000
#: How often somebody tries to join a friend rather than to sit anywhere.
TO_FRIENDS = 0.75
#: The even chances whose logarithms the walk looks up; it draws 12 bits.
CHANCES = 4096
#: The crew before of somebody who had none: no crew, and no place outside either.
NO_HOME = -(2**31)


@dataclass(frozen=True)
class Weights:
    """What the aims weigh against each other while the annealing runs; a one-sided wish met is 1."""

    avoided: float = 24
    satisfied: float = 6
    uneven: float = 0.3
    moves: float = 0.1


@cache
def _compiled() -> tuple[wasmtime.Engine, wasmtime.Module]:
    engine = wasmtime.Engine()
    return engine, wasmtime.Module(engine, Path(__file__).with_name("walk.wasm").read_bytes())


class _Memory:
    """The memory of one walk: what is laid out in it keeps its place."""

    def __init__(self) -> None:
        engine, module = _compiled()
        self._store = wasmtime.Store(engine)
        self._exports = wasmtime.Instance(self._store, module, []).exports(self._store)
        self._memory: Any = self._exports["memory"]

    def call(self, name: str, *values: float) -> Any:
        function: Any = self._exports[name]
        return function(self._store, *values)

    def lay(self, values: Iterable[float], kind: str = "i") -> int:
        """Where the values are from now on."""
        data = array(kind, values).tobytes()
        at = self.call("room", len(data))
        self._memory.write(self._store, data, at)
        return at

    def lay_rows(self, rows: Sequence[Sequence[int]]) -> tuple[int, int]:
        """Where the entries of all rows are, and where it says with which entry each row begins."""
        entries = self.lay(entry for row in rows for entry in row)
        return entries, self.lay(accumulate(map(len, rows), initial=0))

    def read(self, at: int, count: int) -> list[int]:
        values = array("i")
        values.frombytes(self._memory.read(self._store, at, at + count * values.itemsize))
        return values.tolist()


class Annealing:
    """A walk over the seatings of a problem. `seating` is the best seen so far, by the order of the aims."""

    def __init__(self, problem: Problem, seating: Sequence[int], seed: int):
        self._people = len(problem.people)
        self._ties = problem.ties()
        self._memory = memory = _Memory()
        people = range(self._people)
        movable = [person for person in people if person not in problem.pins]
        seats, crews, outside = _seats(problem, seating)
        occupants = [occupant for row in seats for occupant in row] + outside
        self._still = not movable or len(occupants) < 2
        # Nobody outside shares a crew with anybody, so each place outside is a crew of its own.
        where = list(seating)
        for number, person in enumerate(outside):
            where[person] = -2 - number
        seat_of = [-1] * self._people
        for seat, person in enumerate(occupants):
            if person >= 0:
                seat_of[person] = seat
        ties, _ = memory.lay_rows([[entry for tie in row for entry in tie] for row in self._ties])
        avoided, avoided_from = memory.lay_rows(problem.avoided)
        targets, targets_from = memory.lay_rows([self._choices(person) for person in people])
        unevenness, unevenness_from = memory.lay_rows(_unevenness(problem))
        sizes = [0] * len(problem.crews)
        for crew in seating:
            if crew != NOWHERE:
                sizes[crew] += 1
        at = score(problem, seating)
        totals = (at.avoided, at.satisfied, at.weight, at.uneven, at.moves)
        self._crew, self._best = memory.lay(where), memory.lay(where)
        self._now, self._top = memory.lay(totals), memory.lay(totals)
        self._walk = memory.lay(
            [
                len(movable), len(occupants), self._people,
                self._people if problem.most_moves is None else problem.most_moves,
                ties, memory.lay(accumulate(map(len, self._ties), initial=0)),
                avoided, avoided_from, targets, targets_from, unevenness, unevenness_from,
                memory.lay(movable),
                memory.lay(problem.current.get(person, NO_HOME) for person in people),
                memory.lay(accumulate(map(len, seats), initial=0)),
                memory.lay([*crews, *(-2 - number for number in range(len(outside)))]),
                memory.lay((math.log((k + 0.5) / CHANCES) for k in range(CHANCES)), "d"),
                self._crew,
                memory.lay(sum(where[wish] == where[who] for wish in problem.wishes[who]) for who in people),
                memory.lay(seat_of), memory.lay(occupants), memory.lay(sizes),
                self._best, self._now, self._top,
                memory.lay([0] * self._people), memory.lay([0] * (2 * self._people + 1)),
            ]
        )  # fmt: skip
        memory.call("seed", seed)

    def _choices(self, person: int) -> list[int]:
        """Whom a person may try to join, -1 for anybody, as often as they should be tried."""
        friends = [other for other, weight, _, _ in self._ties[person] for _ in range(weight)]
        return friends + [-1] * max(1, round(len(friends) * (1 / TO_FRIENDS - 1)))

    @property
    def seating(self) -> list[int]:
        return [max(crew, NOWHERE) for crew in self._memory.read(self._best, self._people)]

    @property
    def present(self) -> tuple[list[int], list[int]]:
        """Where the walk is now, and what it counts there: avoided, satisfied, weight, uneven, moves."""
        seating = [max(crew, NOWHERE) for crew in self._memory.read(self._crew, self._people)]
        return seating, self._memory.read(self._now, 5)

    def run(
        self,
        steps: int,
        *,
        hot: float,
        cold: float,
        weights: Weights,
        goes_on: Callable[[float], bool] = lambda _: True,
    ) -> int:
        """Cools from `hot` to `cold` in about `steps` steps; the number of steps done.

        `goes_on` is asked every few milliseconds with the share that is done; False ends the walk.
        """
        if self._still:
            return 0
        chunks = max(1, round(steps / CHUNK))
        for chunk in range(chunks):
            if not goes_on(chunk / chunks):
                return chunk * CHUNK
            temperature = hot * (cold / hot) ** (chunk / max(1, chunks - 1))
            self._memory.call("walk", self._walk, CHUNK, temperature, *map(float, astuple(weights)))
        return chunks * CHUNK


def _seats(problem: Problem, seating: Sequence[int]) -> tuple[list[list[int]], list[int], list[int]]:
    """By crew, who sits on each seat that is not pinned (-1: nobody); the crew of each seat; who has none."""
    free: list[list[int]] = [[] for _ in problem.crews]
    #: No crew needs more seats than there are people.
    room = [min(capacity, len(problem.people)) for capacity in problem.capacities]
    outside = []
    for person, crew in enumerate(seating):
        if crew == NOWHERE:
            outside.append(person)
            continue
        room[crew] -= 1
        if person not in problem.pins:
            free[crew].append(person)
    seats = [row + [-1] * rest for row, rest in zip(free, room, strict=True)]
    return seats, [crew for crew, row in enumerate(seats) for _ in row], outside


def _unevenness(problem: Problem) -> list[list[int]]:
    """By crew and size, how many people it is above or below its even share."""
    people = len(problem.people)
    return [
        [max(0, size - most) + max(0, fewest - size) for size in range(min(capacity, people) + 2)]
        for (fewest, most), capacity in zip(problem.bands(), problem.capacities, strict=True)
    ]
