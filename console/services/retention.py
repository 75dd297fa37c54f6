"""What is deleted because its time is over: ended sessions, recovery codes, old steps and proposals of
seating. And how long proofs are kept, whose files `services.files` removes."""

import sqlalchemy as sa

from console import config
from console.db import db

#: Kept this long after their end, for whoever asks how somebody got in.
KEEP_DAYS = 30

DELETE = """
DELETE FROM {table} WHERE id IN (
    SELECT id FROM {table} WHERE expires_at <= now() - make_interval(days => :days)
    ORDER BY expires_at LIMIT :limit FOR UPDATE SKIP LOCKED
)
"""
SESSIONS = sa.text(DELETE.format(table='"user".refresh_sessions'))
CODES = sa.text(DELETE.format(table='"user".recovery_codes'))

#: Steps can be taken back and proposals looked at so long; a board that was not looked at for a day is read
#: anew.
STEPS_DAYS, PROPOSALS_DAYS, REMOVALS_DAYS = 30, 30, 1
DELETE_OLD = """
DELETE FROM {table} WHERE id IN (
    SELECT id FROM {table} WHERE created_at <= now() - make_interval(days => :days)
    ORDER BY created_at LIMIT :limit FOR UPDATE SKIP LOCKED
)
"""
STEPS = sa.text(DELETE_OLD.format(table="ops.seating_steps"))
REMOVALS = sa.text(DELETE_OLD.format(table="ops.seating_removals"))
PROPOSALS = sa.text(DELETE_OLD.format(table="ops.seating_proposals"))

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


def purge_sessions(limit: int) -> int:
    """Deletes at most `limit` sessions that ended KEEP_DAYS ago; returns how many."""
    return _purge(SESSIONS, limit)


def purge_recovery_codes(limit: int) -> int:
    """Deletes at most `limit` recovery codes that ended KEEP_DAYS ago; returns how many."""
    return _purge(CODES, limit)


def purge_seating_steps(limit: int) -> int:
    """Forgets at most `limit` steps on seating boards of STEPS_DAYS ago; returns how many."""
    return _purge(STEPS, limit, STEPS_DAYS)


def purge_seating_removals(limit: int) -> int:
    """Forgets at most `limit` notes of removed places of REMOVALS_DAYS ago; returns how many."""
    return _purge(REMOVALS, limit, REMOVALS_DAYS)


def purge_seating_proposals(limit: int) -> int:
    """Forgets at most `limit` proposals of the auto-seat of PROPOSALS_DAYS ago; returns how many."""
    return _purge(PROPOSALS, limit, PROPOSALS_DAYS)


def _purge(statement: sa.TextClause, limit: int, days: int = KEEP_DAYS) -> int:
    result = db.session.connection().execute(statement, {"limit": limit, "days": days})
    return result.rowcount
