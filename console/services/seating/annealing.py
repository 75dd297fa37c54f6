"""Simulated annealing over swaps of two seats, an empty seat included (Kirkpatrick, Gelatt, Vecchi 1983).

The innermost loop of the engine, so it is written for speed: flat lists, local names, the change of the score
by the ties of the two people alone. A step takes about 1 µs in CPython.
"""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from console.services.seating.problem import NOWHERE, Problem

#: Steps between two looks at the clock, the cancel button and the temperature: some milliseconds.
CHUNK = 2000
#: How often somebody tries to join a friend rather than to sit anywhere.
TO_FRIENDS = 0.75


@dataclass(frozen=True)
class Weights:
    """What the aims weigh against each other while the annealing runs; a one-sided wish met is 1."""

    avoided: float = 24
    satisfied: float = 6
    uneven: float = 0.3
    moves: float = 0.1


class Annealing:
    """The seats of a problem and the walk over them. `seating` is the best seen so far."""

    def __init__(self, problem: Problem, seating: Sequence[int], seed: int):
        self.problem = problem
        self.weights = Weights()
        self._random = random.Random(seed).random  # noqa: S311 - chance, not secrets
        self._ties = problem.ties()
        people = range(len(problem.people))
        self._wishers = [
            frozenset(other for other, _, _, wished in self._ties[person] if wished) for person in people
        ]
        self._weight = [{other: weight for other, weight, _, _ in self._ties[person]} for person in people]
        self._near = [self._related(person) for person in people]
        #: No crew needs more seats than there are people.
        self._capacities = [min(capacity, len(problem.people)) for capacity in problem.capacities]
        self._unevenness = [
            [max(0, size - most) + max(0, fewest - size) for size in range(capacity + 2)]
            for (fewest, most), capacity in zip(problem.bands(), self._capacities, strict=True)
        ]
        self._movable = [person for person in people if person not in problem.pins]
        self._targets = [self._choices(person) for person in people]
        self._home = [problem.current.get(person, -len(problem.people) - 9) for person in people]
        self._logs = [math.log(1 - self._random()) for _ in range(4096)]
        self._place(seating)

    def _related(self, person: int) -> frozenset[int]:
        """With whom a swap is more than two moves: ties, avoidances, and whom the same people wish for."""
        rivals = {
            wish
            for other, _, _, wished in self._ties[person]
            if wished
            for wish in self.problem.wishes[other]
        }
        others = {other for other, _, _, _ in self._ties[person]}
        return frozenset(rivals | others | set(self.problem.avoided[person])) - {person}

    def _choices(self, person: int) -> list[int]:
        """Whom a person may try to join, -1 for anywhere, as often as they should be tried."""
        friends = [other for other, weight, _, _ in self._ties[person] for _ in range(weight)]
        if not friends:
            return [-1]
        return friends + [-1] * max(1, round(len(friends) * (1 / TO_FRIENDS - 1)))

    def _place(self, seating: Sequence[int]) -> None:
        problem = self.problem
        crew_count = len(problem.crews)
        self.seating = list(seating)
        self._crew = list(seating)
        self._sizes = [0] * (crew_count + 1)
        free: list[list[int]] = [[] for _ in range(crew_count)]
        outside: list[int] = []
        room = list(self._capacities)
        for person, crew in enumerate(seating):
            if crew == NOWHERE:
                outside.append(person)
                continue
            self._sizes[crew] += 1
            room[crew] -= 1
            if person not in problem.pins:
                free[crew].append(person)
        #: Who sits on each seat that is not pinned, -1 for nobody; a crew's seats stand together.
        self._occupant: list[int] = []
        self._seat_crew: list[int] = []
        self._first: list[int] = []
        self._count: list[int] = []
        for crew in range(crew_count):
            seats = free[crew] + [-1] * room[crew]
            self._first.append(len(self._occupant))
            self._count.append(len(seats))
            self._occupant += seats
            self._seat_crew += [crew] * len(seats)
        # Nobody outside shares a crew with anybody, so each place outside is a crew of its own.
        for number, person in enumerate(outside):
            self._crew[person] = -2 - number
            self._occupant.append(person)
            self._seat_crew.append(-2 - number)
        self._seat = [-1] * len(problem.people)
        for seat, person in enumerate(self._occupant):
            if person >= 0:
                self._seat[person] = seat
        self._met = [
            sum(self._crew[other] == self._crew[person] for other in problem.wishes[person])
            for person in range(len(problem.people))
        ]
        self._moved = sum(self._crew[person] != crew for person, crew in problem.current.items())
        #: Relative to where it began.
        self._value = 0.0
        self._best = 0.0

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
        if not self._movable or len(self._occupant) < 2:
            return 0
        self.weights = weights
        self._value = self._best = 0.0
        chunks = max(1, round(steps / CHUNK))
        for chunk in range(chunks):
            if not goes_on(chunk / chunks):
                return chunk * CHUNK
            self._walk(hot * (cold / hot) ** (chunk / max(1, chunks - 1)))
            if self._value > self._best + 1e-9:
                self._best = self._value
                self.seating = [crew if crew >= 0 else NOWHERE for crew in self._crew]
        return chunks * CHUNK

    def _walk(self, temperature: float) -> None:  # noqa: PLR0912, PLR0915 - a call would cost more than a step
        """One chunk of steps at one temperature."""
        crew, met, seat_of, occupant, seat_crew = (
            self._crew, self._met, self._seat, self._occupant, self._seat_crew,
        )  # fmt: skip
        ties, avoided, near, weights = self._ties, self.problem.avoided, self._near, self._weight
        first, count, sizes, unevenness = self._first, self._count, self._sizes, self._unevenness
        targets, movable, home, logs = self._targets, self._movable, self._home, self._logs
        chance, wishers, wishes = self._random, self._wishers, self.problem.wishes
        w_avoided, w_satisfied, w_uneven, w_moves = (
            self.weights.avoided, self.weights.satisfied, self.weights.uneven, self.weights.moves,
        )  # fmt: skip
        most_moves = len(crew) if self.problem.most_moves is None else self.problem.most_moves
        has_home = bool(self.problem.current)
        movable_count, seat_count = len(movable), len(occupant)
        value, moved = self._value, self._moved
        offset = int(chance() * 4096)
        for step in range(CHUNK):
            # One random number serves all three choices: each takes its share of the 53 bits.
            draw = chance() * movable_count
            number = int(draw)
            person = movable[number]
            here = crew[person]
            choices = targets[person]
            draw = (draw - number) * len(choices)
            number = int(draw)
            friend = choices[number]
            if friend >= 0:
                there = crew[friend]
                if there == here or there < 0:
                    continue
                seat = first[there] + int((draw - number) * count[there])
                if not count[there]:
                    continue
            else:
                seat = int((draw - number) * seat_count)
                there = seat_crew[seat]
                if there == here:
                    continue
            other = occupant[seat]
            weight = satisfied = together = mine = 0
            for tied, pair, wished, wishing in ties[person]:
                where = crew[tied]
                if where == here:
                    weight -= pair
                    if wishing and met[tied] == 1:
                        satisfied -= 1
                elif where == there:
                    weight += pair
                    if wished:
                        mine += 1
                    if wishing and not met[tied]:
                        satisfied += 1
            for tied in avoided[person]:
                where = crew[tied]
                if where == here:
                    together -= 1
                elif where == there:
                    together += 1
            if mine:
                if not met[person]:
                    satisfied += 1
            elif met[person]:
                satisfied -= 1
            change = 0.0
            theirs = 0
            if other >= 0:
                for tied, pair, wished, wishing in ties[other]:
                    where = crew[tied]
                    if where == there:
                        weight -= pair
                        if wishing and met[tied] == 1:
                            satisfied -= 1
                    elif where == here:
                        weight += pair
                        if wished:
                            theirs += 1
                        if wishing and not met[tied]:
                            satisfied += 1
                for tied in avoided[other]:
                    where = crew[tied]
                    if where == there:
                        together -= 1
                    elif where == here:
                        together += 1
                if theirs:
                    if not met[other]:
                        satisfied += 1
                elif met[other]:
                    satisfied -= 1
                if other in near[person]:
                    # Counted as if the other had stayed: put right what concerns them both.
                    tie = weights[person].get(other)
                    if tie:
                        weight -= 2 * tie
                    if other in avoided[person]:
                        together -= 2
                    satisfied = 0
                    crew[person], crew[other] = there, here
                    for tied in wishers[person] | wishers[other] | {person, other}:
                        where = crew[tied]
                        now = False
                        for wish in wishes[tied]:
                            if crew[wish] == where:
                                now = True
                                break
                        if now:
                            if not met[tied]:
                                satisfied += 1
                        elif met[tied]:
                            satisfied -= 1
                    crew[person], crew[other] = here, there
            elif here >= 0:
                change = w_uneven * (
                    unevenness[here][sizes[here]] - unevenness[here][sizes[here] - 1]
                    + unevenness[there][sizes[there]] - unevenness[there][sizes[there] + 1]
                )  # fmt: skip
            change += weight + w_satisfied * satisfied - w_avoided * together
            leaving = 0
            if has_home:
                at = home[person]
                leaving = (here == at) - (there == at)
                if other >= 0:
                    at = home[other]
                    leaving += (there == at) - (here == at)
                change -= w_moves * leaving
            if change < 0 and change < temperature * logs[(step + offset) & 4095]:
                continue
            if leaving > 0 and moved + leaving > most_moves:
                continue
            # Accepted.
            value += change
            moved += leaving
            seat_here = seat_of[person]
            occupant[seat] = person
            occupant[seat_here] = other
            seat_of[person] = seat
            crew[person] = there
            if other >= 0:
                seat_of[other] = seat_here
                crew[other] = here
                for tied in wishers[person] | wishers[other] | {person, other}:
                    where = crew[tied]
                    total = 0
                    for wish in wishes[tied]:
                        if crew[wish] == where:
                            total += 1
                    met[tied] = total
            else:
                sizes[here] -= 1
                sizes[there] += 1
                for tied in wishers[person]:
                    where = crew[tied]
                    if where == there:
                        met[tied] += 1
                    elif where == here:
                        met[tied] -= 1
                met[person] = mine
        self._value, self._moved = value, moved
