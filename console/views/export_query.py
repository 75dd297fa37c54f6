"""The select behind an export: each column already as the file has it, so that a row costs no Python.

Words are in the reader's language, moments on the clock of their event, names in place of keys; or `raw`:
values as they are stored, moments in UTC. Every text is safe for spreadsheets.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from flask_babel import gettext
from sqlalchemy.dialects.postgresql import ARRAY

from console.models import User
from console.states import State
from console.views import payloads
from console.views.cells import LANGUAGE_NAMES, OURS
from console.views.columns import Column, Kind, key_columns, table_label
from console.views.desk.activity import in_words
from console.views.formats import state_label
from console.views.labels import STATE_SUBS, has_label, labelled
from console.views.listing import Listing

if TYPE_CHECKING:
    from console.views.table import TableView

#: A moment that spreadsheets read as one, whatever their language.
MOMENT = "YYYY-MM-DD HH24:MI"
MOMENT_RAW = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'
#: What a spreadsheet takes for a formula, full-width forms included, and what a workbook cannot hold.
FORMULA = r"^([\u0009\u000A\u000D]|[ \u00A0\u200B\uFEFF]*[=+\-@＝＋－＠])"
#: The same in the midst of a text: where a semicolon parts cells, as in a Russian Excel, one begins there.
#: A minus with a space behind it begins an item of somebody's list.
INNER_FORMULA = r"([;\u0009\u000A\u000D][ \u00A0\u200B\uFEFF]*)([=@＝＠]|[+\-＋－][^ ])"
UNPRINTABLE = r"[\u0001-\u0008\u000B\u000C\u000E-\u001F\uFFFE\uFFFF]"
DANGER = f"{FORMULA}|{INNER_FORMULA}|{UNPRINTABLE}"
#: Between the parts of a value that only Python can put into words.
JOINT = "\u2028"

#: The zones that PostgreSQL knows; to tell them takes a while.
ZONES = sa.select(sa.column("name")).select_from(sa.table("pg_timezone_names")).cte("zones")

#: What is still to be put into words, by the place of its column.
Wording = dict[int, Callable[[str], str]]


class ExportQuery:
    """The columns of an export of `listing`: `headings`, the `select`, and the `wording` left to Python."""

    def __init__(self, view: "TableView", listing: Listing, *, raw: bool) -> None:
        self.listing, self.raw, self.user = listing, raw, listing.user
        self.columns = list(view.columns.values())
        self.zone = str(listing.zone)
        self.headings = [column.name if raw else str(column.label) for column in self.columns]
        self.wording: Wording = {}
        self._zone_column = view.columns[view.zone_by] if view.zone_by else None
        self._joined: dict[str, Any] = {}
        self.select = self._build()

    def _build(self) -> sa.Select[Any]:
        values = [self._value(number, column) for number, column in enumerate(self.columns)]
        query = self.listing.ordered(())
        for name, label in self._joined.items():
            query = query.outerjoin(label, label.c.ref == self.listing.columns[name].attribute)
        return query.with_only_columns(
            *(value.label(f"c{number}") for number, value in enumerate(values)), maintain_column_froms=True
        )

    def _value(self, number: int, column: Column) -> Any:
        attribute = column.attribute
        if column.is_number:
            return attribute
        if column.name == payloads.COLUMN:
            self.wording[number] = lambda text: payloads.covered_text(text, self.user)
            return sa.cast(attribute, sa.Text)
        if column.kind == Kind.TIME:
            return self._moment(attribute)
        if self.raw:
            if column.kind in (Kind.ID, Kind.REF, Kind.BOOL, Kind.STATE):
                return sa.cast(attribute, sa.Text)
            return safe(sa.cast(attribute, sa.Text))
        return self._in_words(number, column)

    def _in_words(self, number: int, column: Column) -> Any:
        attribute = column.attribute
        if column.kind == Kind.STATE:
            return words(attribute, column.states)
        if column.kind == Kind.BOOL:
            return sa.case((attribute.is_(True), gettext("Yes")), (attribute.is_(False), gettext("No")))
        if column.kind == Kind.LANGUAGE:
            return sa.case(LANGUAGE_NAMES, value=attribute, else_=attribute)
        if column.kind == Kind.REF and column.target is not None and has_label(column.target):
            name = self._line(self._label(column), column.target)
            return safe(sa.func.coalesce(name, sa.func.left(sa.cast(attribute, sa.Text), 6)))
        if column.kind == Kind.PEOPLE:
            return safe(self._people(attribute))
        return safe(self._left_to_python(number, column))

    def _left_to_python(self, number: int, column: Column) -> Any:
        """A text, and where our words stand in it, the wording they need."""
        attribute = column.attribute
        if column.name == "action":
            self.wording[number] = _action
            kinds = self.listing.columns.get("target_type")
            table = kinds.attribute if kinds else sa.literal("event.bookings")
            return attribute + JOINT + table
        if column.name == "target_type":
            self.wording[number] = lambda text: str(table_label(text))
        elif column.name in OURS:
            self.wording[number] = _ours
        return sa.cast(attribute, sa.Text)

    def _label(self, column: Column) -> Any:
        """The labels of what a column points at, joined once."""
        if column.name not in self._joined:
            self._joined[column.name] = _labels(self.user, column)
        return self._joined[column.name]

    def _line(self, label: Any, model: Any) -> Any:
        sub = label.c.sub
        if model in STATE_SUBS:
            sub = words(sub, STATE_SUBS[model])
        amount = sa.cast(label.c.amount, sa.Text) + " " + label.c.currency
        at = sa.func.to_char(sa.func.timezone(_known(label.c.zone, self.zone), label.c.at), MOMENT)
        line = sa.func.concat_ws(" · ", amount, label.c.text, sa.func.nullif(sub, ""), at)
        return sa.func.nullif(line, "")

    def _people(self, attribute: Any) -> Any:
        """The names of the people whose ids stand in an array, as far as they exist for the reader."""
        label = labelled(self.user, User).add_columns(User.id.label("ref")).subquery()
        ids = sa.func.unnest(sa.type_coerce(attribute, ARRAY(sa.UUID()))).table_valued("id").render_derived()
        names = (
            sa.select(sa.func.string_agg(label.c.text, ", "))
            .select_from(ids.join(label, label.c.ref == ids.c.id))
            .where(label.c.open)
        )
        return names.scalar_subquery()

    def _moment(self, attribute: Any) -> Any:
        if self.raw:
            return sa.func.to_char(sa.func.timezone("UTC", attribute), MOMENT_RAW)
        zone: Any = self.zone
        column = self._zone_column
        if column is not None:
            own = column.attribute if column.kind == Kind.ZONE else self._label(column).c.zone
            zone = _known(own, self.zone)
        return sa.func.to_char(sa.func.timezone(zone, attribute), MOMENT)


def safe(text: Any) -> Any:
    """A text that no spreadsheet takes for a formula, and that a workbook can hold."""
    clean = sa.func.regexp_replace(text, UNPRINTABLE, "", "g")
    clean = sa.func.regexp_replace(clean, INNER_FORMULA, r"\1'\2", "g")
    quoted = sa.case((clean.op("~")(FORMULA), sa.literal("'") + clean), else_=clean)
    return sa.case((text.op("~")(DANGER), quoted), else_=text)


def words(attribute: Any, enum: type[State] | None) -> Any:
    """The word of each state, in the reader's language."""
    assert enum is not None
    text = sa.cast(attribute, sa.Text)
    return sa.case({member.value: state_label(member) for member in enum}, value=text, else_=text)


def _known(zone: Any, otherwise: str) -> Any:
    """The zone, if the database knows it: at another the export would break off."""
    return sa.case((zone.in_(sa.select(ZONES.c.name)), zone), else_=otherwise)


def _labels(user: User, column: Column) -> Any:
    assert column.target is not None
    key = key_columns(column.target)[0].attribute
    return labelled(user, column.target).add_columns(key.label("ref")).subquery(f"of_{column.name}")


def _action(text: str) -> str:
    action, _, table = text.partition(JOINT)
    return in_words(action, table)


def _ours(text: str) -> str:
    return gettext(text)
