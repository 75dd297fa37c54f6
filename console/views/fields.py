"""The fields of forms, one by kind of column: what they show, what they take back, and what they refuse."""

import json
import re
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

from flask_babel import gettext
from flask_babel import lazy_gettext as _l
from wtforms import BooleanField, Field, SelectField, SelectMultipleField, StringField, TextAreaField
from wtforms.fields.choices import Choice, SelectChoice
from wtforms.validators import InputRequired, Length, Optional, StopValidation, ValidationError
from wtforms.widgets import DateTimeLocalInput

from console import config
from console.db import Base
from console.errors import N_, FileRefused, InvalidInput
from console.services.contacts import clean_email, clean_phone, clean_telegram
from console.services.web_addresses import clean_web_address
from console.views.columns import Column, Kind, table_of
from console.views.formats import at_clock, state_label
from console.views.typed import read_json, refuse_unholdable
from console.views.values import MONEY_MAX, parse_uuid

PEOPLE_MAX = 50
LONG_MAX = 20_000
#: "1,500" is fifteen hundred to some and one and a half to others.
THOUSANDS = re.compile(r"-?[1-9]\d{0,2}\.\d{3}", re.ASCII)
#: Fields that a service of the console cleans: how a value is stored is said in one place.
CLEANERS = {
    "phone": clean_phone,
    "telegram": clean_telegram,
    "telegram_username": clean_telegram,
    "email": clean_email,
    "logo_url": clean_web_address,
    "photo_url": clean_web_address,
}


class Given(InputRequired):
    """Something must be given; nothing but blanks is nothing."""

    def __init__(self) -> None:
        super().__init__(_l("Fill this in."))

    def __call__(self, form: Any, field: Any) -> None:
        super().__call__(form, field)
        if field.data in (None, "") and not field.process_errors:
            raise StopValidation(str(self.message))


class TextField(StringField):
    """A text without surrounding space; nothing is None where the column may be empty."""

    def __init__(self, *args: Any, column: Column, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.column = column

    def process_formdata(self, valuelist: list[str]) -> None:
        if not valuelist:
            return
        self.data = refuse_unholdable(valuelist[0]).strip() or (None if self.column.nullable else "")
        cleaner = CLEANERS.get(self.column.name)
        # What is stored already stays as it is: another service may write it otherwise.
        if cleaner and self.data and self.data != self.object_data:
            try:
                self.data = cleaner(self.data)
            except InvalidInput as error:
                problem = gettext(error.facts["problem"])
                raise ValueError(problem[:1].upper() + problem[1:]) from None

    def _value(self) -> str:
        return self.raw_data[0] if self.raw_data else str(self.data or "")


class LongTextField(TextField, TextAreaField):
    """A text of several lines."""

    def process_formdata(self, valuelist: list[str]) -> None:
        super().process_formdata([value.replace("\r\n", "\n") for value in valuelist])


class NumberField(StringField):
    """A number as people write it: spaces between thousands, a comma or a point."""

    def __init__(self, *args: Any, column: Column, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.column = column

    def process_formdata(self, valuelist: list[str]) -> None:
        self.data = None
        text = re.sub(r"[\s  ]", "", valuelist[0]).replace(",", ".").replace("−", "-") if valuelist else ""
        if not text:
            return
        self.data = self._money(text) if self.column.kind == Kind.MONEY else self._integer(text)

    def _money(self, text: str) -> Decimal:
        if THOUSANDS.fullmatch(text):
            raise ValueError(gettext("Is that thousands, or a fraction? Write 1500 or 1.50."))
        try:
            value = Decimal(text) if len(text) < 30 else Decimal("NaN")
        except InvalidOperation:
            value = Decimal("NaN")
        if not value.is_finite():
            raise ValueError(gettext("This is not an amount."))
        if abs(value) > MONEY_MAX:
            raise ValueError(gettext("This amount is too large."))
        if value != value.quantize(Decimal("0.01")):
            raise ValueError(gettext("An amount has two digits after the point at most."))
        return value.quantize(Decimal("0.01"))

    def _integer(self, text: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,20}", text):
            raise ValueError(gettext("This is not a whole number."))
        value = int(text)
        if abs(value) > self.column.most:
            raise ValueError(gettext("This number is too large."))
        return value

    def _value(self) -> str:
        if self.raw_data:
            return str(self.raw_data[0])
        return "" if self.data is None else str(self.data)


class LocalTimeField(Field):
    """A moment as the clock of `zone` shows it, to the minute; stored with its offset."""

    widget = DateTimeLocalInput()

    def __init__(self, *args: Any, column: Column, zone: ZoneInfo, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.column, self.zone = column, zone

    def process_formdata(self, valuelist: list[str]) -> None:
        self.data = None
        if not valuelist or not valuelist[0].strip():
            return
        try:
            written = datetime.fromisoformat(valuelist[0].strip())
        except ValueError:
            raise ValueError(gettext("This is not a date and a time.")) from None
        if not 1970 <= written.year <= 2200:
            raise ValueError(gettext("This year is out of range."))
        self.data = written if written.tzinfo is not None else self._localized(written)

    def _localized(self, written: datetime) -> datetime:
        stored = self.object_data
        # The field shows minutes: what was not touched keeps its seconds, and its half of a repeated hour.
        if isinstance(stored, datetime) and self._shown(stored) == written.strftime("%Y-%m-%dT%H:%M"):
            return stored
        value = written.replace(tzinfo=self.zone)
        there_and_back = datetime.fromtimestamp(value.timestamp(), self.zone)
        if there_and_back.replace(tzinfo=None) != written:
            raise ValueError(gettext("The clocks skip this hour on that day."))
        return value

    def _shown(self, value: datetime) -> str:
        return at_clock(value, self.zone).isoformat(timespec="minutes")[:16]

    def _value(self) -> str:
        if self.raw_data:
            return str(self.raw_data[0])
        return self._shown(self.data) if self.data else ""


class JsonField(TextAreaField):
    """JSON, checked for what PostgreSQL can hold. An empty field is null, or {} where null is not allowed."""

    def __init__(self, *args: Any, column: Column, shape: type = dict, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.column, self.shape = column, shape

    def process_formdata(self, valuelist: list[str]) -> None:
        if not valuelist:
            return
        text = valuelist[0].strip()
        if not text:
            self.data = None if self.column.nullable else self.shape()
            return
        value = read_json(text)
        # The same value in another notation is no change: 1.10 stays 1.10 where nobody touched it.
        if not isinstance(value, self.shape):
            raise ValueError(
                gettext("Write an object: { … }.") if self.shape is dict else gettext("Write a list: [ … ].")
            )
        self.data = value

    def _value(self) -> str:
        if self.raw_data:
            return str(self.raw_data[0])
        return "" if self.data is None else json.dumps(self.data, ensure_ascii=False, indent=2)


class LookupField(SelectField):
    """A row of `target`, found while typing. Its option's words come with `say`."""

    def __init__(self, *args: Any, target: type[Base], **kwargs: Any) -> None:
        render_kw = {"data-lookup": lookup_url(target)}
        super().__init__(*args, choices=[], validate_choice=False, render_kw=render_kw, **kwargs)
        self.target = target
        self.options: list[tuple[str, str]] = []

    def process_data(self, value: Any) -> None:
        self.data = value

    def process_formdata(self, valuelist: list[str]) -> None:
        self.data = read_uuid(valuelist[0]) if valuelist and valuelist[0].strip() else None

    def chosen(self) -> list[UUID]:
        return [self.data] if isinstance(self.data, UUID) else []

    def say(self, words: dict[UUID, str]) -> None:
        self.options = [("", ""), *((str(key), words.get(key, str(key)[:6])) for key in self.chosen())]

    def iter_choices(self) -> Any:
        return [Choice(value, label, value == str(self.data or ""), {}) for value, label in self.options]


class PeopleField(SelectMultipleField):
    """Several rows of another table, found while typing."""

    def __init__(self, *args: Any, target: type[Base], **kwargs: Any) -> None:
        render_kw = {"data-lookup": lookup_url(target)}
        super().__init__(*args, choices=[], validate_choice=False, render_kw=render_kw, **kwargs)
        self.target = target
        self.options: list[tuple[str, str]] = []

    def process_data(self, value: Any) -> None:
        self.data = list(value or [])

    def process_formdata(self, valuelist: list[str]) -> None:
        if len(valuelist) > PEOPLE_MAX:
            raise ValueError(gettext("Choose %(most)s people at most.", most=PEOPLE_MAX))
        self.data = list(dict.fromkeys(read_uuid(value) for value in valuelist if value.strip()))

    def chosen(self) -> list[UUID]:
        return [key for key in dict.fromkeys(self.data or ()) if key is not None]

    def say(self, words: dict[UUID, str]) -> None:
        self.options = [(str(key), words.get(key, str(key)[:6])) for key in self.chosen()]

    def iter_choices(self) -> Any:
        return [Choice(value, label, True, {}) for value, label in self.options]


class ChoiceField(SelectField):
    """One of a list, or what is stored already; its refusals are sentences of ours."""

    def process_data(self, value: Any) -> None:
        super().process_data(value)
        if self.data is not None and self.data not in {choice.value for choice in self.choices}:
            self.choices.append(SelectChoice(self.data, str(self.data)))

    def process_formdata(self, valuelist: list[str]) -> None:
        if not valuelist:
            return
        try:
            self.data = self.coerce(valuelist[0])
        except ValueError:
            raise ValueError(gettext("Choose one of the list.")) from None

    def pre_validate(self, form: Any) -> None:
        if not any(self.coerce(choice.value) == self.coerce(self.data) for choice in self.choices):
            raise ValidationError(gettext("Choose one of the list."))


def read_uuid(text: str) -> UUID:
    try:
        return parse_uuid(text.strip())
    except ValueError:
        raise ValueError(gettext("Not found.")) from None


@cache
def zone_names() -> tuple[str, ...]:
    """The time zones people live in, as Region/City."""
    regions = (
        "Africa",
        "America",
        "Antarctica",
        "Asia",
        "Atlantic",
        "Australia",
        "Europe",
        "Indian",
        "Pacific",
    )
    return tuple(sorted(z for z in available_timezones() if z.split("/")[0] in regions and "/" in z))


def lookup_url(model: type[Base]) -> str:
    return f"/{table_of(model).replace('.', '/')}/lookup/"


def read_upload(upload: Any) -> bytes:
    """The content of an uploaded file, at most one byte more than may be stored (PROOF_MAX_MB).

    Raises FileRefused when there is none, or when its name leads somewhere: nothing is ever stored under a
    name, but whoever sends such a one is up to something.
    """
    if upload is None or not upload.filename:
        raise FileRefused(problem=N_("choose a file."))
    if any(sign in upload.filename for sign in ("/", "\\", "\0")):
        raise FileRefused(problem=N_("its name is a path: give it a plain name."))
    # A step that is repeated after a deadlock reads it once more.
    upload.seek(0)
    return bytes(upload.read(int(config.current().proof_max_mb * 1024 * 1024) + 1))


def field_for(column: Column, *, label: Any, zone: ZoneInfo, help_text: Any = "") -> Any:
    """The form field of a column. `zone` is the clock of its times."""
    is_needed = not column.nullable and column.kind not in (Kind.JSON, Kind.PEOPLE)
    validators: list[Any] = [Given() if is_needed else Optional()]
    common: dict[str, Any] = {"label": label, "description": help_text, "validators": validators}
    if column.kind == Kind.BOOL:
        return BooleanField(label=label, description=help_text)
    if column.target is not None:
        return (PeopleField if column.kind == Kind.PEOPLE else LookupField)(target=column.target, **common)
    if column.kind in CHOICES:
        return _choice_field(column, common)
    if column.kind == Kind.TIME:
        return LocalTimeField(column=column, zone=zone, **common)
    return _text_field(column, common)


def _text_field(column: Column, common: dict[str, Any]) -> Any:
    """What is typed: a number, JSON, a text."""
    if column.kind == Kind.JSON:
        return JsonField(column=column, render_kw={"data-json": ""}, **common)
    if column.is_number:
        mode = "decimal" if column.kind == Kind.MONEY else "numeric"
        return NumberField(column=column, render_kw={"inputmode": mode}, **common)
    most = Length(max=column.length or LONG_MAX, message=_l("At most %(max)d characters."))
    common["validators"] += [most, _colour] if column.kind == Kind.COLOR else [most]
    return (LongTextField if column.kind == Kind.LONG else TextField)(column=column, **common)


CHOICES = (Kind.STATE, Kind.ZONE, Kind.LANGUAGE)


def _choice_field(column: Column, common: dict[str, Any]) -> Any:
    usual = SelectChoice("", _l("As the console"))
    if column.kind == Kind.ZONE:
        zones = [usual, *(SelectChoice(name, name.replace("_", " ")) for name in zone_names())]
        return ChoiceField(choices=zones, coerce=_or_none, render_kw={"data-choose": ""}, **common)
    if column.kind == Kind.LANGUAGE:
        languages = [usual, SelectChoice("ru", "Русский"), SelectChoice("en", "English")]
        return ChoiceField(choices=languages, coerce=_or_none, **common)
    states = column.states
    assert states is not None
    choices = [SelectChoice(state.value, state_label(state)) for state in states]
    if column.nullable:
        choices.insert(0, SelectChoice("", "—"))

    def state_of(value: Any) -> Any:
        return states(value) if value else None  # type: ignore[call-arg]

    return ChoiceField(choices=choices, coerce=state_of, **common)


def _or_none(value: Any) -> Any:
    return value or None


def _colour(_form: Any, field: Any) -> None:
    if field.data and not re.fullmatch(r"#[0-9a-fA-F]{6}", field.data):
        raise ValidationError(gettext("Write a colour as #1f6feb."))
