"""A search for people, page by page: in whatever way rows are found, they are the same in the same order."""

import itertools
import random
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask, g
from flask_babel import force_locale
from werkzeug.datastructures import MultiDict

from console import policy
from console.db import db
from console.models import Booking, Event, Payment, Profile, User
from console.states import BookingStatus, UserRole
from console.views import naming, search
from console.views.listing import Page
from tests import make

FIRST = ("Марина", "Анна", "Алёна", "Иван", "Marina", "Olga")
LAST = ("Соколова", "Иванова", "Маринина", "Ковалёв", "O'Hara", "Annenkova")
TITLES = ("Марина-тур", "Сплав по Чуе", "Алёнин ключ", "Annapurna")
TERMS = ("марина", "ова", "ма", "ковалев", "марина ив", "о", "ann", "8 916", "соколова анна")
MODELS: dict[str, Any] = {"event.bookings": Booking, "payment.payments": Payment, "user.users": User}
SORTS = ("-created_at", "amount", "-expires_at")

Patch = pytest.MonkeyPatch


def told(patch: Patch) -> None:
    """As it is."""


def counted_out(patch: Patch) -> None:
    patch.setattr("console.views.totals.COUNT_MAX", 3)
    patch.setattr("console.views.totals.counted.__defaults__", (3,))


def asked(patch: Patch) -> None:
    patch.setattr(naming, "KEYS_MAX", 1)


def led_to(patch: Patch) -> None:
    patch.setattr(search, "FEW_KEYS", 0)


def surely_more(patch: Patch) -> None:
    patch.setattr("console.views.totals.SURELY_MORE_OF_PEOPLE", 3)


def frequent(patch: Patch) -> None:
    """Whatever three of thirty people have."""
    patch.setattr(naming, "SAMPLE", 30)
    patch.setattr(naming, "FREQUENT", 3)
    patch.setattr(naming, "KEYS_MAX", 2)


WAYS = (told, counted_out, asked, led_to, surely_more, frequent)


@pytest.fixture
def staff(session: Any) -> tuple[User, User]:
    """Forty people with two bookings each, of which every other is paid. An administrator, and an organizer
    whose are half of the events."""
    chance = random.Random(7)
    # The clock of a test's transaction stands still: times are given, some of them twice.
    moments = (make.soon(minutes=-number // 2) for number in itertools.count())
    own = make.organizer()
    events = [
        make.event(title=title, capacity=90, organizer_id=own.id if number % 2 else None)
        for number, title in enumerate(TITLES)
    ]
    for number in range(40):
        name = " ".join(chance.sample((chance.choice(FIRST), chance.choice(LAST)), 2))
        phone = f"+7916{number:07}" if number % 3 else None
        person = make.user(username=f"{chance.choice(('anna', 'petr'))}{number}", created_at=next(moments))
        make.profile(user_id=person.id, full_name=name, phone=phone, telegram=f"{name.split()[0]}_{number}")
        for event in chance.sample(events, 2):
            booking = make.booking(
                user_id=person.id,
                event_id=event.id,
                amount=chance.choice((900, 1500)),
                **chance.choice(({"status": BookingStatus.CONFIRMED}, {"expires_at": next(moments)})),
                created_at=next(moments),
            )
            if chance.random() < 0.5:
                make.payment(booking_id=booking.id, created_at=next(moments))
    everybody = make.staff(role=UserRole.ADMIN), make.staff(UserRole.ORGANIZER, own)
    session.flush()
    session.execute(sa.text('ANALYZE "user".users, event.bookings, payment.payments'))
    return everybody


def has_parts(text: str, term: str) -> bool:
    """Each word of the term is somewhere in the text; a short one begins a word of it."""
    text = text.lower().replace("ё", "е")
    words = re.findall(r"[^\W_]+", text)
    return all(
        part in text if len(part) >= 3 else any(word.startswith(part) for word in words)
        for part in re.findall(r"[^\W_]+", term)
    )


def is_called(user: User, profile: Profile | None, term: str) -> bool:
    names = [user.username, *([profile.telegram or ""] if profile else [])]
    folded = [name.lower().replace("ё", "е") for name in names]
    if any(term in name if len(term) >= 3 else name.startswith(term) for name in folded):
        return True
    if profile is None:
        return False
    digits = term.replace(" ", "")
    in_phone = digits.isdigit() and any(part in (profile.phone or "") for part in (digits, "7" + digits[1:]))
    return has_parts(profile.full_name, term) or in_phone


class Everything:
    """All rows, each of which is asked, here."""

    def __init__(self) -> None:
        self.users, self.bookings, self.payments, self.events = (
            db.session.scalars(sa.select(model)).all() for model in (User, Booking, Payment, Event)
        )
        self.profiles = {profile.user_id: profile for profile in db.session.scalars(sa.select(Profile))}

    def found(self, user: User, table: str, term: str) -> set[Any]:
        """The keys of the rows that a term finds, of those that exist for the user."""
        called = {each.id for each in self.users if is_called(each, self.profiles.get(each.id), term)}
        return self._found(table, term, called) & set(
            db.session.scalars(policy.visible(user, MODELS[table]).with_only_columns(MODELS[table].id))
        )

    def _found(self, table: str, term: str, people: set[Any]) -> set[Any]:
        if table == "user.users":
            return people
        if table == "payment.payments":
            theirs = {booking.id for booking in self.bookings if booking.user_id in people}
            return {payment.id for payment in self.payments if payment.booking_id in theirs}
        events = {event.id for event in self.events if has_parts(event.title, term)}
        return {b.id for b in self.bookings if b.user_id in people or b.event_id in events}


def pages(view: Any, user: User, given: dict[str, str]) -> Iterator[tuple[Page, bool]]:
    """All pages of a list, and whether its rows were too many to be told."""
    after: str | None = ""
    while after is not None:
        listing = view.listing_of(MultiDict({**given, **({"after": after} if after else {})}), user)
        page = listing.page()
        yield page, listing.is_of_many
        after = page.after


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_however_people_are_found_their_rows_are_the_same_in_the_same_order(
    app: Flask, staff: tuple[User, User], way: Callable[[Patch], None], monkeypatch: Patch
) -> None:
    way(monkeypatch)
    (flask_admin,) = app.extensions["admin"]
    views = {view.table: view for view in flask_admin._views if getattr(view, "table", "") in MODELS}
    found, is_of_many = 0, False
    with app.test_request_context(), force_locale("en"):
        everything = Everything()
        for user, (table, view), term, sort in itertools.product(staff, views.items(), TERMS, SORTS):
            column = sort.removeprefix("-")
            if column not in view.columns:
                continue
            g.staff, given = user, {"search": term, "sort": sort, "size": "25"}
            walked = list(pages(view, user, given))
            keys = [row.id for page, _ in walked for row in page.rows]
            expected = everything.found(user, table, term)
            assert len(keys) == len(expected) and set(keys) == expected, (user.role, table, given)
            values = [(getattr(row, column), row.id) for page, _ in walked for row in page.rows]
            # Upwards, what is empty comes last.
            order = [(value is None, value or "", key) for value, key in values]
            assert order == sorted(order, reverse=sort.startswith("-")), (user.role, table, given)
            # What is said to be exact is so, and all of it is said where it can be.
            totals = {None if page.is_more else page.total for page, _ in walked}
            assert totals <= ({len(keys)} if way is told else {len(keys), None}), (
                user.role,
                table,
                given,
                totals,
            )
            found += len(keys)
            is_of_many = is_of_many or any(is_many for _, is_many in walked)
    assert found > 300
    assert is_of_many == (way is not told)
