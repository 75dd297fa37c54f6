"""What a file calls a record of another table, found for all its rows at once.

Whoever does not exist for the reader is not found, like what does not exist at all.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask_babel import gettext
from sqlalchemy.dialects.postgresql import ARRAY

from console import policy
from console.db import Base, db
from console.errors import InvalidInput
from console.models import Event, Organizer, Profile, User
from console.services.contacts import clean_phone, clean_telegram
from console.views.cells import console_zone
from console.views.formats import at_clock
from console.views.imports.zones import zone_named
from console.views.values import parse_uuid

#: Between the parts of a name that our exports write: "Rafting · 2026-07-01 10:00".
JOINT = " · "
MOMENT = "%Y-%m-%d %H:%M"

#: By the texts of the file: a key, or the sentence why there is none.
Found = Mapping[str, UUID | str]


def find(user: User, target: type[Base], texts: Iterable[str]) -> Found:
    """The keys of the rows that these texts name, one statement whatever their number."""
    wanted = set(texts)
    if not wanted:
        return {}
    return FINDERS[target](user, wanted)


def among(column: Any, values: Iterable[Any], type_: Any = sa.Text) -> Any:
    """`column` is one of these: one parameter, however many they are."""
    return column == sa.any_(sa.cast(sa.literal(list(values), ARRAY(type_)), ARRAY(type_)))


def as_id(text: str) -> UUID | None:
    try:
        return parse_uuid(text.lower())
    except ValueError:
        return None


def phone(text: str) -> str | None:
    """A phone as it is stored; None for what is none."""
    try:
        return clean_phone(text) if sum(sign.isdigit() for sign in text) >= 7 else None
    except InvalidInput:
        return None


def telegram(text: str) -> str | None:
    """A Telegram name as it is compared; None for what is none."""
    try:
        name = clean_telegram(text)
    except InvalidInput:
        return None
    return name.lower() if name else None


class _Names:
    """Which rows are called what; the rows of one text are whoever any of its readings names."""

    def __init__(self) -> None:
        self._by: dict[tuple[str, str], set[UUID]] = {}

    def add(self, kind: str, name: str | None, key: UUID) -> None:
        if name:
            self._by.setdefault((kind, name), set()).add(key)

    def of(self, *readings: tuple[str, str | None]) -> set[UUID]:
        """Who the first reading that finds anybody names."""
        for kind, name in readings:
            if name and (found := self._by.get((kind, name))):
                return found
        return set()


def one(found: set[UUID], several: str) -> UUID | str:
    if len(found) == 1:
        return next(iter(found))
    return several if found else gettext("Not found.")


def _ids(texts: Iterable[str]) -> list[UUID]:
    return [key for key in map(as_id, texts) if key is not None]


def _organizers(user: User, texts: set[str]) -> Found:
    names = {text.lower() for text in texts}
    slugs = texts | {text.rpartition(JOINT)[2] for text in texts}
    named = sa.or_(
        among(Organizer.id, _ids(texts), sa.UUID),
        among(Organizer.slug, slugs),
        among(sa.func.lower(Organizer.name), names),
    )
    known = _Names()
    query = policy.visible(user, Organizer).with_only_columns(Organizer.id, Organizer.slug, Organizer.name)
    for row in db.session.execute(query.where(named)):
        known.add("id", str(row.id), row.id)
        known.add("slug", row.slug, row.id)
        known.add("name", row.name.lower(), row.id)
    several = gettext("Several organizers are called that: write the short name or the id.")
    return {
        text: one(
            known.of(
                ("id", text.lower()),
                ("slug", text),
                ("name", text.lower()),
                ("slug", text.rpartition(JOINT)[2]),
            ),
            several,
        )
        for text in texts
    }


def _events(user: User, texts: set[str]) -> Found:
    titles = {text.lower() for text in texts} | {text.rpartition(JOINT)[0].lower() for text in texts}
    named = sa.or_(among(Event.id, _ids(texts), sa.UUID), among(sa.func.lower(Event.title), titles - {""}))
    known = _Names()
    query = policy.visible(user, Event).with_only_columns(
        Event.id, Event.title, Event.date_start, Event.timezone
    )
    for row in db.session.execute(query.where(named)):
        zone = zone_named(row.timezone) if row.timezone else console_zone()
        start = at_clock(row.date_start, zone).strftime(MOMENT)
        known.add("id", str(row.id), row.id)
        known.add("title", row.title.lower(), row.id)
        known.add("start", f"{row.title}{JOINT}{start}".lower(), row.id)
    several = gettext("Several events have this title: write “title · 2026-07-01 10:00” or the id.")
    return {
        text: one(known.of(("id", text.lower()), ("start", text.lower()), ("title", text.lower())), several)
        for text in texts
    }


def _people(user: User, texts: set[str]) -> Found:
    contacts = {text: text.rpartition(JOINT)[2] for text in texts}
    phones = {text: phone(contact) for text, contact in contacts.items()}
    telegrams = {text: telegram(contact) for text, contact in contacts.items()}
    names = {text.lower() for text in texts}
    profiles = sa.select(Profile.user_id).where(
        sa.or_(
            among(Profile.phone, filter(None, phones.values())),
            among(sa.func.lower(Profile.telegram), handles(filter(None, telegrams.values()))),
            among(sa.func.lower(Profile.full_name), names),
        )
    )
    users = sa.select(User.id).where(
        sa.or_(among(User.id, _ids(texts), sa.UUID), among(User.username, contacts.values()))
    )
    known = _Names()
    query = (
        policy.visible(user, User)
        .outerjoin(Profile, Profile.user_id == User.id)
        .with_only_columns(User.id, User.username, Profile.phone, Profile.telegram, Profile.full_name)
        .where(User.id.in_(sa.union(profiles, users)))
    )
    for row in db.session.execute(query):
        known.add("id", str(row.id), row.id)
        known.add("username", row.username, row.id)
        known.add("phone", row.phone, row.id)
        known.add("telegram", (row.telegram or "").lstrip("@").lower(), row.id)
        known.add("name", (row.full_name or "").lower(), row.id)
    several = gettext("Several people are called that: write a phone, an @telegram or the id.")
    return {
        text: one(
            known.of(
                ("id", text.lower()),
                ("phone", phones[text]),
                # A word that is a Telegram name may be a username of ours as well.
                ("username", contacts[text]),
                ("telegram", telegrams[text]),
                ("name", text.lower()),
            ),
            several,
        )
        for text in texts
    }


def handles(names: Iterable[str]) -> list[str]:
    """Telegram names as they may be stored: another service writes them with their @."""
    return [written for name in names for written in (name, f"@{name}")]


FINDERS: dict[type[Base], Callable[[User, set[str]], Found]] = {
    Organizer: _organizers,
    Event: _events,
    User: _people,
}
