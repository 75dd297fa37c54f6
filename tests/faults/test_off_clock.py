"""A worker and a scheduler whose clocks are an hour off: what is due is decided by the database's clock."""

from pathlib import Path

from console.config import ROOT
from tests import make
from tests.faults.conftest import Stage
from tests.servers import until

OFF = {"PYTHONPATH": str(Path(__file__).parent / "off_clock") + ":" + str(ROOT)}
OPEN = "SELECT count(*) FROM event.bookings WHERE status = 'PENDING'"
WINDOW = """
SELECT extract(epoch FROM min(notification_expires_at) - min(notified_at))::int FROM event.waitlist
WHERE notified_at BETWEEN now() - interval '10 minutes' AND now()
"""


def one_due_and_one_not() -> None:
    """A hold that ran out a minute ago and one with half an hour left, and somebody who waits for a seat."""
    event = make.event(capacity=2)
    for minutes in (-1, 30):
        make.booking(event_id=event.id, user_id=make.person().id, expires_at=make.soon(minutes=minutes))
    make.waitlist_entry(event_id=event.id)


def test_processes_an_hour_off_expire_what_is_due_and_offer_the_whole_window(stage: Stage) -> None:
    stage.make(one_due_and_one_not)
    scheduler = stage.start("scheduler", **OFF, CLOCK_OFF_SECONDS="-3600")
    worker = stage.start(**OFF, CLOCK_OFF_SECONDS="3600")
    until(lambda: stage.value(WINDOW) == 30 * 60)
    assert stage.value(OPEN) == 1
    # They go on, tick after tick, and heartbeats are fresh by the database's clock.
    runs = stage.value("SELECT runs FROM ops.jobs WHERE name = 'expire-bookings'")
    until(lambda: stage.value("SELECT runs FROM ops.jobs WHERE name = 'expire-bookings'") > runs + 1)
    assert (
        stage.value("SELECT count(*) FROM ops.heartbeats WHERE abs(extract(epoch FROM now() - seen_at)) < 60")
        == 2
    )
    assert (scheduler.poll(), worker.poll(), stage.value(OPEN)) == (None, None, 1)
    assert stage.violations() == []


def test_control_by_its_own_clock_a_worker_ends_a_hold_that_has_half_an_hour(stage: Stage) -> None:
    stage.make(one_due_and_one_not)
    dying = stage.dying(**OFF, CLOCK_OFF_SECONDS="3600")
    assert dying("expire-bookings") == "done"
    assert stage.value(OPEN) == 1
    assert dying("expire-bookings", own_clock=1) == "done"
    assert stage.value(OPEN) == 0
