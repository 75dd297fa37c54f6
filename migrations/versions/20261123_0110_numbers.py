"""Prices and amounts are numbers: NaN, which PostgreSQL has above all of them, ends every sum it is in."""

from alembic import op

revision = "20261123_0110"
down_revision = "20261123_0100"

#: Table, its CHECK, the column.
MONEY = (
    ("event.events", "ck_events_price", "price"),
    ("event.bookings", "ck_bookings_amount", "amount"),
    ("payment.payments", "ck_payments_amount", "amount"),
)


def upgrade() -> None:
    for table, name, column in MONEY:
        _replace(table, name, f"{column} >= 0 AND {column} < 'NaN'::numeric")


def downgrade() -> None:
    for table, name, column in reversed(MONEY):
        _replace(table, name, f"{column} >= 0")


def _replace(table: str, name: str, rule: str) -> None:
    op.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}, ADD CONSTRAINT {name} CHECK ({rule})")
