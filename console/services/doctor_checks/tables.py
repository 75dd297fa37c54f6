"""Files, and what holds for every table."""

# ruff: noqa: S608 - what is put into these statements are constants of ours

import sqlalchemy as sa

from console.db import Base
from console.models.organized import COPY, TAKEN_FROM
from console.models.triggers import TRIGGERS
from console.services.doctor_checks.check import Check
from console.states import FileOwner

#: Which table `files.owner_id` points at.
OWNERS = {
    FileOwner.USER: '"user".users',
    FileOwner.ORGANIZER: "event.organizers",
    FileOwner.EVENT: "event.events",
    FileOwner.TEAM_MEMBER: "event.team_members",
    FileOwner.PAYMENT_RECEIPT: "payment.payment_receipts",
}


def _owners() -> str:
    """Files without an owner; those whose time is over are on their way out."""
    missing = " UNION ALL ".join(
        f"SELECT format('file %s: there is no {owner} %s', f.id, f.owner_id) AS told FROM media.files f"
        f" WHERE f.owner_type = '{owner}' AND (f.expires_at IS NULL OR f.expires_at > now())"
        f" AND NOT EXISTS (SELECT FROM {table} o WHERE o.id = f.owner_id)"
        for owner, table in OWNERS.items()
    )
    return f"""{missing} UNION ALL
SELECT format('receipt %s: file %s is of another owner', r.id, f.id)
FROM payment.payment_receipts r JOIN media.files f ON f.id = r.file_id
WHERE f.owner_type <> 'PAYMENT_RECEIPT' OR f.owner_id <> r.id"""


def _values() -> str:
    """Every column that holds an enum, a scan for each table."""
    queries = []
    for table in Base.metadata.sorted_tables:
        columns = [column for column in table.columns if isinstance(column.type, sa.Enum)]
        for column in columns:
            assert isinstance(column.type, sa.Enum)
            values = ", ".join(f"'{value}'" for value in column.type.enums)
            where = f"{table.schema}.{table.name}.{column.name}"
            queries.append(
                f"SELECT format('{where}: %s in %s rows', {column.name}, count(*)) AS told"
                f' FROM "{table.schema}".{table.name} WHERE {column.name} NOT IN ({values})'
                f" GROUP BY {column.name}"
            )
    return " UNION ALL ".join(queries)


def _organizers() -> str:
    """Rows that are not said to belong to the organizer of what they hang on."""
    return " UNION ALL ".join(
        f"SELECT format('{parent} %s has another organizer than %s of its {table}', p.id, count(*)) AS told"
        f" FROM {table} t JOIN {parent} p ON p.id = t.{key}"
        f" WHERE t.{COPY} IS DISTINCT FROM p.{COPY} GROUP BY p.id"
        for table, key, parent in TAKEN_FROM
    )


def _triggers() -> str:
    expected = ", ".join(f"('{trigger.name}', '{trigger.table}')" for trigger in TRIGGERS)
    return f"""
SELECT format('%s: %s', x.tab, x.name) AS told FROM (VALUES {expected}) AS x (name, tab)
WHERE NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = to_regclass(x.tab) AND t.tgname = x.name
    AND t.tgenabled IN ('O', 'A'))
"""


TABLES = (
    Check("file-owner", "a file has an owner, and a receipt's file is the receipt's", _owners()),
    Check("values", "a state is one of those there are", _values()),
    Check(
        "organizers",
        "a row belongs to the organizer of its event, or their staff would miss it",
        _organizers(),
    ),
    Check("triggers", "the triggers that guard logs and places are there and on", _triggers()),
)
