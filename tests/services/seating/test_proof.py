"""The proof that the benchmark of the auto-seat rests on: it finds what is better, and only that."""

import pytest

from bench.seating_proof import better
from console.services.seating.greedy import greedy
from console.services.seating.score import faults, score
from tests.services.seating import instances
from tests.services.seating.test_engine import optimum


@pytest.mark.parametrize("seed", range(3))
def test_what_is_best_is_proven_and_what_is_not_is_bettered(seed):
    problem = instances.problem(7, 3, seed, free=1, pinned=0.1, seated=0.4)
    best = score(problem, greedy(problem))
    for _ in range(50):
        found = better(problem, best, seconds=60)
        if found is None:
            break
        assert not faults(problem, found)
        assert score(problem, found).order < best.order
        best = score(problem, found)
    assert best.order == optimum(problem)
