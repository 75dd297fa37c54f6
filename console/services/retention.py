"""What is deleted because its time is over, table by table. And how long proofs are kept, whose files
`services.files` removes."""

from dataclasses import dataclass

import sqlalchemy as sa

from console import config
from console.db import db
from console.services import bot_calls


@dataclass(frozen=True)
class Term:
    """Rows of a table that go so long after a moment of theirs."""

    #: What a run's result counts them as.
    name: str
    table: str
    since: str
    #: A PostgreSQL interval.
    keep: str
    key: str = "id"
    only: str = "true"

    @property
    def over(self) -> str:
        return f"{self.only} AND {self.since} <= now() - interval '{self.keep}'"

    @property
    def delete(self) -> sa.TextClause:
        return sa.text(f"""
            DELETE FROM {self.table} WHERE {self.key} IN (
                SELECT {self.key} FROM {self.table} WHERE {self.over}
                ORDER BY {self.since} LIMIT :limit FOR UPDATE SKIP LOCKED
            )""")  # noqa: S608 - constants only


TERMS = (
    # For whoever asks how somebody got in.
    Term("sessions", '"user".refresh_sessions', "expires_at", "30 days"),
    Term("recovery_codes", '"user".recovery_codes', "expires_at", "30 days"),
    Term("tasks", "ops.tasks", "finished_at", "30 days"),
    # Looked at, and never begun.
    Term("tasks", "ops.tasks", "created_at", "1 day", only="status = 'DRAFT'"),
    # Steps can be taken back and proposals looked at so long.
    Term("seating", "ops.seating_steps", "created_at", "30 days"),
    Term("seating", "ops.seating_proposals", "created_at", "30 days"),
    # A board that was not looked at for a day is read anew.
    Term("seating", "ops.seating_removals", "created_at", "1 day"),
    # Nobody waits for a call any more; an update comes again for a day at most.
    Term("bot", "ops.bot_calls", "created_at", f"{bot_calls.KEEP_MINUTES} minutes"),
    Term("bot", "ops.bot_updates", "created_at", "7 days", key="update_id"),
    Term("bot", "ops.chat_paces", "free_at", "1 hour", key="chat_id"),
    Term("bot", "ops.telegram_links", "expires_at", "30 days", key="code_hash"),
    # A season, and what is asked about after it.
    Term("texts", "ops.sent_texts", "created_at", "180 days", key="message_id"),
    Term("marks", "ops.reminded_events", "until", "1 day", key="event_id"),
)

#: Mostly nothing is, and to ask table by table would take a round trip for each.
DUE = sa.text(
    " UNION ALL ".join(
        f"SELECT {number} WHERE EXISTS (SELECT FROM {term.table} WHERE {term.over})"  # noqa: S608 - constants
        for number, term in enumerate(TERMS)
    )
)


def due() -> list[Term]:
    """Of which tables something is to be deleted now."""
    return [TERMS[number] for number in db.session.scalars(DUE)]


def purge(term: Term, limit: int) -> int:
    """Deletes at most `limit` rows whose term is over; returns how many."""
    return db.session.connection().execute(term.delete, {"limit": limit}).rowcount


#: Events are put off after their proofs came, and another service may not say for how long it keeps one.
KEEP_PROOFS = sa.text("""
UPDATE media.files SET expires_at = due.until
FROM (
    SELECT f.id, e.date_end + make_interval(days => :days) AS until
    FROM media.files f
    JOIN payment.payment_receipts r ON r.id = f.owner_id
    JOIN payment.payments p ON p.id = r.payment_id
    JOIN event.bookings b ON b.id = p.booking_id
    JOIN event.events e ON e.id = b.event_id
    WHERE f.owner_type = 'PAYMENT_RECEIPT'
        AND (f.expires_at IS NULL
            OR (f.expires_at > now() AND f.expires_at < now() + make_interval(days => :ahead)))
        AND e.date_end + make_interval(days => :days) > coalesce(f.expires_at, '-infinity')
    LIMIT :limit FOR UPDATE OF f SKIP LOCKED
) due WHERE files.id = due.id
""")
#: The job may not have run for a while.
KEEP_AHEAD_DAYS = 30


def keep_proofs(limit: int) -> int:
    """Sees to it that proofs are kept PROOF_RETENTION_DAYS after their event, at most `limit`; how many.

    What was removed by a person, or has run out, stays so.
    """
    days = config.current().proof_retention_days
    values = {"limit": limit, "days": days, "ahead": KEEP_AHEAD_DAYS}
    return db.session.connection().execute(KEEP_PROOFS, values).rowcount
