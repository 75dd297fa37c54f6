"""The auto-seat engine: its score, its rules, and that it finds what there is to find."""

import itertools
import threading
import time
from pathlib import Path

import pytest

from console.services.seating import annealing, neighbourhood
from console.services.seating.annealing import CHUNK, Annealing, Weights
from console.services.seating.explain import why
from console.services.seating.greedy import greedy
from console.services.seating.neighbourhood import Neighbourhoods
from console.services.seating.problem import NOWHERE, BadProblem, Problem, make, parse
from console.services.seating.score import Score, faults, score
from console.services.seating.solve import Search, effort_of, solve
from tests.services.seating import instances
from tools.build_walk import stamp


def small(**facts) -> Problem:
    """Ann and Bob wish for each other, Cid for Ann and for Dan, whom he avoids; two boats of two."""
    values = {
        "prefers": {"ann": ["bob", "ann", "bob", "eve"], "bob": ["ann"], "cid": ["ann", "dan"]},
        "avoids": {"cid": ["dan"]},
        **facts,
    }
    return make(["ann", "bob", "cid", "dan"], [("one", 2), ("two", 2)], **values)


def test_only_effective_wishes_count():
    problem = small()
    assert problem.wishes == [[1], [0], [0], []]
    assert problem.avoided == [[], [], [3], [2]]


def test_a_seating_is_scored_by_the_aims_in_their_order():
    problem = small(current={"ann": "one", "dan": "one"})
    assert score(problem, [0, 0, 1, 1]) == Score(0, 1, 2, 3, 0, 1)
    assert score(problem, [0, 1, 0, 1]) == Score(0, 0, 1, 1, 0, 1)
    assert score(problem, [0, 1, 0, NOWHERE]) == Score(1, 0, 1, 1, 1, 1)
    worse_to_better = [
        Score(1, 0, 9, 9, 0, 0),
        Score(0, 1, 9, 9, 0, 0),
        Score(0, 0, 8, 9, 0, 0),
        Score(0, 0, 9, 8, 0, 0),
        Score(0, 0, 9, 9, 1, 0),
        Score(0, 0, 9, 9, 0, 1),
        Score(0, 0, 9, 9, 0, 0),
    ]
    assert sorted(worse_to_better, key=lambda each: each.order, reverse=True) == worse_to_better


def test_even_means_in_proportion_to_the_seats():
    problem = make([f"p{n}" for n in range(7)], [("bus", 6), ("car", 3)], prefers={}, avoids={})
    assert problem.bands() == [(4, 5), (2, 3)]
    assert score(problem, [0] * 6 + [1]).uneven == 2
    assert score(problem, [0] * 5 + [1] * 2).uneven == 0


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([], "not a JSON object"),
        ({"people": []}, "crews is missing"),
        ({"people": [1], "crews": []}, "people is not a list of ids"),
        ({"people": ["a", "a"], "crews": []}, "person 'a' is there twice"),
        (
            {"people": [], "crews": [{"id": "c", "capacity": "4"}]},
            "crew c: capacity '4' is not a whole number",
        ),
        ({"people": [], "crews": [{"id": "c", "capacity": -1}]}, "capacity -1"),
        ({"people": [], "crews": [{"capacity": 4}]}, "number 1 has no id"),
        ({"people": ["a"], "crews": [], "pins": {"a": "c"}}, "there is no crew 'c'"),
        ({"people": ["a"], "crews": [], "avoids": {"a": "b"}}, "avoids of a is not a list of ids"),
        ({"people": ["a"], "crews": [], "prefers": ["a"]}, "prefers is not an object"),
        (
            {"people": ["a", "b"], "crews": [{"id": "c", "capacity": 1}], "pins": {"a": "c", "b": "c"}},
            "crew c: 2 people are pinned to 1 seats",
        ),
    ],
)
def test_bad_problem_says_what_is_wrong(document, said):
    with pytest.raises(BadProblem, match=said):
        parse(document)


@pytest.mark.parametrize("seed", range(6))
def test_annealing_counts_as_the_score_does(seed):
    """The walk keeps its totals by differences; a wrong one would drift away from the score."""
    problem = instances.problem(24, 4, seed, free=-2 if seed == 5 else 3, pinned=0.1, seated=0.5)
    walk = Annealing(problem, greedy(problem), seed)
    for temperature in (3.0, 0.5):
        walk.run(CHUNK, hot=temperature, cold=temperature, weights=Weights())
        seating, totals = walk.present
        assert not faults(problem, seating)
        assert totals == list(score(problem, seating))[1:]
    assert score(problem, walk.seating).order <= score(problem, seating).order


def test_annealing_keeps_the_best_by_the_order_of_the_aims():
    problem = instances.problem(24, 4, 1, seated=0.5)
    walk = Annealing(problem, greedy(problem), 1)
    best = score(problem, walk.seating)
    for temperature in (0.5, 4.0, 0.5, 4.0):
        walk.run(CHUNK, hot=temperature, cold=temperature, weights=Weights())
        now = score(problem, walk.seating)
        assert now.order <= best.order
        best = now
    assert best.order < score(problem, walk.present[0]).order, "it went on to worse ones"


def test_the_walk_was_made_from_its_source():
    """Whoever changes walk.c runs tools/build_walk.py."""
    source = Path(annealing.__file__).with_name("walk.c")
    assert source.with_suffix(".wasm").read_bytes().endswith(stamp(source.read_bytes()))


def optimum(problem: Problem) -> tuple[int, ...]:
    """By trying everything."""
    seatings = itertools.product(range(len(problem.crews)), repeat=len(problem.people))
    return min(score(problem, seating).order for seating in seatings if not faults(problem, seating))


@pytest.mark.parametrize("seed", range(4))
def test_small_problems_are_solved_to_the_optimum(seed):
    problem = instances.problem(7, 3, seed, free=1, pinned=0.1, seated=0.4)
    found = solve(problem, effort=0.1, seed=seed)
    assert found.complete
    assert not faults(problem, found.seating)
    assert found.score.order == optimum(problem)


@pytest.mark.parametrize("with_solver", [True, False])
def test_every_rule_is_kept_and_the_same_seed_gives_the_same(monkeypatch, with_solver):
    if not with_solver:
        monkeypatch.setattr(neighbourhood, "available", False)
    for free, seed in ((4, 1), (-5, 2)):
        problem = instances.problem(60, 8, seed, free=free, pinned=0.2, seated=0.5)
        first = solve(problem, effort=0.15, seed=3)
        assert first == solve(problem, effort=0.15, seed=3)
        assert not faults(problem, first.seating)
        assert first.score == score(problem, first.seating)
        assert first.score.order < score(problem, greedy(problem)).order


def test_at_most_so_many_people_are_moved():
    problem = instances.problem(60, 8, 5, seated=0.9, most_moves=4)
    found = solve(problem, effort=0.2)
    assert found.score.moves <= 4
    assert found.score.order < score(problem, greedy(problem)).order
    assert solve(instances.problem(60, 8, 5, seated=0.9, most_moves=0), effort=0.05).score.moves == 0


def test_a_part_is_never_worse_than_before():
    problem = instances.problem(40, 6, 7, pinned=0.1, seated=0.6)
    parts = Neighbourhoods(problem, greedy(problem), 1)
    before = score(problem, parts.seating)
    for size in (2, 3, 4, 2, 3):
        parts.improve(parts.related(size), effort=0.02)
        now = score(problem, parts.seating)
        assert now.order <= before.order
        assert not faults(problem, parts.seating)
        before = now


def test_a_part_ends_when_it_is_told_to():
    """The whole of a large problem would take the solver hours."""
    problem = instances.problem(200, 30, 1)
    parts = Neighbourhoods(problem, greedy(problem), 1)
    asked: list[float] = []

    def goes_on() -> bool:
        asked.append(time.monotonic())
        return len(asked) < 3

    parts.improve(range(30), effort=1e6, goes_on=goes_on)
    # Asked every 50 ms, it heard the answer; CI machines are slow.
    assert time.monotonic() - asked[2] < 30
    assert not faults(problem, parts.seating)
    assert score(problem, parts.seating).order <= score(problem, greedy(problem)).order


def test_avoided_people_are_parted_unless_they_are_pinned():
    problem = make(
        ["a", "b", "c", "d"],
        [("one", 2), ("two", 2)],
        prefers={"a": ["b"], "b": ["a"]},
        avoids={"a": ["b"], "c": ["d"]},
        pins={"c": "one", "d": "one"},
    )
    assert solve(problem, effort=0.05).score.avoided == 2
    assert (
        solve(
            make(problem.people, [("one", 2), ("two", 2)], prefers={}, avoids={"a": ["b"], "c": ["d"]}),
            effort=0.05,
        ).score.avoided
        == 0
    )


def test_nobody_and_nowhere_are_solved_too():
    assert solve(make([], [("one", 2)], prefers={}, avoids={}), effort=0.05).seating == []
    assert solve(make(["a"], [], prefers={}, avoids={}), effort=0.05).seating == [NOWHERE]
    empty = solve(make(["a"], [("one", 0), ("two", 1)], prefers={}, avoids={}), effort=0.05)
    assert empty.seating == [1]


def test_cancelling_keeps_the_best_so_far():
    problem = instances.problem(200, 30, 1)
    calls: list[float] = []

    def goes_on(best: Score) -> bool:
        calls.append(time.monotonic())
        return len(calls) < 3

    found = solve(problem, effort=60, goes_on=goes_on)
    assert len(calls) == 3
    assert not found.complete
    assert not faults(problem, found.seating)
    assert found.score.order <= score(problem, greedy(problem)).order


def test_a_process_told_to_go_leaves_no_solver_behind():
    """A solver that outlives what it works with takes the process down."""
    problem = instances.problem(200, 30, 1)
    search = Neighbourhoods(problem, greedy(problem), 1)

    def told_to_go() -> bool:
        raise SystemExit

    before = threading.active_count()
    with pytest.raises(SystemExit):
        search.improve(search.related(4), effort=1000, goes_on=told_to_go)
    assert threading.active_count() == before


def test_the_deadline_ends_the_search():
    began = time.monotonic()
    found = solve(instances.problem(100, 15, 1), effort=effort_of(1000), deadline=began + 0.3)
    assert not found.complete
    # CI machines are slow: what matters is that it did not go on for its effort.
    assert time.monotonic() - began < 60
    assert Search(small(), 1, 0, began, lambda _: True).run().score.unseated == 0


@pytest.mark.parametrize("seed", range(3))
def test_why_tells_what_every_other_crew_would_cost(seed):
    problem = instances.problem(20, 4, seed, free=2, pinned=0.1, seated=0.7)
    seating = solve(problem, effort=0.05).seating
    base = score(problem, seating)
    for person in (2, 11, 19):
        told = why(problem, seating, person, most=9)
        assert told.pinned == (person in problem.pins)
        assert sorted(told.met + told.unmet) == list(problem.wishes[person])
        assert all(seating[other] == seating[person] for other in told.met + told.avoided_here)
        for way in told.alternatives:
            moved = list(seating)
            moved[person] = way.crew
            if way.exchanged_with is not None:
                moved[way.exchanged_with] = seating[person]
            assert not faults(problem, moved)
            now = score(problem, moved)
            assert way.change == Score(*(new - old for new, old in zip(now, base, strict=True)))
            assert way.met == sum(moved[wish] == way.crew for wish in problem.wishes[person])
        if told.pinned:
            assert told.alternatives == []
        else:
            assert len(told.alternatives) == 3
