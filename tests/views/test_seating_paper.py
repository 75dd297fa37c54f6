"""Manifests and the seat map on paper, telling people their places, and people into crews by a file."""

import io
from collections.abc import Callable
from typing import Any

import openpyxl
import pypdfium2
import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from console import errors
from console.db import db
from console.models import Booking, Crew, CrewAssignment, Event, OutboxMessage, Profile
from console.services.seating import imports, places, steps, telling
from console.states import BookingStatus, Channel, CrewType, NotificationCategory, UserRole
from tests import make
from tests.views.browser import csrf_token, sign_in


class Desk:
    """An organizer of a trip with two boats; Анна and Boris sit in the first, Cid has no place."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client
        self.event: Event = make.event(capacity=20, title="Сплав по Чуе")
        self.orca, self.tern = (
            make.crew(event_id=self.event.id, name=name, capacity=3) for name in ("Касатка", "Tern")
        )
        self.anna = self.person("Анна Ёлкина", phone="+79161234567", extra={
            "emergency_contact": {"name": "Пётр Ёлкин", "phone": "+79035550000"}, "diet": "без орехов",
        })  # fmt: skip
        self.boris = self.person("Boris Stein", phone="+79167654321")
        self.cid = self.person("Cid Moor", extra={"emergency": 112, "note": ["=cmd", {"name": "x"}]})
        for seat, booking in ((1, self.anna), (3, self.boris)):
            places.place(self.orca.id, booking_id=booking.id, seat_number=seat, actor=None)
        self.olga = make.staff(UserRole.ORGANIZER, self.event.organizer, username="olga")
        sign_in(client, self.olga)

    def person(self, name: str, **profile: Any) -> Booking:
        someone = make.person()
        row = db.session.get_one(Profile, someone.id)
        row.full_name = name
        for column, value in profile.items():
            setattr(row, column, value)
        return make.booking(event_id=self.event.id, user_id=someone.id, status=BookingStatus.CONFIRMED)

    def get(self, page: str = "", **query: Any) -> TestResponse:
        return self.client.get(f"/desk/events/{self.event.id}/seating/paper{page}", query_string=query)

    def post(self, page: str, **form: Any) -> TestResponse:
        form["csrf_token"] = csrf_token(self.client)
        url = f"/desk/events/{self.event.id}/seating/paper{page}"
        return self.client.post(url, data=form, content_type="multipart/form-data")

    def upload(self, text: str, act: str = "check", kind: str = "CREW") -> TestResponse:
        return self.post("/import", type=kind, act=act, file=(io.BytesIO(text.encode()), "places.csv"))

    def where(self) -> dict[str, tuple[str, int]]:
        rows = db.session.execute(
            sa.select(Profile.full_name, Crew.name, CrewAssignment.seat_number)
            .join(CrewAssignment, CrewAssignment.user_id == Profile.user_id)
            .join(Crew, Crew.id == CrewAssignment.crew_id)
        )
        return {name: (crew, seat) for name, crew, seat in rows}


@pytest.fixture
def desk(client: FlaskClient) -> Desk:
    return Desk(client)


def words(pdf: bytes) -> tuple[str, int]:
    """The text of a PDF, and how many pages it has."""
    document = pypdfium2.PdfDocument(pdf)
    try:
        texts = []
        for page in document:
            text = page.get_textpage()
            texts.append(text.get_text_range())
            text.close()
            page.close()
        return "\n".join(texts), len(texts)
    finally:
        document.close()


def test_the_manifest_says_who_sits_where_in_the_language_that_is_asked_for(desk: Desk) -> None:
    answer = desk.get("/manifest.pdf", language="en")
    assert answer.content_type == "application/pdf"
    text, pages = words(answer.data)
    assert pages == 1
    for said in (
        "Сплав по Чуе",
        "Касатка",
        "2 of 3 seats taken",
        "Анна Ёлкина",
        "+79161234567",
        "без орехов",
    ):
        assert said in text
    assert "Пётр Ёлкин" in text and "+79035550000" in text
    assert "Tern" in text
    assert "In an emergency" in text
    text, _ = words(desk.get("/manifest.pdf", language="ru").data)
    assert "Телефон" in text and "Phone" not in text


def test_a_manifest_of_one_crew_and_of_a_type(desk: Desk) -> None:
    tent = make.crew(event_id=desk.event.id, name="Tent 9", type="TENT", capacity=2)
    text, _ = words(desk.get("/manifest.pdf", crew=desk.tern.id).data)
    assert "Tern" in text and "Касатка" not in text
    text, _ = words(desk.get("/manifest.pdf", type="TENT").data)
    assert "Tent 9" in text and "Tern" not in text
    assert desk.get("/manifest.pdf", crew=make.crew().id).status_code == 404
    assert desk.get("/manifest.pdf", crew="nonsense").status_code == 404
    assert desk.get("/manifest.xlsx", type="SHIP").status_code == 404
    assert tent.capacity == 2


def test_long_manifests_go_on_on_further_pages_and_odd_letters_do_no_harm(desk: Desk) -> None:
    for number in range(40):
        make.crew(event_id=desk.event.id, name=f"Boat \N{SAILBOAT}\N{SWIMMER} {number:02} " + "ы" * 60)
    name = "Ω" * 150
    db.session.get_one(Profile, desk.anna.user_id).full_name = name
    db.session.flush()
    text, pages = words(desk.get("/manifest.pdf").data)
    assert pages > 5
    assert "Boat" in text
    text, pages = words(desk.get("/map.pdf", language="en").data)
    assert pages >= 2
    assert "2 / 3" in text and "Boris Stein" in text and "ы…" in text


def test_the_workbook_has_a_line_a_person_and_no_formulas(desk: Desk) -> None:
    places.place(desk.tern.id, booking_id=desk.cid.id, seat_number=2, actor=None)
    sheet = openpyxl.load_workbook(io.BytesIO(desk.get("/manifest.xlsx", language="en").data)).active
    assert sheet is not None
    rows = [[cell.value for cell in row] for row in sheet.iter_rows()]
    assert rows[0] == ["Crew type", "Crew", "Seat", "Full name", "Phone", "Notes", "In an emergency"]
    assert [row[1:4] for row in rows[1:]] == [
        ["Tern", 2, "Cid Moor"],
        ["Касатка", 1, "Анна Ёлкина"],
        ["Касатка", 3, "Boris Stein"],
    ]
    assert rows[1][5:] == ["'=cmd, x", "112"]
    assert rows[2][4:] == ["'+79161234567", "без орехов", "Пётр Ёлкин, +79035550000"]


def told(desk: Desk) -> list[OutboxMessage]:
    query = sa.select(OutboxMessage).where(OutboxMessage.event_id == desk.event.id)
    return list(db.session.scalars(query.order_by(OutboxMessage.dedupe_key)))


@pytest.fixture
def bot_on(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling.outbox, "channels", lambda: {"telegram_on": True, "email_on": False})


@pytest.mark.usefixtures("bot_on")
def test_everybody_is_told_once_and_again_when_their_place_changes(desk: Desk) -> None:
    tent = make.crew(event_id=desk.event.id, name="Tent 1", type="TENT", capacity=2)
    places.place(tent.id, booking_id=desk.anna.id, seat_number=None, actor=None)
    make.notification_pref(
        user_id=desk.boris.user_id, category=NotificationCategory.EVENT_NEWS, channel=Channel.TELEGRAM
    )
    page = desk.get().text
    assert "1 person is told where they sit" in page
    assert "Касатка · 1, Tent 1 · 1" in page
    assert "1 person does not want such notices or has no channel: Boris Stein" in page
    assert desk.post("/tell").status_code == 303
    assert [message.payload for message in told(desk)] == [
        {"kind": "place", "places": "Касатка · 1, Tent 1 · 1"}
    ]
    desk.post("/tell")
    assert len(told(desk)) == 1
    assert "knows already" in desk.get().text
    place = db.session.scalars(sa.select(CrewAssignment).where(CrewAssignment.crew_id == tent.id)).one()
    places.unplace(place.id, actor=None)
    desk.post("/tell")
    places.place(tent.id, booking_id=desk.anna.id, seat_number=None, actor=None)
    desk.post("/tell")
    assert [message.payload["places"] for message in told(desk)] == [
        "Касатка · 1, Tent 1 · 1",
        "Касатка · 1",
        "Касатка · 1, Tent 1 · 1",
    ]


def test_the_notice_names_the_places(desk: Desk) -> None:
    from console.services import notices

    message = make.outbox_message(
        event_id=desk.event.id, category="EVENT_NEWS", payload={"kind": "place", "places": "Касатка · 1"}
    )
    assert "Ваше место: Касатка · 1" in notices.render(message, Channel.EMAIL, "ru").text
    assert notices.render(message, Channel.EMAIL, "en").subject == "Your place: Сплав по Чуе"


def test_a_file_is_looked_at_first_and_done_by_a_second_press(desk: Desk) -> None:
    text = f"name;crew;seat\nанна  ёлкина;TERN;2\n;;\nCid Moor;касатка;\n{'@ghost'};Tern;\n"
    page = desk.upload(text.replace("@ghost;Tern;\n", "")).text
    assert "2 people would move" in page
    assert desk.where()["Анна Ёлкина"] == ("Касатка", 1)
    done = desk.post("/import", type="CREW", act="commit", text=text.replace("@ghost;Tern;\n", ""))
    assert done.status_code == 303 and done.location.endswith("/seating")
    assert desk.where() == {
        "Анна Ёлкина": ("Tern", 2),
        "Boris Stein": ("Касатка", 3),
        "Cid Moor": ("Касатка", 1),
    }
    steps.undo(desk.event.id, actor=desk.olga)
    assert desk.where()["Анна Ёлкина"] == ("Касатка", 1)


def test_one_refused_line_keeps_the_whole_file_out(desk: Desk) -> None:
    before = desk.where()
    text = "phone,crew,seat\n8 (916) 123-45-67,Tern,1\n+79160000000,Tern,\n"
    for act in ("check", "commit"):
        page = desk.upload(text, act).text
        assert "1 line is refused" in page
        assert imports.NO_PERSON in page
    assert desk.where() == before


REFUSED: list[tuple[str, str]] = [
    ("Nobody,Tern,", imports.NO_PERSON),
    ("Twin,Tern,", imports.SEVERAL),
    ("Cid Moor,Tern,\nCid Moor,Tern,", imports.TWICE),
    ("Cid Moor,Nowhere,", imports.NO_CREW),
    ("Cid Moor,Same,", imports.TWO_CREWS),
    ("Cid Moor,Tern,9", imports.BAD_SEAT),
    ("Cid Moor,Tern,x", imports.BAD_SEAT),
    ("Cid Moor,Касатка,3", imports.SEAT_TAKEN),
    ("Cid Moor,Tern,1\nBoris Stein,Tern,1", imports.SEAT_TWICE),
    ("Cid Moor,Tiny,\nBoris Stein,Tiny,", imports.CREW_FULL),
    ("Cid Moor,Shut,", imports.CREW_LOCKED),
    ("Анна Ёлкина,Tern,", imports.PERSON_LOCKED),
]


@pytest.mark.parametrize(("lines", "reason"), REFUSED)
def test_a_line_that_does_not_fit_says_why(desk: Desk, lines: str, reason: str) -> None:
    for name, facts in {"Same": {}, "same": {}, "Tiny": {"capacity": 1}, "Shut": {"locked": True}}.items():
        make.crew(event_id=desk.event.id, name=name, **facts)
    desk.person("Twin"), desk.person("Twin")
    db.session.execute(
        sa.update(CrewAssignment).where(CrewAssignment.booking_id == desk.anna.id).values(locked=True)
    )
    plan = imports.check(desk.event.id, CrewType.CREW, "name,crew,seat\n" + lines)
    assert [row.refusal for row in plan.refused] == [reason]


def test_people_may_swap_by_a_file_and_stay_where_they_are(desk: Desk) -> None:
    text = "name,crew,seat\nАнна Ёлкина,Касатка,3\nBoris Stein,Касатка,1\n"
    plan, step = imports.commit(desk.event.id, CrewType.CREW, text, actor=desk.olga)
    assert step is not None and step.kind == "import"
    assert desk.where() == {"Анна Ёлкина": ("Касатка", 3), "Boris Stein": ("Касатка", 1)}
    plan, step = imports.commit(desk.event.id, CrewType.CREW, text, actor=desk.olga)
    assert step is None and not plan.refused and not plan.changing


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b"who,where\na,b", "must name a column crew"),
        (b"name\nAnna", "must name a column crew"),
        (b"\x00\x01", "this is not a text file"),
        (b"name,crew\n" + b"a,b\n" * 5001, "at most 5000 rows"),
    ],
)
def test_what_is_no_such_file_says_what_is_wrong(desk: Desk, content: bytes, said: str) -> None:
    answer = desk.post("/import", type="CREW", act="check", file=(io.BytesIO(content), "a.csv"))
    assert answer.status_code == 422
    assert said in answer.text


def test_a_file_that_is_too_large_is_refused() -> None:
    with pytest.raises(errors.InvalidInput, match="at most 1 MB"):
        imports.decode(b"x" * 1_000_001)


def test_a_file_of_excel_in_russian_is_read(desk: Desk) -> None:
    content = "ФИО;Лодка;Место\r\nАнна Ёлкина;Tern;3\r\n".encode("cp1251")
    plan = imports.check(desk.event.id, CrewType.CREW, imports.decode(content))
    assert [(row.name, row.after and row.after.seat, row.refusal) for row in plan.rows] == [
        ("Анна Ёлкина", 3, "")
    ]


def test_others_find_none_of_it(desk: Desk, client: FlaskClient) -> None:
    other = client.application.test_client()
    sign_in(other, make.staff(UserRole.ORGANIZER, make.organizer()))
    asked: list[Callable[[str], TestResponse]] = [other.get]
    for page in ("", "/manifest.pdf", "/map.pdf", "/manifest.xlsx", "/import"):
        for ask in asked:
            assert ask(f"/desk/events/{desk.event.id}/seating/paper{page}").status_code == 404
