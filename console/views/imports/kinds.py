"""What can be imported: per table, how a record is found again, and the rules of its service."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask_babel import gettext
from flask_babel import lazy_gettext as _l

from console.db import Base, db
from console.errors import CapacityHeld, InvalidInput, PlacesMovedOn, ValueRefused
from console.models import (
    Crew,
    CrewAssignment,
    Event,
    FaqItem,
    Profile,
    Task,
    TeamMember,
    User,
    WaitlistEntry,
)
from console.services import event_sets, events, integrity, people_sets, record_sets, waitlist_sets
from console.services.contacts import clean_name
from console.views.columns import Column, columns_of
from console.views.imports.references import among, handles, phone, telegram
from console.views.imports.spec import Import, Read, Row, Stored
from console.views.imports.zones import zone_named


class People(Import):
    """Participants: an account with a profile. Accounts themselves, and roles, are not for files."""

    natural_words = _l("their phone or Telegram name, without both by e-mail and name")
    title = "full_name"
    example = {
        "full_name": _l("Anna Smirnova"),
        "phone": "+7 916 123-45-67",
        "telegram": "@anna_smirnova",
        "email": "anna@example.com",
    }
    aliases = {
        "id": ("user id", "person", "человек", "ид"),
        "full_name": ("name", "имя", "фио", "person name"),
        "phone": ("phone number", "mobile", "номер телефона", "тел"),
        "telegram": ("телеграм", "tg", "telegram username"),
        "email": ("mail", "почта", "эл почта"),
    }

    def names_to_change(self) -> list[str]:
        return self.new

    def column(self, name: str) -> Column:
        return columns_of(Profile)[name]

    def select(self, query: sa.Select[Any]) -> sa.Select[Any]:
        return super().select(query.outerjoin(Profile, Profile.user_id == User.id))

    def find_by_name(self, rows: Sequence[Row]) -> None:
        phones = {row.line: phone(row.cells.get("phone", "")) for row in rows}
        telegrams = {row.line: telegram(row.cells.get("telegram", "")) for row in rows}
        emails = {row.line: _only_email(row.cells) for row in rows}
        named = sa.select(Profile.user_id).where(
            sa.or_(
                among(Profile.phone, set(filter(None, phones.values()))),
                among(sa.func.lower(Profile.email), {email for email, _ in filter(None, emails.values())}),
                among(sa.func.lower(Profile.telegram), handles(set(filter(None, telegrams.values())))),
            )
        )
        by_phone: dict[str, list[Stored]] = {}
        by_telegram: dict[str, list[Stored]] = {}
        by_email: dict[Any, list[Stored]] = {}
        for stored in self.stored(User.id.in_(named)):
            by_phone.setdefault(stored["phone"] or "", []).append(stored)
            by_telegram.setdefault((stored["telegram"] or "").lstrip("@").lower(), []).append(stored)
            by_email.setdefault(_email_and_name(stored), []).append(stored)
        for row in rows:
            found = [
                *by_phone.get(phones[row.line] or " ", ()),
                *by_telegram.get(telegrams[row.line] or " ", ()),
                *by_email.get(emails[row.line] or " ", ()),
            ]
            self.settle(row, list({stored["id"]: stored for stored in found}.values()))

    def names(self, row: Row) -> Iterable[Any]:
        if row.stored is not None:
            return [row.stored["id"]]
        contacts = (row.values.get("phone"), row.values.get("telegram"))
        names: list[Any] = [contact.lower() for contact in contacts if contact]
        return names or list(filter(None, [_only_email(row.values)]))

    def read_cell(self, row: Row | None, name: str, text: str, stored: Stored | None) -> Read:
        value, errors = super().read_cell(row, name, text, stored)
        if name == "full_name" and value and not errors and not (stored and stored[name] == value):
            try:
                value = clean_name(value)
            except InvalidInput as error:
                return None, [gettext(error.facts["problem"])]
        return value, errors

    def lock(self, target_ids: Sequence[UUID], rows: Sequence[Row]) -> None:
        super().lock(target_ids, rows)
        profiles = sa.select(Profile.user_id).where(among(Profile.user_id, target_ids, sa.UUID))
        db.session.execute(profiles.order_by(Profile.user_id).with_for_update(key_share=True))

    def write(self, new: Sequence[dict[str, Any]], changed: Mapping[UUID, Mapping[str, Any]]) -> None:
        people_sets.create_people(new, actor=self.user)
        people_sets.change_people(changed, actor=self.user)

    def untouched(self, ids: Sequence[UUID]) -> set[UUID]:
        found = record_sets.untouched(User, ids, but={"user.profiles"})
        changed = sa.select(Profile.user_id).where(
            among(Profile.user_id, found, sa.UUID), Profile.updated_at != Profile.created_at
        )
        return found - set(db.session.scalars(changed))


def _only_email(person: Mapping[str, Any]) -> tuple[str, str] | None:
    """What names a person whom only an e-mail reaches: families share one, so the name belongs to it."""
    if person.get("phone") or person.get("telegram") or not person.get("email"):
        return None
    return _email_and_name(person)


def _email_and_name(person: Mapping[str, Any]) -> tuple[str, str]:
    return (person["email"] or "").lower(), " ".join((person.get("full_name") or "").lower().split())


class Events(Import):
    """Events: new ones are drafts. Their state and their free seats are not for files."""

    natural = ("organizer_id", "title", "date_start")
    natural_words = _l("their organizer, title and start")
    title = "title"
    consequence = _l("New seats go to the waitlist first.")
    example = {
        "title": _l("Rafting on the Shuya"),
        "organizer_id": _l("the organizer's short name"),
        "type": _l("rafting"),
        "date_start": "2027-07-01 10:00",
        "date_end": "2027-07-03 18:00",
        "timezone": "Europe/Moscow",
        "price": "4500",
        "capacity": "12",
        "location": _l("Matrosy, the bridge"),
        "auto_offers": _l("Yes"),
    }
    aliases = {
        "title": ("event", "name", "событие", "мероприятие"),
        "organizer_id": ("organiser", "организатор"),
        "type": ("kind", "вид"),
        "date_start": ("start", "date start", "from", "дата начала", "начало"),
        "date_end": ("end", "date end", "to", "until", "дата окончания", "конец", "окончание"),
        "timezone": ("time zone", "зона"),
        "price": ("cost", "стоимость"),
        "capacity": ("seats", "places", "мест", "места"),
        "location": ("where", "venue", "место проведения"),
    }
    checks = {
        "ck_events_dates": lambda event: event["date_end"] >= event["date_start"],
        "ck_events_price": lambda event: event["price"] >= 0,
    }

    def select(self, query: sa.Select[Any]) -> sa.Select[Any]:
        return super().select(query).add_columns(Event.available)

    def zone_of(self, row: Row | None, stored: Stored | None) -> Any:
        written = row.cells.get("timezone") if row else None
        return zone_named(written or (stored["timezone"] if stored else None))

    def check(self, rows: Sequence[Row]) -> None:
        super().check(rows)
        for row in rows:
            if "capacity" not in row.values:
                continue
            held = row.stored["capacity"] - row.stored["available"] if row.stored else 0
            try:
                events.check_capacity(row.values["capacity"], held=held)
            except (InvalidInput, CapacityHeld) as error:
                row.refuse("capacity", error)

    def write(self, new: Sequence[dict[str, Any]], changed: Mapping[UUID, Mapping[str, Any]]) -> None:
        event_sets.create_events(new, actor=self.user)
        event_sets.change_events(changed, actor=self.user)


class Team(Import):
    natural = ("organizer_id", "name")
    natural_words = _l("their organizer and name")
    example = {
        "organizer_id": _l("the organizer's short name"),
        "name": _l("Ivan Petrov"),
        "role": _l("Guide"),
        "bio": _l("Twelve years on white water."),
    }
    aliases = {
        "organizer_id": ("organiser", "организатор"),
        "name": ("full name", "имя", "фио"),
        "role": ("position", "должность"),
        "bio": ("about", "о себе"),
        "photo_url": ("photo", "фото"),
    }


class Faq(Import):
    natural = ("organizer_id", "question")
    natural_words = _l("their organizer and question")
    title = "question"
    example = {
        "organizer_id": _l("the organizer's short name"),
        "question": _l("What should I take along?"),
        "answer": _l("Dry socks and a warm hat."),
    }
    aliases = {
        "organizer_id": ("organiser", "организатор"),
        "question": ("вопрос",),
        "answer": ("ответ",),
    }


class Crews(Import):
    natural = ("event_id", "type", "name")
    natural_words = _l("their event, type and name")
    example = {
        "event_id": _l("Rafting on the Shuya"),
        "name": _l("Boat 1"),
        "type": "CREW",
        "capacity": "6",
    }
    aliases = {
        "event_id": ("событие", "мероприятие"),
        "name": ("crew", "экипаж", "название"),
        "type": ("kind", "вид", "crew type"),
        "capacity": ("seats", "places", "мест", "места"),
    }
    checks = {"ck_crews_capacity": lambda crew: crew["capacity"] >= 0}

    def check(self, rows: Sequence[Row]) -> None:
        super().check(rows)
        # The database refuses these by triggers, when it is too late to say in which line.
        seats = sa.select(CrewAssignment.crew_id, sa.func.max(CrewAssignment.seat_number))
        ids = [row.target_id for row in rows if row.target_id]
        seated = seats.where(among(CrewAssignment.crew_id, ids, sa.UUID)).group_by(CrewAssignment.crew_id)
        highest = {crew_id: seat for crew_id, seat in db.session.execute(seated)} if ids else {}
        for row in rows:
            top = highest.get(row.target_id) if row.target_id else None
            if top is None:
                continue
            if row.values.get("capacity", top) < top:
                row.refuse("capacity", _rule("ck_crews_seats_taken"))
            if "event_id" in row.values:
                row.refuse("event_id", _rule("ck_crews_event_kept"))


class Waitlist(Import):
    """People who wait: new ones go to the end of the line, those who wait already can change places."""

    natural = ("event_id", "user_id")
    natural_words = _l("their event and person")
    title = "user_id"
    moved_on = PlacesMovedOn
    consequence = _l("Free seats are offered to the waitlist by themselves.")
    example = {
        "event_id": _l("Rafting on the Shuya"),
        "user_id": "+7 916 123-45-67",
        "priority": "",
    }
    aliases = {
        "event_id": ("событие", "мероприятие"),
        "user_id": ("phone", "telegram", "participant", "телефон", "участник", "фио"),
        "priority": ("place", "position", "место", "очередь"),
    }

    def check(self, rows: Sequence[Row]) -> None:
        joining = {(row.values["event_id"], row.values["user_id"]): row for row in rows if not row.stored}
        for pair, error in waitlist_sets.refusals(list(joining)).items() if joining else ():
            joining[pair].refuse("", error)
        taken: dict[Any, int] = {}
        for row in rows:
            if row.stored is not None and "priority" in row.values:
                place = (row.stored["event_id"], row.values["priority"])
                line = taken.setdefault(place, row.line)
                if line != row.line:
                    row.refuse("priority", gettext("Line %(line)s takes this place already.", line=line))

    def lock(self, target_ids: Sequence[UUID], rows: Sequence[Row]) -> None:
        mine = sa.select(WaitlistEntry.event_id).where(among(WaitlistEntry.id, target_ids, sa.UUID))
        joined = {row.values["event_id"] for row in rows if not row.stored and "event_id" in row.values}
        waitlist_sets.lock_events({*db.session.scalars(mine), *joined})
        super().lock(target_ids, rows)

    def write(self, new: Sequence[dict[str, Any]], changed: Mapping[UUID, Mapping[str, Any]]) -> None:
        places = {key: values["priority"] for key, values in changed.items()}
        self.made_way = [
            {
                "id": str(each.id),
                "for": str(each.passed_by),
                "before": {"priority": each.was},
                "after": {"priority": each.priority},
            }
            for each in waitlist_sets.place_many(places, actor=self.user)
        ]
        waitlist_sets.join_many(new, actor=self.user)

    def may_change_back(self, task: Task) -> bool:
        # Imports of before did not keep who had made way.
        return "made_way" in task.args

    def select(self, query: sa.Select[Any]) -> sa.Select[Any]:
        return super().select(query).add_columns(WaitlistEntry.notified_at)

    def stands(self, stored: Stored, after: Mapping[str, Any]) -> bool:
        return stored["notified_at"] is None and super().stands(stored, after)

    def remove(self, ids: Sequence[UUID]) -> None:
        waitlist_sets.leave_many(ids, actor=self.user)


def _rule(name: str) -> ValueRefused:
    return ValueRefused(rule=integrity.RULES[name][0])


IMPORTS: dict[type[Base], type[Import]] = {
    User: People,
    Event: Events,
    TeamMember: Team,
    FaqItem: Faq,
    Crew: Crews,
    WaitlistEntry: Waitlist,
}
