"""Proves that nothing is better than a seating: for what 40 people are, a matter of seconds.

The engine's own model seats parts fast and bounds a whole badly. This one has a variable for every pair of
whom one wishes for the other. Their linear relaxation, with triangles (Grötschel and Wakabayashi 1989) and a
crew's seats as degrees, bounds how many can be together. The aims are proven one after the other: no seating
that is as good in all before is better in this one.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

from ortools.sat.python import cp_model

from console.services.seating.problem import Problem
from console.services.seating.score import Score, score


def better(problem: Problem, known: Score, *, seconds: float) -> Sequence[int] | None:
    """A seating better than `known`, None where there is none. TimeoutError after `seconds` for an aim."""
    best = known.order
    for number in range(1, len(best)):
        model = _Model(problem)
        for worth, reached in zip(model.aims[: number - 1], best[1:], strict=False):
            model.model.add(worth <= reached)
        model.model.add(model.aims[number - 1] <= best[number] - 1)
        found = model.solve(seconds)
        if found is not None:
            assert score(problem, found).order < best
            return found
    return None


class _Model:
    """Everybody in one crew, and the aims after the first in their order, each to be made small."""

    def __init__(self, problem: Problem) -> None:
        assert not problem.unseated, "everybody has a seat"
        self.model = model = cp_model.CpModel()
        people, crews = range(len(problem.people)), range(len(problem.crews))
        self.sits = [[model.new_bool_var("") for _ in crews] for _ in people]
        for person in people:
            model.add_exactly_one(self.sits[person])
        for person, crew in problem.pins.items():
            model.add(self.sits[person][crew] == 1)
        ties = problem.ties()
        weights = {(one, two): weight for one in people for two, weight, _, _ in ties[one] if one < two}
        avoided = [(one, two) for one in people for two in problem.avoided[one] if one < two]
        self._together = {pair: self._pair(*pair) for pair in [*weights, *avoided]}
        self._triangles()
        most = max(problem.capacities) - 1
        for person in people:
            with_them = [self._with(person, other) for other, _, _, _ in ties[person]]
            model.add(sum(with_them) <= most)
        satisfied = []
        for person, wishes in enumerate(problem.wishes):
            if wishes:
                satisfied.append(met := model.new_bool_var(""))
                model.add_bool_or([*(self._with(person, wish) for wish in wishes), ~met])
        uneven = []
        for crew, (fewest, least_over) in enumerate(problem.bands()):
            size = sum(self.sits[person][crew] for person in people)
            model.add(size <= problem.capacities[crew])
            uneven.append(beside := model.new_int_var(0, len(people), ""))
            model.add(beside >= size - least_over)
            model.add(beside >= fewest - size)
        self.aims: list[Any] = [
            sum(self._together[pair] for pair in avoided) + self._nothing(),
            -sum(satisfied) + self._nothing(),
            -sum(weight * self._together[pair] for pair, weight in weights.items()) + self._nothing(),
            sum(uneven) + self._nothing(),
            len(problem.current) - sum(self.sits[person][crew] for person, crew in problem.current.items()),
        ]

    def _nothing(self) -> Any:
        """Makes a sum of no terms an expression, too."""
        return self.model.new_constant(0)

    def _with(self, one: int, two: int) -> Any:
        return self._together[min(one, two), max(one, two)]

    def _pair(self, one: int, two: int) -> Any:
        together = self.model.new_bool_var("")
        for mine, theirs in zip(self.sits[one], self.sits[two], strict=True):
            self.model.add_bool_or(~together, ~mine, theirs)
            self.model.add_bool_or(~together, mine, ~theirs)
            self.model.add_bool_or(together, ~mine, ~theirs)
        return together

    def _triangles(self) -> None:
        """Who is with two people brings them together."""
        near: dict[int, set[int]] = {}
        for one, two in self._together:
            near.setdefault(one, set()).add(two)
            near.setdefault(two, set()).add(one)
        for person, others in near.items():
            for one, two in combinations(sorted(others), 2):
                if (one, two) in self._together:
                    first, second = self._with(person, one), self._with(person, two)
                    self.model.add_bool_or(~first, ~second, self._together[one, two])

    def solve(self, seconds: float) -> list[int] | None:
        solver = cp_model.CpSolver()
        solver.parameters.num_workers = 1
        solver.parameters.linearization_level = 2
        solver.parameters.max_time_in_seconds = seconds
        status = solver.solve(self.model)
        if status == cp_model.INFEASIBLE:
            return None
        if status == cp_model.UNKNOWN:
            raise TimeoutError(f"neither found nor proven in {seconds:g} s")
        return [
            next(crew for crew, here in enumerate(row) if solver.boolean_value(here)) for row in self.sits
        ]
