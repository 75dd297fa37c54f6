"""The audit log: who changed what, with the values before and after."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

import sqlalchemy as sa

from console.db import Base, db
from console.models import AuditLog, User

#: Columns whose values are never written down; that they changed is.
SECRETS = frozenset({"password_hash", "code_hash", "jti", "lease_token", "inspect_token"})
MASK = "***"


def record(
    actor: User | None,
    action: str,
    target: Base,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    **facts: Any,
) -> None:
    """Adds one audit row on `target`: the columns that changed, from `before` to `after`, and other facts.

    `actor` None is the system. Secrets are masked. Flushes nothing.
    """
    payload: dict[str, Any] = {name: plain(value) for name, value in facts.items() if value is not None}
    if before is not None:
        payload["before"] = masked(before)
    if after is not None:
        payload["after"] = masked(after)
    mapper = sa.inspect(type(target))
    key = mapper.primary_key_from_instance(target)
    target_id = key[0] if len(key) == 1 and isinstance(key[0], UUID) else None
    if target_id is None:
        payload["key"] = [str(part) for part in key]
    table = cast(sa.Table, mapper.local_table)
    db.session.add(
        AuditLog(
            actor_user_id=actor.id if actor else None,
            action=action,
            target_type=f"{table.schema}.{table.name}",
            target_id=target_id,
            payload=payload,
        )
    )


def snapshot(row: Base, columns: list[str] | None = None) -> dict[str, Any]:
    """The values of a row's columns, all or those named, secrets included: pass it to `record`."""
    names = columns or [attribute.key for attribute in sa.inspect(type(row)).column_attrs]
    return {name: getattr(row, name) for name in names}


def masked(values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` as JSON, secrets replaced by a mask that says only whether there was one."""
    return {
        name: (MASK if value is not None else None) if name in SECRETS else plain(value)
        for name, value in values.items()
    }


def plain(value: Any) -> Any:
    """`value` as JSON can hold it: money and ids as strings, times in ISO 8601."""
    if isinstance(value, Decimal | UUID):
        return str(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return masked(value)
    if isinstance(value, list | tuple | set):
        return [plain(item) for item in value]
    return value
