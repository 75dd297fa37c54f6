"""Values as people read them, in both languages."""

from datetime import timedelta
from decimal import Decimal

import pytest
from flask_babel import force_locale

from console.errors import CrewFull, DuplicateValue, InvalidInput, StillUsed, TransitionRefused
from console.states import BookingStatus, PaymentStatus, UserRole
from console.views import formats
from console.views.desk.queries import bounded_number
from tests import make

NOW = make.datetime(2026, 11, 22, 12, 0, tzinfo=make.UTC)


@pytest.fixture(autouse=True)
def _page(app):
    with app.test_request_context():
        yield


def said(language, format_value, *values):
    with force_locale(language):
        return format_value(*values).replace("\xa0", " ")


@pytest.mark.parametrize(
    ("amount", "currency", "english", "russian"),
    [
        (Decimal("1500.00"), "RUB", "₽1,500", "1 500 ₽"),
        (Decimal("1234567.50"), "RUB", "₽1,234,567.50", "1 234 567,50 ₽"),
        (Decimal("0"), None, "₽0", "0 ₽"),
        (Decimal("-12.10"), "EUR", "-€12.10", "-12,10 €"),
        (Decimal("9999999999.99"), "USD", "$9,999,999,999.99", "9 999 999 999,99 $"),
        (Decimal("5"), "XQZ", "XQZ 5", "5 XQZ"),
    ],
)
def test_money_is_written_as_each_language_does(amount, currency, english, russian):
    assert said("en", formats.money, amount, currency) == english
    assert said("ru", formats.money, amount, currency) == russian


def test_a_count_that_stopped_at_its_bound_says_so_as_each_language_writes_numbers():
    assert [said("en", bounded_number, count) for count in (7, 1000, 1001)] == ["7", "1,000", "1,000+"]
    assert said("ru", bounded_number, 1001) == "1 000+"


@pytest.mark.parametrize(
    ("zone", "english", "russian"),
    [
        (None, "22 Nov 2026, 15:00", "22 нояб. 2026, 15:00"),
        ("Europe/Moscow", "22 Nov 2026, 15:00", "22 нояб. 2026, 15:00"),
        ("Asia/Irkutsk", "22 Nov 2026, 20:00 (UTC+8)", "22 нояб. 2026, 20:00 (UTC+8)"),
        ("Asia/Kolkata", "22 Nov 2026, 17:30 (UTC+5:30)", "22 нояб. 2026, 17:30 (UTC+5:30)"),
        ("America/St_Johns", "22 Nov 2026, 08:30 (UTC−3:30)", "22 нояб. 2026, 08:30 (UTC−3:30)"),
        ("Nowhere/Land", "22 Nov 2026, 15:00", "22 нояб. 2026, 15:00"),
        ("../../etc/passwd", "22 Nov 2026, 15:00", "22 нояб. 2026, 15:00"),
    ],
)
def test_moments_in_their_zone(zone, english, russian):
    assert said("en", formats.localtime, NOW, zone) == english
    assert said("ru", formats.localtime, NOW, zone) == russian


@pytest.mark.parametrize(
    ("away", "english"),
    [
        ({"seconds": -10}, "just now"),
        ({"seconds": 10}, "now"),
        ({"minutes": -1}, "1 min. ago"),
        ({"minutes": 44}, "in 44 min."),
        ({"hours": -21}, "21 hr. ago"),
        ({"days": -1}, "yesterday"),
        ({"days": 1}, "tomorrow"),
        ({"days": 25}, "in 25 days"),
        ({"days": 30}, "22 Dec"),
        ({"days": -500}, "10 Jul 2025"),
    ],
)
def test_a_moment_is_told_by_how_far_away_it_is(away, english):
    assert said("en", formats.ago, NOW + timedelta(**away), NOW) == english


def test_a_moment_is_told_in_russian_too():
    assert said("ru", formats.ago, NOW - timedelta(minutes=5), NOW) == "5 мин. назад"
    assert said("ru", formats.ago, NOW + timedelta(days=3), NOW) == "через 3 дн."
    assert said("ru", formats.ago, NOW - timedelta(days=500), NOW) == "10 июл. 2025"


def test_nothing_is_said_of_nothing():
    assert [formats.money(None), formats.localtime(None), formats.ago(None), formats.state_label(None)] == [
        ""
    ] * 4
    assert formats.person(None) == "—"


def test_person_is_called_by_the_best_name_there_is(session):
    user = make.user(username="anna-1")
    assert formats.person(user) == "anna-1"
    make.profile(user_id=user.id, full_name=None, telegram="anna")
    session.refresh(user)
    assert formats.person(user) == "@anna"
    user.profile.full_name = "Anna Petrova"
    assert formats.person(user) == "Anna Petrova"


def test_same_word_of_two_enums_may_differ():
    assert said("en", formats.state_label, BookingStatus.CONFIRMED) == "Confirmed"
    assert said("ru", formats.state_label, UserRole.ADMIN) == "Администратор"
    assert said("ru", formats.state_label, PaymentStatus.SUCCEEDED) != "Paid"


def test_refusal_speaks_the_language_of_the_page():
    refusal = TransitionRefused(current=BookingStatus.EXPIRED, wanted=BookingStatus.CONFIRMED)
    assert said("en", formats.sentence, refusal) == "“Expired” cannot become “Confirmed”."
    russian = said("ru", formats.sentence, refusal)
    assert not any(word in russian for word in ("Expired", "Confirmed", "cannot"))


def test_names_in_a_refusal_are_not_translated():
    assert "«Boat»" in said("ru", formats.sentence, CrewFull(crew="«Boat»", capacity=4))
    assert "Cancel" in said("ru", formats.sentence, CrewFull(crew="Cancel", capacity=4))
    assert said("en", formats.sentence, InvalidInput(field="Phone", problem="")) == "Phone: "


def test_a_refusal_names_columns_and_tables_by_their_words():
    taken = said("ru", formats.sentence, DuplicateValue(fields=["booking_id", "crew_type"]))
    used = said("ru", formats.sentence, StillUsed(tables=["bookings", "crews"]))
    assert "Бронь" in taken and "booking_id" not in taken
    assert "брони, экипажи" in used
