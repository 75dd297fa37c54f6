"""Who looks at which receipt: a claim for a few minutes, so that two reviewers never look at the same one.

A claim is two columns of the receipt, judged by the database's clock and taken by one conditional statement.
It ends by itself; a page that is open renews it, and one that is left gives it back.
"""

from collections.abc import Collection
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from console import policy
from console.db import db
from console.models import Booking, Payment, PaymentReceipt, User

#: Longer than a careful look, shorter than a lunch: the page renews it every minute.
CLAIM = timedelta(minutes=3)


def waiting(actor: User) -> sa.Select[Any]:
    """The receipts that wait for a decision, as far as they exist for `actor`."""
    return policy.visible(actor, PaymentReceipt).where(PaymentReceipt.reviewed_at.is_(None))


def claim(receipt_id: UUID, *, actor: User) -> bool:
    """Makes `actor` the one who looks at a receipt, or renews that. False: decided, or somebody else's."""
    return bool(renew([receipt_id], actor=actor))


def renew(receipt_ids: Collection[UUID], *, actor: User) -> list[UUID]:
    """Renews the claims that `actor` has or can have on these receipts, and returns those."""
    if not receipt_ids:
        return []
    mine = waiting(actor).with_only_columns(PaymentReceipt.id)
    return _claim(mine.where(PaymentReceipt.id.in_(receipt_ids)), actor)


def release(receipt_ids: Collection[UUID], *, actor: User) -> None:
    """Gives back the claims of `actor` on these receipts."""
    db.session.execute(
        sa.update(PaymentReceipt)
        .where(PaymentReceipt.id.in_(receipt_ids), PaymentReceipt.claimed_by == actor.id)
        .values(claimed_by=None, claimed_until=None, updated_at=PaymentReceipt.updated_at),
        execution_options={"synchronize_session": "fetch"},
    )


def claim_next(*, actor: User, after: UUID | None = None, without: Collection[UUID] = ()) -> UUID | None:
    """Claims the oldest receipt that waits and that `actor` can decide on; None when there is none.

    Those after the receipt `after` come first, then the head of the queue. Left out are those `without`,
    those of others, their own booking's, and what they approved already as the first of two.
    """
    queue = _next(actor, without)
    if after is not None:
        key = sa.tuple_(PaymentReceipt.created_at, PaymentReceipt.id)
        place = sa.select(PaymentReceipt.created_at, PaymentReceipt.id).where(PaymentReceipt.id == after)
        at = db.session.execute(place).one_or_none()
        found = _claim(_locked(queue.where(key > tuple(at))), actor) if at else []
        if found:
            return found[0]
    found = _claim(_locked(queue), actor)
    return found[0] if found else None


def _next(actor: User, without: Collection[UUID]) -> sa.Select[Any]:
    """The first of the queue that nobody else holds."""
    own = sa.exists().where(
        Payment.id == PaymentReceipt.payment_id, Booking.id == Payment.booking_id, Booking.user_id == actor.id
    )
    query = waiting(actor).where(
        _free(actor), ~own, PaymentReceipt.first_approved_by.is_distinct_from(actor.id)
    )
    if without:
        query = query.where(PaymentReceipt.id.not_in(without))
    return (
        query.with_only_columns(PaymentReceipt.id)
        .order_by(PaymentReceipt.created_at, PaymentReceipt.id)
        .limit(1)
    )


def _locked(query: sa.Select[Any]) -> sa.Select[Any]:
    """Locks what is chosen: who comes at the same moment takes the next."""
    return query.with_for_update(of=PaymentReceipt, key_share=True, skip_locked=True)


def _free(actor: User) -> sa.ColumnElement[bool]:
    return sa.or_(
        PaymentReceipt.claimed_until.is_(None),
        PaymentReceipt.claimed_until <= sa.func.now(),
        PaymentReceipt.claimed_by == actor.id,
    )


def _claim(receipts: sa.Select[Any], actor: User) -> list[UUID]:
    # Chosen once, before the update: otherwise the choice could be made anew for each row.
    chosen = receipts.cte("chosen").prefix_with("MATERIALIZED")
    return list(
        db.session.scalars(
            sa.update(PaymentReceipt)
            .where(
                PaymentReceipt.id == chosen.c.id,
                PaymentReceipt.reviewed_at.is_(None),
                _free(actor),
            )
            # A look is no change of the record.
            .values(
                claimed_by=actor.id,
                claimed_until=sa.func.now() + CLAIM,
                updated_at=PaymentReceipt.updated_at,
            )
            .returning(PaymentReceipt.id),
            execution_options={"synchronize_session": False},
        )
    )
