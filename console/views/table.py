"""TableView, the base of every table's pages: a subclass is attributes."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, urlencode
from zoneinfo import ZoneInfo

from flask import abort, flash, jsonify, redirect, request, url_for
from flask_admin import expose
from flask_babel import gettext
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from console import policy
from console.db import Base, transaction
from console.errors import ConsoleError
from console.models import User
from console.policy import Action
from console.services import list_choices, records
from console.views import (
    bulk,
    choices,
    details,
    export,
    export_task,
    forms,
    gone,
    inline,
    lookup,
    pages,
    restoring,
    saving,
    search,
)
from console.views.base import Answer, StaffView, say_done
from console.views.cells import Cells, console_zone
from console.views.columns import INLINE, TABLE_NAMES, Column, Kind, columns_of, key_columns, table_of
from console.views.labels import Labels, details_url
from console.views.listing import Listing
from console.views.second_factor import must_be_fresh
from console.views.values import read_key, write_key

LOOKUP_MAX = 50


class TableView(StaffView):
    """The pages of one table: list, details, form, delete, bulk actions, export, look-up.

    A subclass is attributes: the model, and which columns stand where. Rows out of the user's reach do not
    exist on any of these pages. What has rules of its own overrides `create`, `update` and `delete`.
    """

    model: type[Base]
    #: The columns of the list; the first is the card's heading on a phone and opens the row.
    list_columns: tuple[str, ...] = ()
    #: What the search box looks into; a foreign key means the name of what it points at.
    search_by: tuple[str, ...] = ()
    #: Default: every column but long texts and the key.
    filter_by: tuple[str, ...] | None = None
    default_sort = "-created_at"
    #: What staff may edit, and nothing else. A tuple is one line of the form.
    form_columns: forms.Layout = ()
    #: Where creating or editing asks for other columns than `form_columns`.
    create_columns: forms.Layout | None = None
    edit_columns: forms.Layout | None = None
    #: Columns of the form whose change has consequences beyond the row: only the form changes them.
    managed: tuple[str, ...] = ()
    #: What belongs to a row by way of others: "schema.table.column.column…", the last pointing at the row.
    related_through: tuple[str, ...] = ()
    #: Fields of the form that are no columns.
    extra_fields: Mapping[str, Any] = {}
    #: Columns that may stay empty on the form because whoever takes them fills them.
    optional: tuple[str, ...] = ()
    labels: Mapping[str, Any] = {}
    hints: Mapping[str, Any] = {}
    #: Groups of the details page: (heading, columns). What is in none stands on the side.
    groups: tuple[tuple[Any, tuple[str, ...]], ...] = ()
    #: The column that gives a row's time zone: its own `timezone`, or what it points at.
    zone_by = ""
    #: The desk where work on these rows is done: its endpoint, and where on it a row stands.
    desk: tuple[str, Callable[[Any], str]] | None = None
    #: What its button says instead of "Open at the desk".
    desk_label: Any = ""
    #: Whose columns the JSON of a log speaks of, by row.
    json_of: Mapping[str, Callable[[Any], type[Base] | None]] = {}
    #: A word and a tone for a column that is empty because something is still to come.
    empty_as: Mapping[str, tuple[Any, str]] = {}
    #: Whether the title of a page needs the second line of the label: a booking is a person and an event.
    title_has_sub = False
    bulk_actions: tuple[bulk.BulkAction, ...] = ()
    #: What takes a fresh second factor: "edit", "export".
    guarded: tuple[str, ...] = ()
    create_label: Any = ""
    delete_label: Any = ""
    #: What deleting does, where it is not what the foreign keys say.
    delete_note: Any = ""
    #: Said on an empty list: what this is.
    about: Any = ""

    def __init__(self) -> None:
        self.table = table_of(self.model)
        schema, name = self.table.split(".")
        self.one, self.many = TABLE_NAMES[self.table]
        self.tables = (self.table,)
        self.menu_label, self.menu_group = self.many, schema
        self.columns: dict[str, Column] = {
            key: pages.relabelled(column, self.labels) for key, column in columns_of(self.model).items()
        }
        self.keys = key_columns(self.model)
        super().__init__(name=name, endpoint=f"{schema}_{name}", url=f"/{schema}/{name}")

    # Rights and rows

    @property
    def layout_to_create(self) -> forms.Layout:
        return self.form_columns if self.create_columns is None else self.create_columns

    @property
    def layout_to_edit(self) -> forms.Layout:
        return self.form_columns if self.edit_columns is None else self.edit_columns

    def can(self, action: Action) -> bool:
        """Whether the user may do this, and the console offers it."""
        layouts = {Action.CREATE: self.layout_to_create, Action.UPDATE: self.layout_to_edit}
        return bool(layouts.get(action, True)) and policy.allowed(self.user, self.table, action)

    def need(self, action: Action) -> None:
        if not self.can(action):
            abort(404)

    def found(self, text: str) -> Any:
        """The row whose key stands in an address; None when there is none within reach."""
        key = read_key(self.model, text)
        return None if key is None else policy.find(self.user, self.model, *key)

    def find(self, text: str) -> Any:
        """The row whose key stands in an address; 404 when there is none within reach."""
        row = self.found(text)
        if row is None:
            abort(404)
        return row

    def key_of(self, row: Any) -> tuple[Any, ...]:
        return tuple(getattr(row, column.name) for column in self.keys)

    def zone_of(self, labels: Labels) -> Callable[[Any], str | None]:
        """What tells a row's time zone, None for the console's."""
        if not self.zone_by:
            return lambda _: None
        column = self.columns[self.zone_by]
        if column.kind == Kind.ZONE:
            return lambda row: getattr(row, column.name)

        def of_target(row: Any) -> str | None:
            label = labels.get(column.target, getattr(row, column.name))
            return label.zone if label else None

        return of_target

    def cells(self, labels: Labels) -> Cells:
        """What draws the values of a page of this table."""
        return Cells(labels, self.zone_of(labels), self.json_of, self.empty_as)

    # The list

    def listing(self) -> Listing:
        """The list that the address asks for. Raises BadAddress."""
        return self.listing_of(request.args)

    def arguments_of(self, address: str) -> MultiDict[str, str]:
        """The arguments that stand in an address of this list."""
        return MultiDict(parse_qsl(address.removeprefix("?")))

    def listing_of(self, arguments: MultiDict[str, str], user: User | None = None) -> Listing:
        """The list that these arguments of an address ask for, as it is for `user`. Raises BadAddress."""
        user = user or self.user
        choice = list_choices.choice_of(user, self.table)
        columns = choices.shown_columns(self, choice.columns if choice else None)
        beside = [self.zone_by] if self.zone_by else []
        beside += [c.pointed_by for c in self.columns.values() if c.pointed_by]
        listing = Listing(
            user,
            self.model,
            arguments,
            columns=columns,
            beside=beside,
            search_by=self.search_by,
            filter_by=pages.filter_names(self),
            sort_by=pages.sort_names(self),
            default_sort=self.default_sort,
            zone=console_zone(),
        )
        listing.choice = choice
        return listing

    @expose("/")
    def index_view(self) -> Answer:
        """The list."""
        if any(not value for value in request.args.values()):
            # The filter form sends what was left empty; the address stays short and shareable.
            given = [(name, value) for name, value in request.args.items(multi=True) if value]
            return redirect(f"{self.url}/?{urlencode(given)}")
        return self.render("tables/list.html", view=self, **pages.list_page(self, self.listing()))

    @expose("/columns/", methods=("POST",))
    def columns_view(self) -> Response:
        """Which columns this person wants to see, and how dense."""
        return choices.choose(self)

    @expose("/saved/", methods=("POST",))
    def saved_view(self) -> Response:
        """Saves the list under a name, or forgets a saved one."""
        return choices.save(self)

    @expose("/export/<export_type>/")
    def export_view(self, export_type: str) -> Answer:
        """What the list shows, all its pages, as csv or xlsx; `raw` as it is stored."""
        if export_type not in export.KINDS:
            abort(404)
        return export_task.export(self, self.listing(), export_type, raw="raw" in request.args)

    @expose("/lookup/")
    def lookup_view(self) -> Answer:
        """Rows by the beginning of their name, for the fields of forms."""
        raw = request.args.get("limit", "20")
        if not raw.isascii() or not raw.isdigit() or len(raw) > 9:
            abort(400)
        limit = min(max(int(raw), 1), LOOKUP_MAX)
        return jsonify(items=self.look_up(search.clean(request.args.get("q", "")), limit))

    def look_up(self, term: str, limit: int) -> list[dict[str, str]]:
        """The rows that a term finds, newest first, as {id, text, sub}."""
        return lookup.look_up(self, term, limit)

    # One row

    @expose("/details/")
    def details_view(self) -> Answer:
        """Everything about one row that its reader may see."""
        row = self.find(request.args.get("id", ""))
        return self.render("tables/details.html", view=self, **details.details_page(self, row))

    def title(self, row: Any, labels: Labels) -> str:
        """What a row is called; the labels of its keys must be loaded."""
        return pages.title(self, row, labels)

    def desk_url(self, row: Any) -> str | None:
        """Where the desk shows this row, for who may open that desk."""
        endpoint, address = self.desk or ("", None)
        page = next((view for view in self.admin._views if view.endpoint == endpoint), None)
        return address(row) if address and page is not None and page.opens_for(self.user) else None

    # Writing

    @property
    def may_come_back(self) -> bool:
        """Whether a row of this table that was removed can be made anew: its removal is nothing but that."""
        return type(self).delete is TableView.delete

    @cached_property
    def plain_columns(self) -> frozenset[str]:
        """What staff may edit and nothing else follows from: it can be restored from the history."""
        return frozenset(forms.names_in(self.layout_to_edit)) - {*self.extra_fields, *self.managed}

    @cached_property
    def inline_columns(self) -> frozenset[str]:
        """What can be edited in the list itself."""
        return frozenset(name for name in self.plain_columns if self.columns[name].kind in INLINE)

    def create(self, values: dict[str, Any], actor: User) -> Base:
        return records.create_record(self.model, values, actor=actor)

    def update(self, row: Any, values: dict[str, Any], actor: User) -> None:
        records.update_record(row, values, actor=actor)

    def delete(self, row: Any, actor: User) -> Any:
        records.delete_record(row, actor=actor)

    def created_message(self, row: Base) -> tuple[Any, str]:
        """What is said after a row was made, and the category of the message."""
        return gettext("Saved."), "success"

    def form(
        self, layout: forms.Layout, row: Any = None, sent: MultiDict[str, Any] | None = None
    ) -> forms.RecordForm:
        """The form over `layout`, filled from the request, or from what is `sent` instead, and the row."""
        cls = forms.form_class(
            self.model,
            layout,
            zone=self.form_zone(row),
            labels=self.labels,
            hints=self.hints,
            optional=self.optional,
            extra=self.extra_fields,
        )
        if sent is None and request.method == "POST":
            sent = MultiDict([*request.form.items(multi=True), *request.files.items(multi=True)])
        if sent is not None:
            return cls(sent, obj=row)
        return cls(
            None, obj=row, data=forms.prefilled(self.columns, layout, request.args) if row is None else None
        )

    def form_zone(self, row: Any) -> ZoneInfo:
        """The clock of the form's times."""
        return console_zone()

    @expose("/new/", methods=("GET", "POST"))
    def create_view(self) -> Answer:
        """A new row."""
        self.need(Action.CREATE)
        form = self.form(self.layout_to_create)
        if request.method == "POST" and form.validate():
            values = {**form.values(), **form.extras()}
            if not form.refuse_strangers(self.user, self.model, values):
                try:
                    with transaction():
                        row = self.create(values, self.user)
                        url = details_url(type(row), (getattr(row, c.name) for c in key_columns(type(row))))
                        message = self.created_message(row)
                except ConsoleError as error:
                    form.refuse(error)
                else:
                    flash(*message)
                    return redirect(url, 303)
        return self._form_page(form, None)

    @expose("/edit/", methods=("GET", "POST"))
    def edit_view(self) -> Answer:
        """A change to a row, never over somebody else's."""
        self.need(Action.UPDATE)
        if "edit" in self.guarded:
            must_be_fresh()
        row = self.found(request.args.get("id", ""))
        if row is None:
            return gone.keep_typed(self)
        key = self.key_of(row)
        form = self.form(self.layout_to_edit, row)
        conflict = None
        if request.method == "POST" and form.validate():
            conflict, key = saving.submit(self, key, form)
            if conflict is None and not form.is_refused:
                flash(pages.saved_message(self, form), "success")
                return redirect(details_url(self.model, key), 303)
            row = self.found(write_key(key))
            if row is None:
                return gone.keep_typed(self)
        return self._form_page(form, row, conflict)

    def _form_page(self, form: Any, row: Any, conflict: pages.Conflict | None = None) -> Answer:
        page = self.render("tables/form.html", view=self, **pages.form_page(self, form, row, conflict))
        status = 409 if conflict else 422 if request.method == "POST" else 200
        return page, status

    @expose("/inline/", methods=("GET", "POST"))
    def inline_view(self) -> Answer:
        """One value, edited where it stands in the list."""
        return inline.answer(self)

    @expose("/restore/", methods=("POST",))
    def restore_view(self) -> Response:
        """One value of the history, put back."""
        return restoring.restore(self)

    @expose("/delete/", methods=("POST",))
    def delete_view(self) -> Answer:
        """Removes one row."""
        self.need(Action.DELETE)
        row = self.find(request.form.get("id", "") or request.args.get("id", ""))
        undo_url = gone.undo_url(self, row)
        with transaction():
            self.delete(row, self.user)
        said = gettext("Deleted.") if self.may_come_back else gettext("Done.")
        say_done(said, undo_url=undo_url, undo_key="u")
        return redirect(url_for(f"{self.endpoint}.index_view"), 303)

    @expose("/bring-back/", methods=("POST",))
    def bring_back_view(self) -> Answer:
        """Undoes the removal of a row, or of those that a bulk action removed."""
        return bulk.undo(self) if "task" in request.args else gone.bring_back(self)

    @expose("/action/", methods=("POST",))
    def action_view(self) -> Answer:
        """One action on all ticked rows, or on all that the list matches."""
        return bulk.answer(self)

    @expose("/bulk/", methods=("GET", "POST"))
    def bulk_view(self) -> Answer:
        """Whether it is meant: one action on everything that a list matched."""
        if request.method == "POST":
            return bulk.start(self)
        return self.render("tables/bulk.html", view=self, **bulk.asking_page(self))

    @expose("/report/")
    def report_view(self) -> Answer:
        """What came of an action on many rows."""
        return self.render("tables/report.html", view=self, **bulk.report_page(self))
