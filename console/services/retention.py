"""What is deleted because its time is over: ended sessions and recovery codes."""

import sqlalchemy as sa

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


def purge_sessions(limit: int) -> int:
    """Deletes at most `limit` sessions that ended KEEP_DAYS ago; returns how many."""
    return _purge(SESSIONS, limit)


def purge_recovery_codes(limit: int) -> int:
    """Deletes at most `limit` recovery codes that ended KEEP_DAYS ago; returns how many."""
    return _purge(CODES, limit)


def _purge(statement: sa.TextClause, limit: int) -> int:
    result = db.session.connection().execute(statement, {"limit": limit, "days": KEEP_DAYS})
    return result.rowcount
