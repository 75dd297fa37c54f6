"""What is due and waits for a job: the numbers that must fall back to nought by themselves."""

import sqlalchemy as sa

from console.models import Booking, OutboxMessage, WaitlistEntry, WebhookEvent
from console.states import BookingStatus, OutboxStatus, WebhookStatus


def counts(connection: sa.Connection) -> dict[str, int]:
    """Rows by kind, counted over the partial indexes the jobs themselves use; changes nothing."""
    now = sa.func.now()
    due = {
        "overdue_holds": sa.select(sa.func.count())
        .select_from(Booking)
        .where(Booking.status == BookingStatus.PENDING, Booking.expires_at < now),
        "lapsed_offers": sa.select(sa.func.count())
        .select_from(WaitlistEntry)
        .where(WaitlistEntry.notified_at.is_not(None), WaitlistEntry.notification_expires_at < now),
        "due_notices": sa.select(sa.func.count())
        .select_from(OutboxMessage)
        .where(OutboxMessage.status == OutboxStatus.PENDING, OutboxMessage.next_attempt_at <= now),
        "lapsed_leases": sa.select(sa.func.count())
        .select_from(OutboxMessage)
        .where(OutboxMessage.status == OutboxStatus.SENDING, OutboxMessage.leased_until < now),
        "unapplied_webhooks": sa.select(sa.func.count())
        .select_from(WebhookEvent)
        .where(WebhookEvent.status == WebhookStatus.PENDING, WebhookEvent.next_attempt_at <= now),
    }
    row = connection.execute(sa.select(*(query.scalar_subquery().label(name) for name, query in due.items())))
    return dict(row.mappings().one())
