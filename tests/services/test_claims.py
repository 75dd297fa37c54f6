"""Claims: who looks at which receipt."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from console import errors
from console.db import db, now
from console.models import PaymentReceipt, User
from console.services import claims, receipts
from console.states import UserRole
from tests import make


def waiting(count: int, **values: Any) -> list[PaymentReceipt]:
    """Receipts that wait, the oldest first."""
    return [
        make.payment_receipt(created_at=make.soon(hours=-count + number), **values) for number in range(count)
    ]


def test_the_oldest_is_claimed_first_and_nobody_else_gets_it(anna: User, boris: User) -> None:
    first, second, third = waiting(3)
    assert claims.claim_next(actor=anna) == first.id
    assert claims.claim_next(actor=boris) == second.id
    assert claims.claim_next(actor=anna, without=[first.id]) == third.id
    assert claims.claim_next(actor=boris, without=[second.id]) is None
    db.session.refresh(first)
    assert (first.claimed_by, first.claimed_until) == (anna.id, now() + claims.CLAIM)


def test_after_a_receipt_comes_the_next_and_after_the_last_the_head(anna: User) -> None:
    first, second, third = waiting(3)
    assert claims.claim_next(actor=anna, after=first.id) == second.id
    assert claims.claim_next(actor=anna, after=third.id) == first.id
    assert claims.claim_next(actor=anna, after=third.id, without=[first.id]) == second.id


def test_a_claim_that_ran_out_or_was_given_back_is_free(anna: User, boris: User) -> None:
    receipt = make.payment_receipt(claimed_by=anna.id, claimed_until=now())
    assert claims.claim(receipt.id, actor=boris)
    assert not claims.claim(receipt.id, actor=anna)
    claims.release([receipt.id], actor=anna)
    assert not claims.claim(receipt.id, actor=anna)
    claims.release([receipt.id], actor=boris)
    assert claims.claim(receipt.id, actor=anna)


def test_a_look_is_no_change_of_the_record(anna: User) -> None:
    receipt = make.payment_receipt(updated_at=now() - timedelta(hours=1))
    claims.claim(receipt.id, actor=anna)
    claims.release([receipt.id], actor=anna)
    db.session.refresh(receipt)
    assert receipt.updated_at == now() - timedelta(hours=1)


def test_claims_are_renewed_while_they_are_ones_own(anna: User, boris: User) -> None:
    mine, lost = waiting(2)
    claims.claim(mine.id, actor=anna)
    claims.claim(lost.id, actor=boris)
    assert claims.renew([mine.id, lost.id], actor=anna) == [mine.id]
    assert claims.renew([], actor=anna) == []


def test_what_is_decided_is_claimed_no_more(anna: User) -> None:
    receipt = make.payment_receipt()
    claims.claim(receipt.id, actor=anna)
    receipts.reject_receipt(receipt.id, reason="blurred", actor=anna)
    assert receipt.claimed_by is None
    assert not claims.claim(receipt.id, actor=anna)
    assert claims.claim_next(actor=anna) is None


def test_nobody_decides_on_what_somebody_else_looks_at(anna: User, boris: User) -> None:
    receipt = make.payment_receipt()
    claims.claim(receipt.id, actor=anna)
    with pytest.raises(errors.BeingReviewed, match=anna.username):
        receipts.approve_receipt(receipt.id, actor=boris)
    with pytest.raises(errors.BeingReviewed):
        receipts.reject_receipt(receipt.id, reason="blurred", actor=boris)
    receipts.approve_receipt(receipt.id, actor=anna)


def test_ones_own_booking_and_what_one_approved_first_are_left_to_others(
    anna: User, boris: User, change_settings: Any
) -> None:
    change_settings(second_review_above=Decimal(100))
    own = make.payment(booking_id=make.booking(user_id=anna.id).id, status="SUBMITTED")
    receipt = make.payment_receipt(payment_id=own.id)
    first = make.payment_receipt(created_at=make.soon(hours=1))
    receipts.approve_receipt(first.id, actor=anna)
    assert claims.claim_next(actor=anna) is None
    assert claims.claim_next(actor=boris) == receipt.id
    assert claims.claim_next(actor=boris, without=[receipt.id]) == first.id


def test_a_foreign_receipt_is_never_next() -> None:
    trip, foreign = make.event(), make.event()
    receipt = make.payment_receipt(
        payment_id=make.payment(booking_id=make.booking(event_id=foreign.id).id, status="SUBMITTED").id
    )
    limited = make.staff(UserRole.FINANCE, trip.organizer)
    assert claims.claim_next(actor=limited) is None
    assert claims.claim_next(actor=make.staff(UserRole.FINANCE, foreign.organizer)) == receipt.id
