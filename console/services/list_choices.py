"""How a person wants to see the list of a table: columns, density, and lists saved by a name."""

from collections.abc import Sequence
from typing import cast

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from console.db import db, known
from console.errors import N_, InvalidInput
from console.models import ListChoice, User

#: Saved lists of a table: more than a menu shows.
SAVED_MAX = 30
NAME_MAX = 60
ADDRESS_MAX = 2000
#: What a choice is called among what is `known`.
_CHOICE = "list choice"


def choice_of(user: User, table: str) -> ListChoice | None:
    """What `user` chose for the list of "schema.table"; None as long as they chose nothing."""
    if (_CHOICE, user.id, table) in known():
        return cast(ListChoice | None, known()[_CHOICE, user.id, table])
    return db.session.get(ListChoice, (user.id, table))


def know_choice(user: User, table: str, choice: ListChoice | None) -> None:
    """Keeps what `choice_of` would find for the rest of the transaction: it need not be asked again."""
    known()[_CHOICE, user.id, table] = choice


def choose_columns(user: User, table: str, *, columns: Sequence[str] | None, is_dense: bool) -> None:
    """Keeps the columns, in their order, and the density; None stands for the table's own columns."""
    choice = _locked(user, table)
    choice.columns = list(columns) if columns is not None else None
    choice.is_dense = is_dense
    db.session.flush()


def save_list(user: User, table: str, *, name: str, address: str) -> None:
    """Keeps an address of the list under a name; the same name again replaces it. Raises InvalidInput."""
    name = " ".join(name.split())
    if not name or len(name) > NAME_MAX or "\0" in name:
        raise InvalidInput(field=N_("Name"), problem=N_("give the list a short name."))
    if len(address) > ADDRESS_MAX or "\0" in address:
        raise InvalidInput(field=N_("Filters"), problem=N_("this is too long."))
    choice = _locked(user, table)
    saved = {**choice.saved, name: address}
    if len(saved) > SAVED_MAX:
        raise InvalidInput(field=N_("Name"), problem=N_("so many lists are saved already: remove one first."))
    choice.saved = saved
    db.session.flush()


def forget_list(user: User, table: str, *, name: str) -> None:
    """Removes a saved list; one that is gone already is fine."""
    choice = _locked(user, table)
    choice.saved = {kept: address for kept, address in choice.saved.items() if kept != name}
    db.session.flush()


def _locked(user: User, table: str) -> ListChoice:
    key = {"user_id": user.id, "table_name": table}
    db.session.execute(insert(ListChoice).values(**key).on_conflict_do_nothing())
    row = sa.select(ListChoice).filter_by(**key).with_for_update()
    return db.session.scalars(row.execution_options(populate_existing=True)).one()
