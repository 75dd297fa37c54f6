"""The auto-seat: greedy, then a short annealing, then large-neighbourhood search; again from elsewhere while
there is work left.

The work is counted, not timed: the same problem, effort and seed give the same seating. Only where a machine
is so slow that the time is up before the work is done, the best so far is the answer, and may differ.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from console.services.seating import neighbourhood
from console.services.seating.annealing import CHUNK, Annealing, Weights
from console.services.seating.greedy import greedy
from console.services.seating.neighbourhood import Neighbourhoods
from console.services.seating.problem import Problem
from console.services.seating.score import Score, score

#: Effort of a second: what one core of 2024 does in it, less what others may take of it meanwhile.
EFFORT_PER_SECOND = 0.7
#: A step of the annealing, in seconds of such a core.
STEP_EFFORT = 0.14e-6
#: The share of the annealing; the rest is for the parts, which put right what it leaves.
ANNEALING_SHARE = 0.65
#: Steps for each pair of people after which a longer walk finds little more than another one from elsewhere.
STEPS_PER_PAIR = 300
#: How many walks a round has where they are that cheap.
STARTS = 4
#: Part sizes in turn once pairs of crews have nothing left to give each other: pairs cost little.
PARTS = (2, 2, 3, 2, 4, 2, 3, 4)
#: The solver's deterministic time for one part: at first, and when nothing has come of the parts for long.
PART_EFFORT = 0.02
MOST_PART_EFFORT = 0.06
#: Parts a crew without any gain after which a round ends.
PATIENCE = 12
#: Between two calls of `goes_on`.
REPORT_SECONDS = 0.1
#: First wishes in bulk, hot enough to move groups; then everybody's one wish, while it sets.
STAGES = (
    (0.6, 2.5, 0.5, Weights(satisfied=6)),
    (0.4, 0.8, 0.15, Weights(satisfied=25, avoided=80)),
)
#: At the end: nothing that costs a wish, only what makes crews more even or leaves people where they were.
POLISH = Weights(avoided=1000, satisfied=100, uneven=0.3, moves=0.01)
POLISH_SHARE = 0.03


@dataclass(frozen=True)
class Solution:
    """A seating, for each person the index of their crew or NOWHERE, and what it is worth."""

    seating: Sequence[int]
    score: Score
    #: Whether the work was done as planned: then the same input and seed give the same again.
    complete: bool


GoesOn = Callable[[Score], bool]


def effort_of(seconds: float) -> float:
    """The work to plan for so many seconds of wall time."""
    return max(0.05, EFFORT_PER_SECOND * seconds)


def solve(
    problem: Problem,
    *,
    effort: float,
    seed: int = 0,
    deadline: float = float("inf"),
    goes_on: GoesOn = lambda _: True,
) -> Solution:
    """The best seating found with `effort` (see `effort_of`), by `deadline` (time.monotonic) at the latest.

    `goes_on` gets the score of the best so far about ten times a second; False ends the search with it.
    """
    return Search(problem, effort, seed, deadline, goes_on).run()


class Search:
    """One search: the best so far, what is left of the effort, and who may end it."""

    def __init__(self, problem: Problem, effort: float, seed: int, deadline: float, goes_on: GoesOn) -> None:
        self.problem = problem
        self._left = effort
        #: Kept for the end.
        self._reserve = POLISH_SHARE * effort
        self._seed = seed
        self._deadline = deadline
        self._goes_on = goes_on
        self._cut = False
        self._reported = time.monotonic()
        self._first = self._best = greedy(problem)
        self._best_score = score(problem, self._best)

    def run(self) -> Solution:
        people = len(self.problem.people)
        share = ANNEALING_SHARE if neighbourhood.available else 1.0
        chunk = CHUNK * STEP_EFFORT
        enough = max(chunk, STEPS_PER_PAIR * people * (people - 1) / 2 * STEP_EFFORT)
        starts = 0
        while self._left > self._reserve + chunk and self._on() and people and self.problem.crews:
            budget = share * (self._left - self._reserve)
            walks = max(1, min(STARTS, int(budget / enough)))
            found = []
            for _ in range(walks):
                found.append(self._anneal(budget / walks, starts))
                self._keep(found[-1])
                starts += 1
            best = min(found, key=lambda seating: score(self.problem, seating).order)
            self._improve(Neighbourhoods(self.problem, best, self._seed + starts))
        # Whoever ends the search does not want to wait for that.
        if not self._cut:
            self._polish()
        return Solution(self._best, self._best_score, complete=not self._cut)

    def _anneal(self, effort: float, number: int) -> list[int]:
        walk = Annealing(self.problem, self._first, self._seed * 1000 + number)
        for portion, hot, cold, weights in STAGES:
            steps = int(min(effort, self._left) * portion / STEP_EFFORT)
            walk.run(steps, hot=hot, cold=cold, weights=weights, goes_on=lambda _: self._on())
        self._left -= effort
        return walk.seating

    def _improve(self, parts: Neighbourhoods) -> None:
        """Improves part after part until the effort is spent or nothing has come of it for long."""
        if not neighbourhood.available:
            return
        crews = len(self.problem.crews)
        number = patience = 0
        while self._left > self._reserve and patience < PATIENCE * crews and self._on():
            size = PARTS[number % len(PARTS)]
            effort = PART_EFFORT * 2 ** (2 * patience // (PATIENCE * crews) * 2)
            number += 1
            before = list(parts.seating)
            self._left -= parts.improve(
                parts.related(size), effort=min(MOST_PART_EFFORT, effort), goes_on=self._on
            )
            patience = patience + 1 if parts.seating == before else 0
            if not patience:
                self._keep(parts.seating)

    def _polish(self) -> None:
        walk = Annealing(self.problem, self._best, self._seed)
        steps = int(min(self._reserve / STEP_EFFORT, 500 * len(self.problem.people)))
        walk.run(
            steps, hot=0.05, cold=0.001, weights=POLISH, goes_on=lambda _: time.monotonic() < self._deadline
        )
        self._keep(walk.seating)

    def _keep(self, seating: Sequence[int]) -> None:
        found = score(self.problem, seating)
        if found.order < self._best_score.order:
            self._best, self._best_score = list(seating), found

    def _on(self) -> bool:
        """Whether to go on: the time is not up and nobody has had enough."""
        now = time.monotonic()
        if self._cut or now >= self._deadline:
            self._cut = True
        elif now - self._reported >= REPORT_SECONDS:
            self._reported = now
            self._cut = not self._goes_on(self._best_score)
        return not self._cut
