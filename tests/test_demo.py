"""The demo data: the same for a seed, of the size that was asked for, and alive on every page."""

import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pypdfium2
import pytest
import sqlalchemy as sa
from flask import Flask
from PIL import Image

from console import demo
from console.db import Base, db
from console.models import Event, File, OrganizerStaff, PaymentReceipt, RefreshSession, User
from console.services import accounts, doctor, files, passwords
from console.states import (
    BookingPaymentStatus,
    BookingStatus,
    CrewType,
    EventStatus,
    FileOwner,
    NotificationCategory,
    OutboxStatus,
    PaymentMethod,
    PaymentStatus,
    State,
    UserRole,
    WebhookStatus,
)
from tests.servers import Servers, cloned, close, make_settings

NOON = datetime(2026, 7, 15, 9, 0, tzinfo=UTC)


@pytest.fixture
def demo_data(demo_app: Flask) -> Iterator[None]:
    """The small demo data behind `db.session`."""
    with demo_app.app_context():
        yield
        db.session.rollback()


def load_into_new(
    servers: Servers, template: str, media: Any, *, seed: int, now: datetime = NOON
) -> dict[str, int]:
    """A digest of every table's rows, and of the ids of the bookings, after a load of its own."""
    from console import create_app

    with cloned(servers, template) as url:
        app = create_app(make_settings(url, servers.redis_url, media_url=f"file:{media}"), TESTING=True)
        with app.app_context():
            demo.load(120, seed, now=now)
            digests = {
                f"{table.schema}.{table.name}": _digest(table) for table in Base.metadata.sorted_tables
            }
            ids = "SELECT sum(hashtextextended(id::text || status, 0)) FROM event.bookings"
            digests["bookings by id"] = db.session.scalar(sa.text(ids))
        close(app)
    return digests


#: What the database says of the moment it wrote a row, not of the row.
OF_THE_MOMENT = "{version,inspect_after}"


def _digest(table: sa.Table) -> int:
    row = f"(to_jsonb(t) - CAST('{OF_THE_MOMENT}' AS text[]))::text"
    rows = f'SELECT coalesce(sum(hashtextextended({row}, 0)), 0) FROM "{table.schema}".{table.name} t'
    return db.session.scalar(sa.text(rows))


def test_the_same_seed_makes_the_same_data_and_another_seed_other(servers, template_db, tmp_path):
    first, again, other = (
        load_into_new(servers, template_db, tmp_path / str(number), seed=seed)
        for number, seed in enumerate((7, 7, 8))
    )
    assert first == again
    assert first["event.bookings"] != other["event.bookings"]
    assert first["user.profiles"] != other["user.profiles"]
    for number in (0, 1):
        assert any((tmp_path / str(number)).rglob("*.jpg"))
    assert {path.name: path.read_bytes() for path in (tmp_path / "0").rglob("*.*")} == {
        path.name: path.read_bytes() for path in (tmp_path / "1").rglob("*.*")
    }


def test_a_later_hour_of_the_day_makes_the_same_bookings(servers, template_db, tmp_path):
    morning, evening = (
        load_into_new(servers, template_db, tmp_path / str(hours), seed=7, now=NOON + timedelta(hours=hours))
        for hours in (0, 4)
    )
    assert morning["bookings by id"] == evening["bookings by id"]
    assert morning["user.profiles"] == evening["user.profiles"]
    assert morning["event.events"] == evening["event.events"]
    # What is live goes by the clock.
    assert morning["event.bookings"] != evening["event.bookings"]


@pytest.mark.parametrize("bookings", [0, 1, 150, 900])
def test_as_many_bookings_are_made_as_were_asked_for(real_app, bookings):
    with real_app.app_context():
        assert demo.load(bookings, 3) == bookings
        assert db.session.scalar(sa.text("SELECT count(*) FROM event.bookings")) == bookings
        assert doctor.violations() == []


def test_a_large_load_goes_in_batches_and_breaks_no_rule(real_app, monkeypatch):
    from console.demo import rows

    monkeypatch.setattr(rows, "BATCH_LINES", 1500)
    with real_app.app_context():
        demo.load(900, 3)
        assert db.session.scalar(sa.text("SELECT count(*) FROM event.bookings")) == 900
        assert doctor.violations() == []


def test_a_load_that_fails_leaves_neither_rows_nor_files(real_app, tmp_path, monkeypatch):
    def fail(*_: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(demo, "write_extras", fail)
    with real_app.app_context():
        with pytest.raises(RuntimeError):
            demo.load(150, 3)
        assert demo.is_empty()
        assert not [path for path in (tmp_path / "media").rglob("*") if path.is_file()]


def test_a_lost_connection_ends_the_load_with_its_error(real_app, monkeypatch):
    from console.demo import rows

    real_copy = rows._copy

    def end_the_connection(connection, target, lines):
        if "booking_logs" in target:
            connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        real_copy(connection, target, lines)

    monkeypatch.setattr(rows, "_copy", end_the_connection)
    monkeypatch.setattr(rows, "BATCH_LINES", 1500)
    with real_app.app_context(), pytest.raises(psycopg.errors.AdminShutdown):
        demo.load(1500, 3)


def test_a_database_with_data_is_left_alone(demo_app):
    runner = demo_app.test_cli_runner()
    before = _count(demo_app)
    result = runner.invoke(args=["demo", "--bookings", "10"])
    assert result.exit_code == 1
    assert "data already" in result.output
    assert _count(demo_app) == before


def _count(app: Flask) -> int:
    with app.app_context():
        return db.session.scalar(sa.text("SELECT count(*) FROM event.bookings"))


def test_the_command_tells_its_progress_the_time_and_the_logins(real_app):
    result = real_app.test_cli_runner().invoke(args=["demo", "--bookings", "20", "--seed", "5"])
    assert result.exit_code == 0, result.output
    assert "20 bookings in" in result.output
    assert "login ADMIN admin crewdeck-admin" in result.output


def test_no_invariant_is_broken(demo_data):
    assert doctor.violations() == []


def test_every_login_signs_in_and_its_password_meets_the_rules(demo_data):
    for role, username, password in demo.LOGINS:
        passwords.check_rules(password, username)
        session = accounts.sign_in(username, password)
        assert db.session.get(User, session.user_id).role == role
    assert {role for role, _, _ in demo.LOGINS} == {"ADMIN", "ORGANIZER", "FINANCE"}


def test_two_organizers_have_logins_of_their_own(demo_data):
    scopes = {
        username: set(
            db.session.scalars(
                sa.select(OrganizerStaff.organizer_id)
                .join(User, User.id == OrganizerStaff.user_id)
                .where(User.username == username)
            )
        )
        for role, username, _ in demo.LOGINS
        if role == "ORGANIZER"
    }
    assert len(scopes) == 2
    assert all(scopes.values())
    assert not set.intersection(*scopes.values())


def test_no_session_of_the_demo_is_a_key_to_the_console(demo_data):
    live = sa.select(sa.func.count()).where(
        RefreshSession.revoked_at.is_(None), RefreshSession.expires_at > sa.func.now()
    )
    assert db.session.scalar(live) == 0
    assert db.session.scalar(sa.select(sa.func.count()).select_from(RefreshSession)) > 5


@pytest.mark.parametrize(
    ("column", "enum"),
    [
        ("event.bookings.status", BookingStatus),
        ("event.bookings.payment_status", BookingPaymentStatus),
        ("event.events.status", EventStatus),
        ("payment.payments.status", PaymentStatus),
        ("payment.payments.method", PaymentMethod),
        ("payment.webhook_events.status", WebhookStatus),
        ("notification.outbox.status", OutboxStatus),
        ("notification.outbox.category", NotificationCategory),
        ("crew.crews.type", CrewType),
        ("user.users.role", UserRole),
    ],
)
def test_every_state_is_there(demo_data, column: str, enum: type[State]):
    schema, table, name = column.split(".")
    found = set(db.session.scalars(sa.text(f'SELECT DISTINCT {name} FROM "{schema}".{table}')))
    assert found == {str(state) for state in enum}


def test_every_table_of_the_domain_has_rows(demo_data):
    for table in Base.metadata.sorted_tables:
        if table.schema != "ops":
            assert db.session.scalar(sa.select(sa.func.count()).select_from(table)) > 0, table


def test_receipts_wait_from_minutes_to_more_than_a_day(demo_data):
    hours = db.session.scalars(
        sa.text(
            "SELECT extract(epoch FROM now() - created_at) / 3600 FROM payment.payment_receipts"
            " WHERE reviewed_at IS NULL ORDER BY 1"
        )
    ).all()
    assert len(hours) >= 10
    assert hours[0] < 1
    assert 24 < hours[-1] < 32


def test_every_proof_is_a_picture_or_a_pdf_that_opens(demo_data):
    kinds = set()
    for file_id in db.session.scalars(
        sa.select(PaymentReceipt.file_id).where(PaymentReceipt.file_id.is_not(None))
    ):
        stored = files.read_file(file_id)
        kinds.add(stored.file.content_type)
        assert len(stored.data) == stored.file.size_bytes
        if stored.file.content_type == "application/pdf":
            document = pypdfium2.PdfDocument(stored.data)
            assert len(document) == 1
            document.close()
        else:
            with Image.open(io.BytesIO(stored.data)) as image:
                image.load()
                assert image.size == (540, 900)
    assert kinds == {"application/pdf", "image/jpeg", "image/png"}
    owners = set(db.session.scalars(sa.select(File.owner_type).distinct()))
    assert owners >= {FileOwner.PAYMENT_RECEIPT, FileOwner.ORGANIZER, FileOwner.TEAM_MEMBER}


def test_holds_and_offers_end_in_the_future(demo_data):
    live = sa.text(
        "SELECT count(*) FILTER (WHERE ends > now()), count(*) FILTER (WHERE ends <= now()) FROM ("
        " SELECT expires_at AS ends FROM event.bookings WHERE status = 'PENDING' UNION ALL"
        " SELECT notification_expires_at FROM event.waitlist WHERE notified_at IS NOT NULL) x"
    )
    going, over = db.session.execute(live).one()
    assert (going > 10, over) == (True, 0)


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("event.bookings", "updated_at"),
        ("event.booking_logs", "created_at"),
        ("payment.payments", "updated_at"),
        ("payment.payment_receipts", "updated_at"),
        ("payment.webhook_events", "created_at"),
        ("notification.outbox", "created_at"),
        ('"user".audit_log', "created_at"),
        ('"user".refresh_sessions', "last_seen_at"),
    ],
)
def test_nothing_has_happened_that_is_still_to_come(demo_data, table, column):
    assert db.session.scalar(sa.text(f"SELECT count(*) FROM {table} WHERE {column} > now()")) == 0


def test_what_was_paid_is_given_back_within_days_or_waits_no_longer(demo_data):
    owed = sa.text(
        "SELECT count(*), max(now() - updated_at) < interval '10 days' FROM event.bookings"
        " WHERE status IN ('CANCELLED', 'EXPIRED') AND payment_status = 'SUCCEEDED'"
    )
    count, is_recent = db.session.execute(owed).one()
    assert 1 <= count <= 12
    assert is_recent


def test_something_happens_today_and_a_full_event_has_a_queue_with_an_offer(demo_data):
    today = sa.select(sa.func.count()).where(
        Event.status == EventStatus.PUBLISHED,
        Event.date_start < sa.func.now() + sa.text("interval '24 hours'"),
        Event.date_end > sa.func.now() - sa.text("interval '24 hours'"),
    )
    assert db.session.scalar(today) >= 2
    full = sa.text(
        "SELECT count(*) FROM event.events e"
        " WHERE available = 0 AND date_start BETWEEN now() AND now() + interval '8 days'"
        " AND EXISTS (SELECT FROM event.waitlist w WHERE w.event_id = e.id AND w.notified_at IS NOT NULL)"
        " AND EXISTS (SELECT FROM event.waitlist w WHERE w.event_id = e.id AND w.notified_at IS NULL)"
    )
    assert db.session.scalar(full) >= 1


def test_nobody_sits_beside_somebody_they_avoid(demo_data):
    beside = sa.text(
        "SELECT count(*) FROM crew.crew_assignments a"
        " JOIN crew.crews c ON c.id = a.crew_id AND c.type <> 'BUS'"
        " JOIN crew.crew_assignments b ON b.crew_id = a.crew_id"
        " JOIN crew.team_preferences p ON p.user_id = a.user_id AND p.event_id = c.event_id"
        " WHERE b.user_id = ANY (p.avoids_user_ids)"
    )
    assert db.session.scalar(beside) == 0
    assert (
        db.session.scalar(sa.text("SELECT count(*) FROM crew.team_preferences WHERE avoids_user_ids <> '{}'"))
        > 3
    )


def test_nobody_of_the_demo_can_be_written_to_by_telegram(demo_data):
    lowest = db.session.scalar(
        sa.text("SELECT min(telegram_chat_id) FROM notification.telegram_subscriptions")
    )
    assert lowest >= 4_000_000_000_000_000
