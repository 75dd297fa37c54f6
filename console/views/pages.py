"""What the pages of a table show: the list and the form."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from flask import request
from flask_babel import gettext, ngettext
from markupsafe import Markup

from console import policy
from console.db import db
from console.policy import Action
from console.views import bulk, choices, codes, fields, filters, forms, history, list_rows
from console.views.cells import Cells
from console.views.columns import Column, Kind, table_of
from console.views.formats import number
from console.views.frame import frame_for
from console.views.labels import Labels, has_label
from console.views.listing import Listing, Page, orders
from console.views.served import served
from console.views.values import address_key, write_key

if TYPE_CHECKING:
    from console.views.table import TableView

#: On a phone a card shows its heading, its state and this many facts.
CARD_FACTS = 2
SORTABLE = (Kind.TEXT, Kind.STATE, Kind.BOOL, Kind.INT, Kind.SIZE, Kind.MONEY, Kind.TIME)


@dataclass(frozen=True)
class Theirs:
    """What somebody else wrote into a column, and who, when."""

    name: str
    label: Any
    value: Markup
    who: str
    at: Any


@dataclass(frozen=True)
class Conflict:
    """What two people changed, and what only somebody else did."""

    columns: list[Theirs]
    kept: list[Theirs]

    @property
    def who(self) -> str:
        return ", ".join(dict.fromkeys(theirs.who for theirs in (*self.columns, *self.kept)))


def relabelled(column: Column, labels: Any) -> Column:
    return replace(column, label=labels[column.name]) if column.name in labels else column


def filter_names(view: "TableView") -> tuple[str, ...]:
    if view.filter_by is not None:
        return view.filter_by
    found = served(view.model)
    return tuple(c.name for c in view.columns.values() if c.name in found and _is_filter(c))


def _is_filter(column: Column) -> bool:
    return column.kind not in (Kind.LONG, Kind.ID) or bool(column.pointed_by)


def sort_names(view: "TableView") -> tuple[str, ...]:
    names = [*view.list_columns, view.default_sort.removeprefix("-"), *view.columns]
    has_index = orders(view.model)
    return tuple(
        dict.fromkeys(name for name in names if name in has_index and view.columns[name].kind in SORTABLE)
    )


# The list


def list_page(view: "TableView", listing: Listing) -> dict[str, Any]:
    """What tables/list.html needs: with all else that the request asks, four statements at most."""
    page = listing.page()
    labels = Labels(view.user)
    cells = view.cells(labels)
    columns = [view.columns[name] for name in listing.drawn]
    choice = listing.choice
    zoned = [view.columns[view.zone_by]] if view.zone_by else []
    own = [(view.model, row.id) for row in page.rows] if columns[0].name == "id" else []
    wanted = [*own, *cells.wanted([*columns, *zoned], page.rows), *filters.points_at(listing.filters)]
    labels.load(wanted, frame_for(view.user))
    styles = _styles(columns)
    heads = [_head(view, listing, column, style) for column, style in zip(columns, styles, strict=True)]
    actions = [action for action in bulk.actions_for(view, view.user) if action.fits is None]
    drawn = [(column, head["css"], head["label"]) for column, head in zip(columns, heads, strict=True)]
    beyond = {item.parameter for item in listing.filters if item.path or _has_no_field(item)}
    return {
        "listing": listing,
        "page": page,
        "heads": heads,
        "rows": list_rows.draw(view, cells, drawn, page.rows, has_ticks=bool(actions)),
        "may_edit": view.can(Action.UPDATE),
        "chips": [_chip(view, listing, item, labels) for item in listing.filters],
        "filter_fields": _filter_fields(view, listing, labels),
        "periods": [(name, str(word)) for name, word in filters.PERIODS.items()],
        "keep": _pairs(listing, "search"),
        # What no field of the filter form shows must not be lost when it is sent.
        "keep_filters": [
            pair for pair in _pairs(listing) if pair[0] in ("search", "sort", "size") or pair[0] in beyond
        ],
        "placeholder": gettext(
            "Search: %(what)s",
            what=", ".join(_within(str(view.columns[name].label)) for name in view.search_by),
        ),
        "clear_url": listing.address(drop=[item.parameter for item in listing.filters]),
        "summary": _summary(page),
        "pager": _pager(listing, page),
        "is_dense": choice is not None and choice.is_dense,
        "saved": sorted((choice.saved if choice else {}).items()),
        "column_choices": choices.column_choices(view, listing.drawn),
        "actions": actions,
        "may_create": view.can(Action.CREATE),
    }


def _within(label: str) -> str:
    """A column's name amid a sentence; the name of a service stays a name."""
    return label if label == "Telegram" else label[:1].lower() + label[1:]


def _styles(columns: Sequence[Column]) -> list[str]:
    """The class of each column's cells: the heading, the state, numbers, and what a phone leaves out."""
    styles, facts, has_state = [], 0, False
    for index, column in enumerate(columns):
        if index == 0:
            styles.append("primary")
        elif column.kind == Kind.STATE and not has_state:
            has_state = True
            styles.append("state")
        else:
            facts += 1
            style = ["num"] if column.is_number else []
            styles.append(" ".join([*style, "wide"] if facts > CARD_FACTS else style))
    return styles


def _head(view: "TableView", listing: Listing, column: Column, style: str) -> dict[str, Any]:
    is_current = listing.order.column.name == column.name
    down = listing.order.descending
    # Times and numbers begin with the largest: that is what one looks for.
    first = "-" if column.kind == Kind.TIME or column.is_number else ""
    wanted = ("" if down else "-") + column.name if is_current else first + column.name
    return {
        # At the beginning of its rows an id stands for what they are.
        "label": str(view.one if column.name == "id" == listing.drawn[0] else column.label),
        "css": style,
        "url": listing.address(sort=wanted) if column.name in listing.sort_by else None,
        "edit": column.name if column.name in view.inline_columns and view.can(Action.UPDATE) else None,
        "direction": ("desc" if down else "asc") if is_current else None,
    }


def _chip(view: "TableView", listing: Listing, item: filters.Filter, labels: Labels) -> dict[str, Any]:
    words = {} if item.operator else codes.words_of(item.column)
    return {
        "label": view.columns[item.column.name].label,
        "text": ", ".join(words.get(value, value) for value in item.values) if words else item.text(labels),
        "remove_url": listing.address(drop=[item.parameter]),
    }


def _filter_fields(view: "TableView", listing: Listing, labels: Labels) -> list[dict[str, Any]]:
    """The filter form: per column its kind, what is chosen, and the words of chosen rows."""
    chosen = filters.form_values(listing.filters)
    found = []
    for name in listing.filter_by:
        column = view.columns[name]
        if column.target and not policy.allowed(view.user, table_of(column.target), Action.READ):
            # There is no look-up to choose from.
            continue
        values = chosen.get(name, ())
        words = codes.words_of(column)
        # What another service calls so has no word.
        options = [*words.items(), *((value, value) for value in values if value not in words)]
        if column.target is not None:
            known = [(value, labels.get(column.target, value)) for value in values]
            options = [(value, label.line if label and label.url else value[:6]) for value, label in known]
        found.append(
            {
                "column": column,
                "kind": "words" if words else _filter_kind(column),
                "may_be_empty": filters.may_be_empty(column),
                "values": {
                    op: chosen.get(f"{name}.{op}", ("",))[0] for op in ("from", "to", "in", "has", "starts")
                },
                "chosen": values,
                "options": options,
                "lookup": fields.lookup_url(column.target) if column.target else "",
                "is_set": any(item.column.name == name for item in listing.filters),
            }
        )
    return found


def _has_no_field(item: filters.Filter) -> bool:
    """Whether the filter form cannot show it: the beginning of what it offers in words."""
    return item.operator == "starts" and bool(codes.words_of(item.column))


def _filter_kind(column: Column) -> str:
    if column.kind in filters.TEXTS:
        return "text"
    if column.kind == Kind.TIME:
        return "date"
    if column.is_number:
        return "number"
    return {Kind.STATE: "state", Kind.BOOL: "bool", Kind.JSON: "json", Kind.ID: "id"}.get(
        column.kind, "lookup"
    )


def _pairs(listing: Listing, *drop: str) -> list[tuple[str, str]]:
    """The address as the hidden fields of a form, without the place in the list."""
    gone = {"after", "before", "last", *drop}
    return [(name, value) for name, value in listing.arguments.items(multi=True) if name not in gone]


def _summary(page: Page) -> str:
    if page.total is None:
        return gettext("Very many records")
    if page.is_more:
        return gettext("About %(count)s records", count=number(_rounded(page.total)))
    return ngettext("%(count)s record", "%(count)s records", page.total, count=number(page.total))


def _rounded(guess: int) -> int:
    """A guess with no more figures than it deserves."""
    return int(float(f"{guess:.2g}"))


def _pager(listing: Listing, page: Page) -> dict[str, str | None]:
    return {
        "first": listing.address() if page.before else None,
        "prev": listing.address(before=page.before) if page.before else None,
        "next": listing.address(after=page.after) if page.after else None,
        "last": listing.address(last="1") if page.after else None,
    }


# What a row is called


def title(view: "TableView", row: Any, labels: Labels) -> str:
    """What a row is called; the labels of its keys must be loaded."""
    own = labels.get(view.model, view.key_of(row)[0])
    if own is not None:
        return own.line if view.title_has_sub else own.text
    if view.keys[0].kind == Kind.ID:
        return f"{view.one} {str(view.key_of(row)[0])[:6]}"
    cells = Cells(labels)
    known = [labels.get(column.target, getattr(row, column.name)) for column in view.keys]
    words = [label.text if label else cells.text(c, row) for label, c in zip(known, view.keys, strict=True)]
    return " · ".join(words)[:120]


# Look-ups


def nameless(view: "TableView", limit: int) -> list[dict[str, str]]:
    """Look-up rows of a table whose rows are known by their keys alone."""
    query = policy.visible(view.user, view.model).limit(max(limit, 1))
    query = query.with_only_columns(*(column.attribute for column in view.keys))
    rows = list(db.session.execute(query))
    labels = Labels(view.user)
    labels.load(Cells(labels).wanted(view.keys, rows))
    return [{"id": write_key(view.key_of(row)), "text": view.title(row, labels), "sub": ""} for row in rows]


# The form


def form_page(view: "TableView", form: Any, row: Any, conflict: Conflict | None) -> dict[str, Any]:
    """What tables/form.html needs."""
    labels = Labels(view.user)
    form.say_options(labels)
    title = ""
    if row is not None:
        key = view.key_of(row)
        labels.load([(view.model, key[0])] if has_label(view.model) else [])
        labels.load(Cells(labels).wanted(view.keys, [row]))
        title = view.title(row, labels)
    return {
        "form": form,
        "row": row,
        "title": title,
        "lines": form.lines(),
        "conflict": conflict,
        "version": _version(form, row, conflict),
        "cancel_url": f"{view.url}/details/?id={address_key(view.key_of(row))}"
        if row is not None
        else f"{view.url}/",
        "has_file": any(field.type == "FileField" for field in form),
    }


def saved_message(view: "TableView", form: forms.RecordForm) -> str:
    """What is said after a form was saved: also which columns somebody else had changed since it was read."""
    if not form.kept:
        return gettext("Saved.")
    what = ", ".join(str(view.columns[name].label) for name in form.kept)
    return gettext("Saved. Meanwhile somebody else changed: %(what)s. That stays.", what=what)


def _version(form: Any, row: Any, conflict: Conflict | None) -> str:
    """The version the form stands on: what it was read from, or after a conflict what stands there now."""
    if row is None:
        return ""
    if request.method == "POST" and conflict is None:
        return request.form.get("_version", "")
    return forms.stamp({name: getattr(row, name) for name in form.columns})


def conflict(view: "TableView", row: Any, merged: forms.Merge) -> Conflict:
    """What stands in the row now, in the columns that somebody changed meanwhile."""
    labels = Labels(view.user)
    cells = view.cells(labels)
    names = [*merged.conflicts, *merged.theirs]
    columns = [view.columns[name] for name in names]
    zoned = [view.columns[view.zone_by]] if view.zone_by else []
    labels.load(cells.wanted([*columns, *zoned], [row]))
    writers = history.writers(view.model, view.key_of(row), {name: getattr(row, name) for name in names})

    def theirs(name: str) -> Theirs:
        column, entry = view.columns[name], writers.get(name)
        at = entry.created_at if entry else None
        return Theirs(name, column.label, cells.detail(column, row), history.actor_name(entry), at)

    return Conflict([theirs(name) for name in merged.conflicts], [theirs(name) for name in merged.theirs])
