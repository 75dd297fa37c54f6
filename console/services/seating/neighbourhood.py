"""Large-neighbourhood search: two to four related crews are unseated and seated again as well as they can be.

CP-SAT (ortools) solves each such part exactly or nearly so; the whole at once is beyond it (the method: Shaw
1998). The part's score is an integer that keeps the order of the aims. Without ortools, `available` is False.
"""

import random
from collections.abc import Callable, Sequence
from threading import Thread
from typing import Any

from console.services.seating.problem import NOWHERE, Problem

try:
    # The solver's core. `cp_model`, its comfortable face, would load pandas: 60 MB and a third of a second.
    from ortools.sat.python import cp_model_helper as solver
except ImportError:  # pragma: no cover - the wheel is missing on some machines
    solver = None  # type: ignore[assignment]

available = solver is not None

#: No crew is added to a part of so many people.
MOST_PEOPLE = 34
#: How many people are looked at for one who has no wish met.
LOOKS = 20
#: What a line of the model costs to write and to read, in the unit of the solver's deterministic time.
LINE_EFFORT = 25e-6
#: What choosing a part costs, also one that is settled.
LOOK_EFFORT = 40e-6
#: Between two looks, while the solver works, at whether it should go on.
LOOK_SECONDS = 0.05


class Neighbourhoods:
    """A seating that gets better part by part. `seating` is the best so far, never worse than it began."""

    def __init__(self, problem: Problem, seating: Sequence[int], seed: int) -> None:
        self.problem = problem
        self.seating = list(seating)
        self._random = random.Random(seed)  # noqa: S311 - chance, not secrets
        self._ties = problem.ties()
        self._bands = problem.bands()
        self._members: list[list[int]] = [[] for _ in problem.crews]
        for person, crew in enumerate(seating):
            if crew != NOWHERE:
                self._members[crew].append(person)
        self._moved = sum(seating[person] != crew for person, crew in problem.current.items())
        #: Parts that were solved to the end and gave nothing: no use in solving them again.
        self._settled: dict[frozenset[int], tuple[int, ...]] = {}

    def related(self, count: int) -> list[int]:
        """Related crews: one at random, then those to which most unmet wishes of the chosen ones lead.

        Every other time it begins with somebody without any wish met and one of those they wish for.
        """
        chosen = self._unhappy() or [self._random.randrange(len(self.problem.crews))]
        while len(chosen) < min(count, len(self.problem.crews)):
            if len(chosen) > 1 and sum(len(self._members[crew]) for crew in chosen) >= MOST_PEOPLE:
                break
            pull: dict[int, float] = {}
            for crew in chosen:
                for person in self._members[crew]:
                    happy = any(self.seating[other] == crew for other in self.problem.wishes[person])
                    for other, weight, wished, _ in self._ties[person]:
                        where = self.seating[other]
                        if where not in chosen and where != NOWHERE:
                            pull[where] = pull.get(where, 0) + weight + (3 if wished and not happy else 0)
            if pull and self._random.random() < 0.9:
                crews = sorted(pull)
                chosen.append(self._random.choices(crews, [pull[crew] for crew in crews])[0])
            else:
                chosen.append(
                    self._random.choice([c for c in range(len(self.problem.crews)) if c not in chosen])
                )
        return chosen

    def _unhappy(self) -> list[int]:
        """The crews of somebody without any wish met and of one they wish for; none if none is found soon."""
        for _ in range(LOOKS if self._random.random() < 0.5 else 0):
            person = self._random.randrange(len(self.problem.people))
            wishes, crew = self.problem.wishes[person], self.seating[person]
            if not wishes or crew == NOWHERE or any(self.seating[other] == crew for other in wishes):
                continue
            there = self.seating[self._random.choice(wishes)]
            return [crew, there] if there != NOWHERE else [crew]
        return []

    def improve(
        self, crews: Sequence[int], *, effort: float, goes_on: Callable[[], bool] = lambda: True
    ) -> float:
        """Seats the people of these crews again; the effort it took, in the solver's deterministic time.

        `effort` limits it so that the same input gives the same answer. `goes_on` is asked many times a
        second; False ends it with what was found.
        """
        part = frozenset(crews)
        people = tuple(sorted(person for crew in crews for person in self._members[crew]))
        if self._settled.get(part) == people:
            return LOOK_EFFORT
        model = Model(self, sorted(part), people)
        if not model.free:
            self._settled[part] = people
            return LOOK_EFFORT
        found, proven, spent = model.solve(effort, goes_on)
        self._moved += sum(
            (self.seating[person] == self.problem.current.get(person))
            - (crew == self.problem.current.get(person))
            for person, crew in found.items()
            if person in self.problem.current
        )
        if proven:
            self._settled[part] = people
        for person, crew in found.items():
            before = self.seating[person]
            if before != crew:
                self._members[before].remove(person)
                self._members[crew].append(person)
                self.seating[person] = crew
        return LOOK_EFFORT + spent + LINE_EFFORT * model.size


class Model:
    """The CP-SAT model of a part in the solver's text format, the present seating its complete hint."""

    def __init__(self, whole: Neighbourhoods, crews: Sequence[int], people: Sequence[int]) -> None:
        problem = self.problem = whole.problem
        self._seating = whole.seating
        self._crews = crews
        self._inside = set(people)
        self._ties = whole._ties
        self.free = [person for person in people if person not in problem.pins]
        self._hints: list[int] = []
        self._lines: list[str] = []
        #: Variable and coefficient by aim: avoided, satisfied, weight, uneven, moves.
        self._aims: list[list[tuple[int, int]]] = [[], [], [], [], []]
        self._at: dict[tuple[int, int], int | None] = {}
        self._place()
        self._symmetry()
        self._crowd(whole._bands)
        self._avoidances()
        self._wishes()
        self._homes(whole._moved)

    @property
    def size(self) -> int:
        return len(self._lines)

    def _variable(self, hint: int, most: int = 1) -> int:
        self._lines.append(f"variables{{domain:[0,{most}]}}")
        self._hints.append(hint)
        return len(self._hints) - 1

    def _place(self) -> None:
        """Everybody in exactly one crew. `_at` is 1, 0 (None) or a variable, as -1, None, number."""
        for person in self.free:
            row = []
            for crew in self._crews:
                variable = self._variable(int(self._seating[person] == crew))
                self._at[person, crew] = variable
                row.append(variable)
            self._lines.append(f"constraints{{exactly_one{{literals:{row}}}}}")
        for person in self._inside:
            if person in self.problem.pins:
                for crew in self._crews:
                    self._at[person, crew] = -1 if self.problem.pins[person] == crew else None

    def _symmetry(self) -> None:
        """Crews alike are interchangeable: of each class the first person's crew comes first, and so on."""
        touched = {self.problem.pins[p] for p in self._inside if p in self.problem.pins}
        touched |= {self.problem.current[p] for p in self._inside if p in self.problem.current}
        alike: dict[int, list[int]] = {}
        for crew in self._crews:
            if crew not in touched:
                alike.setdefault(self.problem.capacities[crew], []).append(crew)
        for crews in alike.values():
            leaders = []
            for crew in crews:
                members = [person for person in self.free if self._seating[person] == crew]
                if members:
                    leaders.append((max(members, key=lambda p: (len(self._ties[p]), -p)), crew))
            if len(leaders) < len(crews):
                continue
            for number, (person, _) in enumerate(leaders):
                for _, crew in leaders[number + 1 :]:
                    self._lines.append(
                        f"constraints{{bool_or{{literals:[{-1 - (self._at[person, crew] or 0)}]}}}}"
                    )

    def _crowd(self, bands: Sequence[tuple[int, int]]) -> None:
        for crew in self._crews:
            row = [variable for p in self.free if (variable := self._at[p, crew]) is not None]
            pinned = sum(self._at.get((p, crew)) == -1 for p in self._inside)
            room = self.problem.capacities[crew] - pinned
            ones = [1] * len(row)
            self._lines.append(f"constraints{{linear{{vars:{row} coeffs:{ones} domain:[0,{room}]}}}}")
            fewest, most = bands[crew]
            size = sum(self._hints[variable] for variable in row) + pinned
            worst = max(min(self.problem.capacities[crew], len(self._inside)) - most, fewest)
            if worst <= 0:
                continue
            uneven = self._variable(max(0, size - most, fewest - size), worst)
            self._lines.append(
                f"constraints{{linear{{vars:{[*row, uneven]} coeffs:{[*ones, -1]} "
                f"domain:[-{worst},{most - pinned}]}}}}"
            )
            self._lines.append(
                f"constraints{{linear{{vars:{[*row, uneven]} coeffs:{[*ones, 1]} "
                f"domain:[{fewest - pinned},{room + worst}]}}}}"
            )
            self._aims[3].append((uneven, -1))

    def _avoidances(self) -> None:
        pairs = [
            (person, other)
            for person in self._inside
            for other in self.problem.avoided[person]
            if other in self._inside and person < other
        ]
        broken = any(self._seating[one] == self._seating[two] for one, two in pairs)
        for one, two in pairs:
            for crew in self._crews:
                a, b = self._at[one, crew], self._at[two, crew]
                if a is None or b is None or (a == b == -1):
                    continue
                literals = [-1 - variable for variable in (a, b) if variable != -1]
                if broken:
                    both = self._seating[one] == self._seating[two] == crew
                    variable = self._variable(int(both))
                    self._aims[0].append((variable, -1))
                    literals.append(variable)
                self._lines.append(f"constraints{{bool_or{{literals:{literals}}}}}")

    def _wishes(self) -> None:
        together: dict[tuple[int, int], list[int]] = {}
        sure: set[tuple[int, int]] = set()
        for person in self._inside:
            for other, weight, _, _ in self._ties[person]:
                if other not in self._inside or other < person:
                    continue
                for crew in self._crews:
                    a, b = self._at[person, crew], self._at[other, crew]
                    if a is None or b is None:
                        continue
                    if a == b == -1:
                        sure.add((person, other))
                        continue
                    if a == -1 or b == -1:
                        variable = b if a == -1 else a
                    else:
                        variable = self._variable(int(self._hints[a] and self._hints[b]))
                        self._lines.append(
                            f"constraints{{enforcement_literal:{variable} bool_and{{literals:[{a},{b}]}}}}"
                        )
                    self._aims[2].append((variable, weight))
                    together.setdefault((person, other), []).append(variable)
        for person in self._inside:
            pairs = [(min(person, other), max(person, other)) for other in self.problem.wishes[person]]
            literals = [variable for pair in pairs for variable in together.get(pair, ())]
            if not literals or not sure.isdisjoint(pairs):
                continue
            met = self._variable(int(any(self._hints[variable] for variable in literals)))
            self._lines.append(f"constraints{{bool_or{{literals:{[*literals, -1 - met]}}}}}")
            self._aims[1].append((met, 1))

    def _homes(self, moved: int) -> None:
        for person in self.free:
            home = self.problem.current.get(person)
            variable = self._at.get((person, home)) if home is not None else None
            if variable is not None:
                self._aims[4].append((variable, 1))
        at_home = [variable for variable, _ in self._aims[4]]
        if self.problem.most_moves is not None and at_home:
            stay = sum(self._hints[variable] for variable in at_home) - (self.problem.most_moves - moved)
            self._lines.append(
                f"constraints{{linear{{vars:{at_home} coeffs:{[1] * len(at_home)} "
                f"domain:[{stay},{len(at_home)}]}}}}"
            )

    def solve(self, effort: float, goes_on: Callable[[], bool]) -> tuple[dict[int, int], bool, float]:
        """The crews found (by person), whether nothing better exists, and the effort it took."""
        coefficients: dict[int, int] = {}
        scale = 1
        for aim in reversed(self._aims):
            for variable, factor in aim:
                # Minimised, hence the sign.
                coefficients[variable] = coefficients.get(variable, 0) - factor * scale
            reach = len(self.problem.people) if aim is self._aims[3] else 1
            scale *= 1 + sum(abs(factor) for _, factor in aim) * reach
        variables = list(range(len(self._hints)))
        text = "".join(self._lines)
        text += f"objective{{vars:{list(coefficients)} coeffs:{list(coefficients.values())}}}"
        text += f"solution_hint{{vars:{variables} values:{self._hints}}}"
        model = solver.CpModelProto()
        if not model.parse_text_format(text):
            raise RuntimeError("the solver does not read the model")
        parameters = solver.SatParameters()
        parameters.parse_text_format(
            "num_workers:1 symmetry_level:0 cp_model_probing_level:0 linearization_level:0 random_seed:1 "
            f"max_deterministic_time:{effort}"
        )
        wrapper = solver.SolveWrapper()
        wrapper.set_parameters(parameters)
        response = _answer(wrapper, model, goes_on)
        if response.status not in (solver.CpSolverStatus.OPTIMAL, solver.CpSolverStatus.FEASIBLE):
            return {}, False, response.deterministic_time
        values = list(response.solution)
        found = {
            person: crew
            for (person, crew), variable in self._at.items()
            if variable not in (None, -1) and values[variable]
        }
        return found, response.status == solver.CpSolverStatus.OPTIMAL, response.deterministic_time


def _answer(wrapper: Any, model: Any, goes_on: Callable[[], bool]) -> Any:
    """What the solver answers. It works in a thread: signals and cancellations are heard meanwhile."""
    answers: list[Any] = []
    work = Thread(target=lambda: answers.append(wrapper.solve(model)), daemon=True)
    work.start()
    try:
        while work.is_alive():
            work.join(LOOK_SECONDS)
            if not goes_on():
                wrapper.stop_search()
    finally:
        # Whoever is told to go, goes when the solver is done: it must not outlive what it works with.
        wrapper.stop_search()
        work.join()
    return answers[0]
