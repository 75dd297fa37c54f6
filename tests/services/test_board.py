"""The seating board: moves, swaps, locks, crews, undo and redo, and what others see of it."""

import json
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from console import errors
from console.db import db
from console.models import AuditLog, Booking, Crew, CrewAssignment, Event, SeatingStep, User
from console.services.seating import board, crews, moves, preferences, steps
from console.services.seating.moves import Move
from console.states import BookingStatus, CrewType, StepState
from tests import make

BOAT = CrewType.CREW


class Table:
    """An event with two boats of three seats and five people, and who works on it."""

    def __init__(self) -> None:
        self.event: Event = make.event(capacity=20)
        self.orca, self.tern = (
            make.crew(event_id=self.event.id, name=name, capacity=3) for name in ("Orca", "Tern")
        )
        self.riders = [make.booking(event_id=self.event.id, status=BookingStatus.CONFIRMED) for _ in range(5)]
        self.olga, self.oleg = make.staff(), make.staff()

    def read(self, since: int = 0, viewer: User | None = None) -> Any:
        return json.loads(board.read(self.event.id, viewer_id=(viewer or self.olga).id, since=since))

    def seats(self) -> dict[int, tuple[str, int]]:
        """Where each rider sits: {rider: (crew, seat)}."""
        rows = db.session.execute(
            sa.select(CrewAssignment.booking_id, Crew.name, CrewAssignment.seat_number).join(
                Crew, Crew.id == CrewAssignment.crew_id
            )
        )
        ids = [rider.id for rider in self.riders]
        return {ids.index(booking): (name, seat) for booking, name, seat in rows}

    def seen(self, rider: int) -> int | None:
        return db.session.scalar(
            sa.select(CrewAssignment.version).where(CrewAssignment.booking_id == self.riders[rider].id)
        )

    def go(
        self,
        rider: int,
        crew: Crew | None,
        seat: int | None = None,
        *,
        seen: Any = "now",
        actor: User | None = None,
    ) -> SeatingStep:
        move = self.move(rider, crew, seat, seen=seen)
        return moves.move_people(self.event.id, BOAT, [move], actor=actor or self.olga)

    def move(self, rider: int, crew: Crew | None, seat: int | None = None, *, seen: Any = "now") -> Move:
        version = self.seen(rider) if seen == "now" else seen
        return Move(self.riders[rider].id, version, crew.id if crew else None, seat)

    def undo(self, actor: User | None = None) -> SeatingStep:
        return steps.undo(self.event.id, actor=actor or self.olga)

    def redo(self, actor: User | None = None) -> SeatingStep:
        return steps.redo(self.event.id, actor=actor or self.olga)


@pytest.fixture
def table(session: Any) -> Table:
    return Table()


def test_people_sit_down_move_and_leave(table: Table) -> None:
    table.go(0, table.orca, 2)
    table.go(1, table.orca)
    assert table.seats() == {0: ("Orca", 2), 1: ("Orca", 1)}
    table.go(0, table.tern, 3)
    table.go(1, None)
    assert table.seats() == {0: ("Tern", 3)}
    actions = db.session.scalars(sa.select(AuditLog.action).order_by(AuditLog.created_at, AuditLog.id)).all()
    assert sorted(actions) == ["crew.move", "crew.place", "crew.place", "crew.unplace"]


def test_two_people_swap_in_one_step(table: Table) -> None:
    table.go(0, table.orca, 1)
    table.go(1, table.tern, 2)
    swap = [table.move(0, table.tern, 2), table.move(1, table.orca, 1)]
    step = moves.move_people(table.event.id, BOAT, swap, actor=table.olga)
    assert step.kind == "swap"
    assert table.seats() == {0: ("Tern", 2), 1: ("Orca", 1)}
    table.undo()
    assert table.seats() == {0: ("Orca", 1), 1: ("Tern", 2)}


def test_many_move_at_once_or_nobody_does(table: Table) -> None:
    table.go(0, table.tern, 1)
    everybody = [table.move(rider, table.orca) for rider in range(3)]
    moves.move_people(table.event.id, BOAT, everybody, actor=table.olga)
    assert table.seats() == {0: ("Orca", 1), 1: ("Orca", 2), 2: ("Orca", 3)}
    with pytest.raises(errors.CrewFull):
        moves.move_people(
            table.event.id, BOAT, [table.move(3, table.tern), table.move(4, table.orca)], actor=table.olga
        )
    assert len(table.seats()) == 3


def test_a_move_that_saw_something_else_is_refused(table: Table) -> None:
    table.go(0, table.orca, 1, actor=table.oleg)
    with pytest.raises(errors.SeatingChanged) as refused:
        table.go(0, table.tern, 1, seen=None)
    assert refused.value.bookings == [table.riders[0].id]
    with pytest.raises(errors.SeatingChanged) as refused:
        table.go(1, table.orca, 1)
    assert refused.value.bookings == [table.riders[0].id]
    latest = steps.last_on(table.event.id, refused.value.bookings)
    assert latest is not None
    assert latest.actor_id == table.oleg.id
    assert table.seats() == {0: ("Orca", 1)}


def test_seats_that_do_not_exist_and_foreign_crews_are_refused(table: Table) -> None:
    with pytest.raises(errors.SeatMissing):
        table.go(0, table.orca, 4)
    with pytest.raises(errors.NotFound):
        table.go(0, make.crew())
    with pytest.raises(errors.WrongEvent):
        table.go(0, make.crew(event_id=table.event.id, type="TENT"))
    stranger = make.booking(status=BookingStatus.CONFIRMED)
    with pytest.raises(errors.NotFound):
        moves.move_people(table.event.id, BOAT, [Move(stranger.id, None, table.orca.id)], actor=table.olga)


def test_only_active_bookings_sit_down(table: Table) -> None:
    for status in (BookingStatus.CANCELLED, BookingStatus.EXPIRED, BookingStatus.NO_SHOW):
        gone = make.booking(event_id=table.event.id, status=status)
        with pytest.raises(errors.BookingNotActive):
            moves.move_people(table.event.id, BOAT, [Move(gone.id, None, table.orca.id)], actor=table.olga)


def test_locked_people_and_crews_stay(table: Table) -> None:
    table.go(0, table.orca, 1)
    moves.lock_people(table.event.id, BOAT, {table.riders[0].id: table.seen(0)}, on=True, actor=table.olga)
    with pytest.raises(errors.PlaceLocked):
        table.go(0, table.tern)
    with pytest.raises(errors.PlaceLocked):
        table.go(0, None)
    moves.lock_people(table.event.id, BOAT, {table.riders[0].id: table.seen(0)}, on=False, actor=table.olga)
    table.go(0, table.tern)
    crews.change_crew(table.tern.id, seen=version_of(table.tern), losing=[], locked=True, actor=table.olga)
    for crew in (table.orca, None):
        with pytest.raises(errors.CrewLocked, match="Tern is locked"):
            table.go(0, crew)
    with pytest.raises(errors.CrewLocked):
        table.go(1, table.tern)
    with pytest.raises(errors.CrewLocked):
        crews.remove_crew(
            table.tern.id, seen=version_of(table.tern), losing=[table.riders[0].id], actor=table.olga
        )
    table.undo()
    table.go(0, table.orca)


def version_of(crew: Crew) -> int:
    db.session.expire(crew)
    assert crew.version is not None
    return crew.version


def test_undo_and_redo_walk_through_ones_own_steps(table: Table) -> None:
    table.go(0, table.orca, 1)
    table.go(1, table.orca, 2, actor=table.oleg)
    table.go(0, table.tern, 1)
    assert table.undo().state is StepState.UNDONE
    table.undo()
    assert table.seats() == {1: ("Orca", 2)}
    with pytest.raises(errors.NothingToUndo):
        table.undo()
    table.redo()
    table.redo()
    assert table.seats() == {0: ("Tern", 1), 1: ("Orca", 2)}
    with pytest.raises(errors.NothingToRedo):
        table.redo()
    table.undo()
    # A new step ends what could be done again.
    table.go(2, table.tern, 3)
    with pytest.raises(errors.NothingToRedo):
        table.redo()


def test_undo_does_not_undo_what_others_did_since(table: Table) -> None:
    table.go(0, table.orca, 1)
    table.go(0, table.tern, 1, actor=table.oleg)
    with pytest.raises(errors.SeatingChanged):
        table.undo()
    assert table.seats() == {0: ("Tern", 1)}
    table.go(1, table.orca, 2)
    table.go(1, None)
    table.go(2, table.orca, 2, actor=table.oleg)
    with pytest.raises(errors.SeatTaken):
        table.undo()
    steps.drop(table.event.id, StepState.DONE, actor=table.olga)
    # Not the step that no longer fits, but the one before.
    with pytest.raises(errors.SeatingChanged):
        table.undo()


def test_undo_places_nobody_whose_booking_has_ended(table: Table) -> None:
    table.go(0, table.orca, 1)
    table.go(0, None)
    table.riders[0].status = BookingStatus.CANCELLED
    db.session.flush()
    with pytest.raises(errors.BookingNotActive):
        table.undo()


def test_crews_are_added_renamed_and_resized(table: Table) -> None:
    crews.add_crews(table.event.id, BOAT, ["Seal 1", " Seal  2 "], capacity=6, actor=table.olga)
    added = db.session.scalars(sa.select(Crew.name).where(Crew.capacity == 6).order_by(Crew.name)).all()
    assert added == ["Seal 1", "Seal 2"]
    table.undo()
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Crew)) == 2
    crews.change_crew(
        table.orca.id, seen=version_of(table.orca), losing=[], name="Beluga", capacity=8, actor=table.olga
    )
    db.session.expire(table.orca)
    assert (table.orca.name, table.orca.capacity) == ("Beluga", 8)
    for capacity in (0, 501):
        with pytest.raises(errors.InvalidInput):
            crews.change_crew(
                table.orca.id, seen=version_of(table.orca), losing=[], capacity=capacity, actor=table.olga
            )
    with pytest.raises(errors.InvalidInput):
        crews.add_crews(table.event.id, BOAT, [" "], capacity=4, actor=table.olga)


def test_a_smaller_crew_moves_people_down_before_anybody_loses_a_place(table: Table) -> None:
    table.go(0, table.orca, 2)
    table.go(1, table.orca, 3)
    loser = table.riders[1].id
    with pytest.raises(errors.SeatingChanged):
        crews.change_crew(
            table.orca.id, seen=version_of(table.orca), losing=[loser], capacity=2, actor=table.olga
        )
    crews.change_crew(table.orca.id, seen=version_of(table.orca), losing=[], capacity=2, actor=table.olga)
    assert table.seats() == {0: ("Orca", 2), 1: ("Orca", 1)}
    # Whom it costs the place must be said.
    loser = table.riders[0].id
    with pytest.raises(errors.SeatingChanged):
        crews.change_crew(table.orca.id, seen=version_of(table.orca), losing=[], capacity=1, actor=table.olga)
    crews.change_crew(
        table.orca.id, seen=version_of(table.orca), losing=[loser], capacity=1, actor=table.olga
    )
    assert table.seats() == {1: ("Orca", 1)}
    table.undo()
    table.undo()
    assert table.seats() == {0: ("Orca", 2), 1: ("Orca", 3)}


def test_a_removed_crew_comes_back_with_its_people(table: Table) -> None:
    table.go(0, table.orca, 2)
    table.go(1, table.orca, 3)
    orca, version = table.orca.id, version_of(table.orca)
    losing = [table.riders[0].id, table.riders[1].id]
    with pytest.raises(errors.SeatingChanged):
        crews.remove_crew(orca, seen=version, losing=losing[:1], actor=table.olga)
    with pytest.raises(errors.SeatingChanged):
        crews.remove_crew(orca, seen=version - 1, losing=losing, actor=table.olga)
    crews.remove_crew(orca, seen=version, losing=losing, actor=table.olga)
    assert table.seats() == {}
    table.undo()
    assert table.seats() == {0: ("Orca", 2), 1: ("Orca", 3)}
    table.redo()
    assert table.seats() == {}


def test_a_crew_that_others_sat_down_in_is_not_undone_away(table: Table) -> None:
    step = crews.add_crews(table.event.id, BOAT, ["Seal"], capacity=2, actor=table.olga)
    seal = db.session.get_one(Crew, UUID(step.crews[0][0]))
    table.go(0, seal, actor=table.oleg)
    with pytest.raises(errors.CrewOccupied, match="Seal"):
        table.undo()


def test_the_board_shows_everything_and_then_what_changed(table: Table) -> None:
    table.go(0, table.orca, 1)
    whole = table.read()
    assert [row[2] for row in whole["crews"]] == [
        c.name for c in sorted((table.orca, table.tern), key=lambda c: c.id)
    ]
    assert [row[1:4] for row in whole["places"]] == [[str(table.riders[0].id), str(table.orca.id), 1]]
    assert len(whole["people"]) == 5
    assert whole["undo"][1:3] == ["move", 1]
    assert whole["redo"] is None
    assert whole["gone"] == whole["news"] == []
    since = db.session.scalars(sa.text("SELECT pg_current_xact_id()::text::bigint")).one()
    fresh = table.read(since, viewer=table.oleg)
    # All of this test is one transaction: its own rows are as new as can be.
    assert [row[0] for row in fresh["news"]] == [whole["undo"][0]]
    assert "people" not in fresh
    place_id = whole["places"][0][0]
    table.go(0, None)
    assert place_id in table.read(since)["gone"]
    assert table.read(since + 1)["places"] == table.read(since + 1)["gone"] == []


def test_who_sits_although_their_booking_is_over_is_still_shown(table: Table) -> None:
    table.go(0, table.orca, 1)
    table.riders[0].status = BookingStatus.NO_SHOW
    table.riders[1].status = BookingStatus.CANCELLED
    db.session.flush()
    people = {row[0]: row[3:] for row in table.read()["people"]}
    assert people[str(table.riders[0].id)] == ["NO_SHOW", False]
    assert str(table.riders[1].id) not in people


def wish(table: Table, who: Booking, *, wishes: Any = (), avoids: Any = (), seen: int | None = None) -> Any:
    return preferences.set_preferences(
        table.event.id,
        who.user_id,
        wishes=[each.user_id for each in wishes],
        avoids=[each.user_id for each in avoids],
        seen=seen,
        actor=table.olga,
    )


def test_wishes_are_written_down_once_for_each_version(table: Table) -> None:
    anna, boris, clara = table.riders[:3]
    row = wish(table, anna, wishes=[boris], avoids=[clara])
    db.session.refresh(row)
    with pytest.raises(errors.SeatingChanged):
        wish(table, anna, wishes=[clara])
    wish(table, anna, wishes=[clara], seen=row.version)
    assert table.read()["wishes"][0][:3] == [str(anna.user_id), [str(clara.user_id)], []]


def test_wishes_that_make_no_sense_are_refused(table: Table) -> None:
    anna, boris = table.riders[:2]
    with pytest.raises(errors.InvalidInput):
        wish(table, anna, wishes=[anna])
    with pytest.raises(errors.InvalidInput):
        wish(table, anna, wishes=[boris], avoids=[boris])
    with pytest.raises(errors.NotFound):
        wish(table, anna, wishes=[make.booking()])
    with pytest.raises(errors.NotFound):
        wish(table, make.booking(), wishes=[])
