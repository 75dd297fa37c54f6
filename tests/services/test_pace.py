"""The bot's pace: what is reserved keeps the limits, whoever reserves and however late they are."""

import itertools
import random
from typing import Any

import pytest
import sqlalchemy as sa

from console.db import db
from console.services import pace, retention
from console.services.pace import Late

PER_SECOND = 30


def within_limits(times: list[float], chats: list[int]) -> bool:
    """Whether no second holds more than the limit, and no chat two messages."""
    ordered = sorted(times)
    fits = all(b - a >= 1 for a, b in zip(ordered, ordered[PER_SECOND:], strict=False))
    by_chat: dict[int, list[float]] = {}
    for moment, chat in sorted(zip(times, chats, strict=True)):
        by_chat.setdefault(chat, []).append(moment)
    return fits and all(b - a >= 1 for own in by_chat.values() for a, b in itertools.pairwise(own))


def test_many_at_once_take_no_longer_than_the_limit_allows() -> None:
    used: list[float] = []
    now, got = 1000.0, 0
    while got < 1000:
        got += sum(slot is not None for slot in pace.next_slots(used, [0.0] * 12, now, PER_SECOND))
        now = max(now + 0.05, used[-1] - 0.25)
    assert within_limits(used, list(range(len(used))))
    assert used[149] - 1000 <= 150 / PER_SECOND
    assert used[999] - 1000 <= 1.03 * 1000 / PER_SECOND


@pytest.mark.parametrize("seed", range(5))
def test_hiccups_of_whoever_sends_never_exceed_the_limit(seed: int) -> None:
    chance = random.Random(seed)
    used: list[float] = []
    now, real = 50.0, []
    while len(real) < 600:
        late = []
        for slot in pace.next_slots(used, [0.0] * chance.randint(1, 12), now, PER_SECOND):
            if slot is not None:
                actual = slot + (chance.uniform(0, 0.4) if chance.random() < 0.1 else 0.0)
                real.append(actual)
                if actual > slot:
                    late.append(Late(0, slot, actual))
        used = pace.corrected(used, late)
        now += chance.uniform(0.01, 0.2)
    assert within_limits(real, list(range(len(real))))


def test_without_a_limit_everybody_goes_at_once() -> None:
    assert pace.next_slots([], [0.0] * 100, 5.0, 0) == [5.0] * 100


def test_chat_that_is_busy_lets_the_others_go_first() -> None:
    slots = pace.next_slots([], [5.3, 0.0, 5.9], 5.0, PER_SECOND)
    assert slots[1] == 5.0
    assert slots[0] == 5.3
    # Too far ahead to be given.
    assert slots[2] is None


def test_pause_holds_for_every_worker_and_lasts_as_long_as_the_longest(session: Any) -> None:
    assert pace.paused_seconds() == 0
    for seconds in (3, 30, 10):
        pace.pause(seconds)
    assert 29 < pace.paused_seconds() <= 30
    granted = pace.reserve([1, 2])
    assert granted.slots == [None, None]
    assert 29 < granted.paused <= 30


def test_chats_that_were_not_written_to_lately_are_forgotten(session: Any) -> None:
    pace.reserve([1, 2])
    assert retention.due() == []
    db.session.execute(sa.text("UPDATE ops.chat_paces SET free_at = now() - interval '2 hours'"))
    (term,) = retention.due()
    assert [retention.purge(term, limit) for limit in (1, 5, 5)] == [1, 1, 0]
