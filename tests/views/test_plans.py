"""What lists, searches and look-ups read of large tables: never all of one, and nothing is sorted but what a
page shows or a term found.

Every statement of a list is run again under EXPLAIN, with scans of whole tables forbidden: one that is left
has no other way. Bounds are lowered with the tables, so that to read a tenth of one is too much.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_babel import force_locale
from sqlalchemy.dialects.postgresql import array
from werkzeug.datastructures import MultiDict

from console import policy
from console.db import Base, db
from console.models import (
    Booking,
    BookingLog,
    Organizer,
    OrganizerStaff,
    Payment,
    PaymentReceipt,
    User,
    WebhookEvent,
)
from console.states import UserRole
from console.views import filters, find, naming, pages, search, totals
from console.views.columns import Column, Kind, table_of
from console.views.listing import Order
from console.views.table import TableView
from tests.servers import running_on_copy
from tests.views import large_tables
from tests.views.large_tables import LARGE, ROWS, Asked, faults, key, plan, steps
from tests.views.table_pages import TABLES, name_of

each_table = pytest.mark.parametrize("model", TABLES, ids=name_of)


@pytest.fixture(scope="module")
def large_app(servers: Any, template_db: str, redis_url: str, tmp_path_factory: Any) -> Iterator[Flask]:
    media = tmp_path_factory.mktemp("large-media")
    with running_on_copy(servers, template_db, redis_url, media, "large") as app:
        with app.app_context():
            large_tables.fill()
        yield app


@pytest.fixture
def admin(large_app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[User]:
    monkeypatch.setattr("console.views.totals.COUNT_MAX", 100)
    monkeypatch.setattr("console.views.totals.counted.__defaults__", (100,))
    monkeypatch.setattr("console.views.totals.SURELY_MORE", 300)
    monkeypatch.setattr("console.views.totals.SURELY_MORE_OF_PEOPLE", 150)
    monkeypatch.setattr("console.views.naming.KEYS_MAX", 50)
    monkeypatch.setattr("console.views.lookup.SOME", 50)
    monkeypatch.setattr("console.views.lookup.LAST", 50)
    with large_app.test_request_context(), force_locale("en"):
        yield db.session.scalars(sa.select(User).where(User.role == UserRole.ADMIN, User.active)).first()
        db.session.rollback()


@pytest.fixture
def view(large_app: Flask, model: type[Base]) -> TableView:
    return views_of(large_app)[table_of(model)]


def views_of(app: Flask) -> dict[str, TableView]:
    (admin,) = app.extensions["admin"]
    return {view.table: view for view in admin._views if isinstance(view, TableView)}


#: It changes with every booking, and an index would be written by each: the events are walked in their order.
WALKED = {("event.events", "available")}


def page_faults(view: TableView, user: User, **arguments: Any) -> list[str]:
    """What a page of a list reads too much."""
    given = MultiDict({name.replace("__", "."): value for name, value in arguments.items()})
    with Asked() as statements:
        view.listing_of(MultiDict({"size": "25", **given}), user).page()
    return [f"{view.table} {dict(given)}: {fault}" for fault in faults(statements)]


def sample(view: TableView, column: Column) -> dict[str, str]:
    """Arguments that leave few rows, each a filter by this column as its kind has it."""
    row = db.session.execute(
        sa.select(column.attribute).where(column.attribute.is_not(None)).offset(ROWS // 2).limit(1)
    ).scalar()
    name, kind = column.name, column.kind
    db.session.rollback()
    if kind == Kind.TIME:
        return {f"{name}.from": f"{row:%Y-%m-%d}", f"{name}.to": f"{row:%Y-%m-%d}"}
    if kind in filters.RANGES:
        return {f"{name}.from": str(row), f"{name}.to": str(row)}
    if kind in (Kind.TEXT, Kind.LONG, Kind.COLOR, Kind.ZONE, Kind.LANGUAGE):
        return {f"{name}.starts": str(row)[:40]}
    if kind == Kind.JSON:
        return {name: f"city:{row['city']}"}
    if kind == Kind.BOOL:
        return {name: "no" if column.is_on_by_default else "yes"}
    if kind == Kind.STATE:
        return {name: list(column.states or ())[-1].value}
    if kind == Kind.PEOPLE:
        return {name: str(row[0])}
    return {name: str(row)}


@each_table
def test_every_order_is_read_from_an_index(admin: User, view: TableView) -> None:
    found = []
    for name in pages.sort_names(view):
        for order in (name, f"-{name}"):
            first = view.listing_of(MultiDict({"sort": order, "size": "25"}), admin).page()
            found += page_faults(view, admin, sort=order)
            found += page_faults(view, admin, sort=order, after=first.after)
            found += page_faults(view, admin, sort=order, last="1")
    assert not found, "\n".join(found)


@pytest.mark.parametrize("is_bounded", [True, False], ids=["", "control: in one"])
def test_no_page_is_walked_to_where_some_rows_have_no_value(
    large_app: Flask, admin: User, monkeypatch: pytest.MonkeyPatch, is_bounded: bool
) -> None:
    """Halfway up rows have a value; at the end, from which a page before is read, they have none."""
    if not is_bounded:
        runs = Order.runs_beyond
        monkeypatch.setattr(Order, "runs_beyond", lambda *place, **way: [sa.or_(*runs(*place, **way))])
    asked, found = [], []
    for view in views_of(large_app).values():
        for sort in (name for name in pages.sort_names(view) if view.columns[name].nullable):
            for way, number in (("after", ROWS // 2), ("before", ROWS - ROWS // 7)):
                listing = view.listing_of(MultiDict({"sort": sort}), admin)
                rows = listing.ordered([column.name for column in listing.order.columns])
                place = listing._write_cursor(db.session.execute(rows.offset(number).limit(1)).one())
                asked.append(f"{view.table} {way} {sort}")
                found += asked[-1:] if page_faults(view, admin, sort=sort, **{way: place}) else []
    assert asked and found == ([] if is_bounded else asked)


@each_table
def test_every_filter_is_served(admin: User, view: TableView) -> None:
    found = []
    for name in pages.filter_names(view):
        if (view.table, name) in WALKED:
            continue
        arguments = sample(view, view.columns[name])
        found += page_faults(view, admin, **arguments)
        if view.columns[name].kind in filters.TEXTS:
            (beginning,) = arguments.values()
            found += page_faults(view, admin, **{name: beginning})
        if view.columns[name].nullable:
            found += page_faults(view, admin, **{f"{name}.has": "no"})
    assert not found, "\n".join(found)


TERMS = ("full_name " + "0" * 6, "full_name 00", "title", "e1", "ab", "full", "8 916", "deadbeef")


@pytest.mark.parametrize("is_walked", [False, True], ids=["", "control: walked"])
def test_few_rows_at_the_other_end_of_the_order_are_not_walked_to(
    large_app: Flask, admin: User, monkeypatch: pytest.MonkeyPatch, is_walked: bool
) -> None:
    """The dearest bookings are the oldest ones: the planner takes them for spread evenly."""
    monkeypatch.setattr("console.views.totals.COUNT_MAX", ROWS)
    if is_walked:
        monkeypatch.setattr("console.views.totals.Plan.is_sooner_sorted", lambda *_: False)
    bookings = views_of(large_app)["event.bookings"]
    with Asked() as statements:
        given = MultiDict({"size": "25", "amount.from": str(ROWS - 290)})
        page = bookings.listing_of(given, admin).page()
    moments = [row.created_at for row in page.rows]
    assert len(moments) == 25 and moments == sorted(moments, reverse=True)
    walked = [fault for fault in faults(statements) if fault.startswith("reads")]
    assert bool(walked) == is_walked, walked


@each_table
def test_every_search_and_look_up_is_served(admin: User, view: TableView, large_app: Flask) -> None:
    found = []
    model: Any = view.model
    exact = db.session.scalar(sa.select(view.keys[0].attribute).offset(ROWS // 2).limit(1))
    for term in (*TERMS, str(exact)):
        if view.search_by:
            found += page_faults(view, admin, search=term)
        with Asked() as statements, large_app.test_request_context():
            from flask import g

            g.staff = admin
            view.look_up(term, 20)
        found += [f"{model.__name__} look-up {term!r}: {fault}" for fault in faults(statements)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("frequent", [naming.FREQUENT, ROWS], ids=["", "control: never frequent"])
def test_of_what_many_people_have_no_index_is_read(
    large_app: Flask, admin: User, monkeypatch: pytest.MonkeyPatch, frequent: int
) -> None:
    """An index brings all that it has of a term before its first row."""
    monkeypatch.setattr(naming, "FREQUENT", frequent)
    bookings = views_of(large_app)["event.bookings"]
    with Asked() as statements:
        page = bookings.listing_of(MultiDict({"size": "25", "search": "full_name"}), admin).page()
    assert len(page.rows) == 25 and page.is_more
    read = [
        step["Index Name"]
        for statement, parameters in statements
        for step in steps(plan(statement, parameters))
        if "profiles_full_name" in step.get("Index Name", "") and step["Actual Loops"]
    ]
    assert bool(read) == (frequent == ROWS), read


def test_the_rows_of_several_people_are_found_in_an_index_alone(large_app: Flask, admin: User) -> None:
    """Only those that the page shows are read whole."""
    bookings = views_of(large_app)["event.bookings"]
    with Asked() as statements:
        page = bookings.listing_of(MultiDict({"size": "25", "search": "full_name 00"}), admin).page()
    assert 1 < len(page.rows) <= 25 and not page.is_more
    read = {
        step["Index Name"]: step["Node Type"]
        for step in steps(plan(*statements[-1]))
        if step.get("Relation Name") == "bookings" and step["Actual Loops"]
    }
    assert read == {"ix_bookings_user_id_created_at": "Index Only Scan", "pk_bookings": "Index Scan"}


@pytest.mark.parametrize("is_asked", [True, False], ids=["", "control: not asked"])
def test_where_people_have_more_payments_than_was_guessed_each_in_the_order_is_asked(
    large_app: Flask, admin: User, monkeypatch: pytest.MonkeyPatch, is_asked: bool
) -> None:
    """They lie in another table: looked for by the keys of bookings, all are read before a page is."""
    monkeypatch.setattr(naming, "KEYS_MAX", ROWS)
    if not is_asked:
        monkeypatch.setattr(search, "_leads_to", search._among)
    payments = views_of(large_app)["payment.payments"]
    # Too long to be guessed, it names one in sixteen.
    given = MultiDict({"size": "25", "search": "full name full 0"})
    with Asked() as statements:
        page = payments.listing_of(given, admin).page()
    assert len(page.rows) == 25 and page.is_more
    assert any(fault.startswith("sorts") for fault in faults(statements[-1:])) != is_asked


def test_the_search_box_of_every_page_is_served(admin: User) -> None:
    reached = []
    for term in (*TERMS, "full_name", "nobody"):
        with Asked() as statements:
            find.few_of_each(admin, term)
        reached += [f"{term!r}: {fault}" for fault in faults(statements)]
    assert not reached, "\n".join(reached)


@each_table
def test_an_organizer_reads_what_is_theirs(admin: User, view: TableView) -> None:
    staff = sa.select(User).join(OrganizerStaff, OrganizerStaff.user_id == User.id)
    organizer = db.session.scalars(staff.where(User.role == UserRole.ORGANIZER, User.active)).first()
    assert organizer is not None
    if policy.allowed(organizer, view.table, policy.Action.READ):
        found = page_faults(view, organizer) + page_faults(view, organizer, search="full_name")
        assert not found, "\n".join(found)


@pytest.fixture
def organizer(admin: User, monkeypatch: pytest.MonkeyPatch) -> User:
    """Staff of two organizers, one of whom has the oldest and dearest quarter of all."""
    two = [sa.literal_column(each) for each in (LARGE, key("event.organizers", "2"))]
    monkeypatch.setattr(policy, "organizers_of", lambda _: sa.select(sa.func.unnest(array(two))))
    return db.session.scalars(sa.select(User).where(User.role == UserRole.ORGANIZER, User.active)).first()


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is staff of an organizer sees also what only FINANCE does."""
    monkeypatch.setattr(policy, "allowed", lambda *_: True)


def faults_of_parts(view: TableView, user: User) -> list[str]:
    found = []
    for name in pages.sort_names(view):
        for order in (name, f"-{name}"):
            first = view.listing_of(MultiDict({"sort": order, "size": "25"}), user).page()
            assert len(first.rows) == 25
            found += page_faults(view, user, sort=order)
            found += page_faults(view, user, sort=order, after=first.after)
            found += page_faults(view, user, sort=order, last="1")
    return found


of_organizers = pytest.mark.parametrize(
    "model", [Booking, BookingLog, Payment, PaymentReceipt, WebhookEvent], ids=name_of
)


@pytest.mark.usefixtures("seen")
@of_organizers
def test_an_organizer_reads_what_is_theirs_in_every_order_wherever_it_stands(
    organizer: User, view: TableView
) -> None:
    found = faults_of_parts(view, organizer)
    assert not found, "\n".join(found)


@pytest.mark.usefixtures("seen")
@pytest.mark.parametrize("model", [Booking, BookingLog, Payment, WebhookEvent], ids=name_of)
def test_along_the_order_of_all_an_organizer_walks_past_what_is_not_theirs(
    organizer: User, view: TableView, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control."""
    monkeypatch.setattr(policy, "parts", lambda *_: None)
    assert any(": reads" in fault for fault in faults_of_parts(view, organizer))


@pytest.fixture
def has_many(admin: User, monkeypatch: pytest.MonkeyPatch) -> User:
    """A quarter of all rows are theirs, more than are counted, and do not say so."""
    small = sa.select(Organizer.id).where(Organizer.id != sa.literal_column(LARGE))
    some = db.session.scalars(small.order_by(Organizer.id).limit(ROWS // 3)).all()
    told = sa.select(sa.func.unnest(sa.cast(some, sa.ARRAY(sa.UUID))))
    monkeypatch.setattr(policy, "organizers_of", lambda _: told)
    monkeypatch.setattr(policy, "is_told_whose", sa.false)
    return db.session.scalars(sa.select(User).where(User.role == UserRole.ORGANIZER, User.active)).first()


def faults_of_orders_and_filters(view: TableView, user: User) -> list[str]:
    found = []
    for name in pages.sort_names(view):
        found += page_faults(view, user, sort=name) + page_faults(view, user, sort=f"-{name}")
    for name in pages.filter_names(view):
        if view.columns[name].nullable:
            found += page_faults(view, user, **{f"{name}.has": "no"})
    return found


@pytest.mark.parametrize("model", [BookingLog, Payment, PaymentReceipt], ids=name_of)
def test_of_many_rows_that_do_not_say_whose_they_are_it_is_told_about_how_many(
    has_many: User, view: TableView, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("console.views.totals.START_MAX", 100)
    found = faults_of_orders_and_filters(view, has_many)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("model", [PaymentReceipt], ids=name_of)
def test_without_a_bound_before_its_first_row_a_count_reads_all_that_leads_there(
    has_many: User, view: TableView, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control."""
    monkeypatch.setattr("console.views.totals.SURELY_MORE", ROWS)
    monkeypatch.setattr("console.views.totals.START_MAX", totals.COST_MAX)
    assert faults_of_orders_and_filters(view, has_many)


def test_without_its_index_an_order_is_noticed(large_app: Flask, admin: User) -> None:
    """The control: what the tests above look for is there when an index is not."""
    bookings = views_of(large_app)["event.bookings"]
    assert page_faults(bookings, admin) == []
    statement = sa.text("DROP INDEX event.ix_bookings_created_at_id")
    with Asked() as statements:
        bookings.listing_of(MultiDict({"size": "25"}), admin).page()
    db.session.execute(statement)
    found = []
    for sent, parameters in statements:
        connection = db.session.connection()
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        raw = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {sent}", parameters).scalar_one()
        found += [step["Node Type"] for step in steps(raw[0]["Plan"])]
    db.session.rollback()
    assert "Sort" in found
