"""Group commit: who is answered together, who does the work, and what becomes of the others if it fails."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from console.group_commit import GROUP_MAX, GroupCommit

SECONDS = 10


class Ended(BaseException):
    """Ends a thread in the middle of its work, as nothing that could be caught."""


class Work:
    """Answers each request with its double; the first group waits until it may go on."""

    def __init__(self) -> None:
        self.groups: list[Sequence[int]] = []
        self.begun = threading.Event()
        self.goes_on = threading.Event()
        self.fails: Callable[[Sequence[int]], None] = lambda requests: None

    def __call__(self, key: str, requests: Sequence[int]) -> list[int]:
        self.groups.append(requests)
        self.begun.set()
        assert self.goes_on.wait(SECONDS)
        self.fails(requests)
        return [2 * request for request in requests]


def ask_one_then(work: Work, others: Sequence[int], pool: ThreadPoolExecutor) -> list[Future[int]]:
    """Number 1 is being worked for when the others come, in their order; then the work goes on."""
    commit: Any = GroupCommit(work)
    asked = [pool.submit(commit.ask, "trip", 1)]
    assert work.begun.wait(SECONDS)
    for place, other in enumerate(others, start=1):
        asked.append(pool.submit(commit.ask, "trip", other))
        until = time.monotonic() + SECONDS
        while len(commit._lines["trip"]) < place:
            assert time.monotonic() < until
            time.sleep(0.001)
    work.goes_on.set()
    return asked


def test_those_who_come_meanwhile_are_answered_together_in_their_order() -> None:
    work = Work()
    with ThreadPoolExecutor(8) as pool:
        asked = ask_one_then(work, [5, 3, 4], pool)
        assert [each.result(SECONDS) for each in asked] == [2, 10, 6, 8]
    assert work.groups == [[1], [5, 3, 4]]


def test_nobody_waits_for_a_group_without_end() -> None:
    work = Work()
    others = list(range(2, GROUP_MAX + 4))
    with ThreadPoolExecutor(len(others) + 1) as pool:
        asked = ask_one_then(work, others, pool)
        assert [each.result(SECONDS) for each in asked] == [2 * each for each in [1, *others]]
    assert [len(group) for group in work.groups] == [1, GROUP_MAX, 2]


def test_one_thing_does_not_wait_for_another() -> None:
    work = Work()
    commit: Any = GroupCommit(lambda key, requests: work(key, requests) if key == "slow" else requests)
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(commit.ask, "slow", 1)
        assert work.begun.wait(SECONDS)
        assert commit.ask("quick", 7) == 7
        work.goes_on.set()
        assert slow.result(SECONDS) == 2


def test_what_fails_fails_for_its_group_and_nobody_else() -> None:
    def fail(requests: Sequence[int]) -> None:
        if 5 in requests:
            raise ValueError("not five")

    work = Work()
    work.fails = fail
    with ThreadPoolExecutor(8) as pool:
        first, *rest = ask_one_then(work, [5, 3], pool)
        assert first.result(SECONDS) == 2
        for each in rest:
            with pytest.raises(ValueError, match="not five"):
                each.result(SECONDS)
    assert work.groups == [[1], [5, 3]]


def test_when_the_thread_that_works_for_all_ends_the_next_one_does_it() -> None:
    def end(requests: Sequence[int]) -> None:
        if 5 in requests:
            raise Ended

    work = Work()
    work.fails = end
    with ThreadPoolExecutor(8) as pool:
        first, killed, *rest = ask_one_then(work, [5, 3, 4], pool)
        with pytest.raises(Ended):
            killed.result(SECONDS)
        assert [each.result(SECONDS) for each in (first, *rest)] == [2, 6, 8]
    assert work.groups == [[1], [5, 3, 4], [3, 4]]


def test_nothing_is_left_behind() -> None:
    commit: Any = GroupCommit(lambda key, requests: requests)
    assert commit.ask("trip", 1) == 1
    assert commit._lines == {}
