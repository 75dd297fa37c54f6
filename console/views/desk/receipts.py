"""The review desk: proofs of transfers, oldest first, each decided on once."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask import Response, request
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy.orm import joinedload
from werkzeug.wrappers import Response as AnyResponse

from console import config, policy
from console.db import db, transaction
from console.errors import NotFound
from console.models import Booking, File, Payment, PaymentReceipt, User
from console.services import files, proof_pages, receipts
from console.views.desk.base import DeskView, asked_id, done, typed
from console.views.desk.proofs import served
from console.views.desk.queries import bounded_count, number, page, with_person

QUEUE_SHOWN = 50

#: What the console itself wrote and shows in the page; everything else is a download.
SHOWN_IN_PLACE = frozenset({"image/jpeg", "image/png"})
#: A file never runs, whatever is in it, not even when it is opened on its own.
PROOF_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"

REASONS = (
    _l("The amount does not match the booking."),
    _l("The transfer has not arrived."),
    _l("The proof cannot be read."),
    _l("This is the proof of another payment."),
)


class ReceiptsView(DeskView):
    """`/desk/receipts`: the queue, a proof, the decision."""

    menu_label = _l("Receipts")
    menu_icon = "receipt"
    menu_key = "r"
    work = ("receipts",)

    def waiting(self, user: User) -> int | None:
        return db.session.scalar(sa.select(bounded_count(_waiting(user))))

    @expose("")
    def index(self) -> str:
        decided = request.args.get("show") == "decided"
        queue, more = page(self._queue(decided=decided), QUEUE_SHOWN)
        receipt = self._chosen(queue)
        place = next((at for at, each in enumerate(queue) if receipt and each.id == receipt.id), None)
        return self.render(
            "desk/receipts.html",
            queue=queue,
            more=more,
            waiting=number(self.waiting(self.user) or 0),
            decided=decided,
            receipt=receipt,
            file=db.session.get(File, receipt.file_id) if receipt and receipt.file_id else None,
            attempts=_attempts(receipt) if receipt else [],
            before=queue[place - 1] if place else None,
            after=queue[place + 1] if place is not None and place + 1 < len(queue) else None,
            reasons=REASONS,
            promise_minutes=round(config.current().review_hold_hours * 60),
            review_hold=timedelta(hours=config.current().review_hold_hours),
            hold_minutes=config.current().booking_hold_minutes,
            shown_in_place=SHOWN_IN_PLACE,
            now=datetime.now(UTC),
        )

    def _queue(self, *, decided: bool) -> sa.Select[Any]:
        if decided:
            query = (
                policy.visible(self.user, PaymentReceipt)
                .where(PaymentReceipt.reviewed_at.is_not(None))
                .order_by(PaymentReceipt.created_at.desc(), PaymentReceipt.id.desc())
            )
        else:
            query = _waiting(self.user).order_by(PaymentReceipt.created_at, PaymentReceipt.id)
        return query.options(*_around())

    def _chosen(self, queue: Any) -> PaymentReceipt | None:
        """The receipt of the address, else the first of the queue; 404 for one out of reach."""
        wanted = asked_id("id")
        if wanted is None:
            return queue[0] if queue else None
        self.found(PaymentReceipt, wanted)
        return db.session.scalars(
            sa.select(PaymentReceipt).where(PaymentReceipt.id == wanted).options(*_around())
        ).one()

    @expose("/<uuid:receipt_id>/approve", methods=("POST",))
    def approve(self, receipt_id: UUID) -> AnyResponse:
        receipt = self.found(PaymentReceipt, receipt_id)
        after = self._next(receipt)
        with transaction():
            receipts.approve_receipt(receipt.id, actor=self.user)
        return done(_("Approved: the payer is being told."), after)

    @expose("/<uuid:receipt_id>/reject", methods=("POST",))
    def reject(self, receipt_id: UUID) -> AnyResponse:
        receipt = self.found(PaymentReceipt, receipt_id)
        reason = typed("reason", _("Reason"))
        after = self._next(receipt)
        with transaction():
            receipts.reject_receipt(receipt.id, reason=reason, actor=self.user)
        return done(_("Rejected: the payer is being told why."), after)

    def _next(self, receipt: PaymentReceipt) -> str:
        """Where a decision leads: the next older receipt that waits, else the head of the queue."""
        key = sa.tuple_(PaymentReceipt.created_at, PaymentReceipt.id)
        following = db.session.scalar(
            _waiting(self.user)
            .with_only_columns(PaymentReceipt.id)
            .where(key > (receipt.created_at, receipt.id))
            .order_by(PaymentReceipt.created_at, PaymentReceipt.id)
            .limit(1)
        )
        return self.get_url(".index", id=following)

    @expose("/<uuid:receipt_id>/proof")
    def proof(self, receipt_id: UUID) -> Response:
        """The file itself, as it was uploaded."""
        file, data = self._file(receipt_id)
        in_place = file.content_type in SHOWN_IN_PLACE and "download" not in request.args
        name = f"proof-{str(receipt_id)[:8]}.{file.file_key.rpartition('.')[2]}"
        return _served(data, file.content_type, None if in_place else name)

    @expose("/<uuid:receipt_id>/page.png")
    def preview(self, receipt_id: UUID) -> Response:
        """The first page of a PDF as an image, once a worker has drawn it."""
        file, _ = self._file(receipt_id)
        return served(proof_pages.find_picture(file, "page-1"))

    def _file(self, receipt_id: UUID) -> tuple[File, bytes]:
        receipt = self.found(PaymentReceipt, receipt_id)
        if receipt.file_id is None:
            raise NotFound()
        stored = files.read_file(receipt.file_id)
        return stored.file, stored.data


def _served(data: bytes, content_type: str, download_name: str | None) -> Response:
    response = Response(data, content_type=content_type)
    disposition = f'attachment; filename="{download_name}"' if download_name else "inline"
    response.headers["Content-Disposition"] = disposition
    response.headers["Content-Security-Policy"] = PROOF_POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _waiting(user: User) -> sa.Select[Any]:
    return policy.visible(user, PaymentReceipt).where(PaymentReceipt.reviewed_at.is_(None))


def _around() -> tuple[Any, ...]:
    """What the desk shows with a receipt: its payment, booking, event and person."""
    booking = joinedload(PaymentReceipt.payment).joinedload(Payment.booking)
    return (
        booking.joinedload(Booking.user).joinedload(User.profile),
        booking.joinedload(Booking.event),
        with_person(PaymentReceipt.reviewer),
    )


def _attempts(receipt: PaymentReceipt) -> Any:
    """Every receipt of the same booking, oldest first."""
    return db.session.scalars(
        sa.select(PaymentReceipt)
        .join(Payment, Payment.id == PaymentReceipt.payment_id)
        .where(Payment.booking_id == receipt.payment.booking_id)
        .options(with_person(PaymentReceipt.reviewer))
        .order_by(PaymentReceipt.created_at, PaymentReceipt.id)
    ).all()
