"""Schema `payment`."""

from typing import Any
from urllib.parse import quote

from flask_babel import gettext
from flask_babel import lazy_gettext as _l
from wtforms import FileField

from console.db import Base
from console.models import Booking, Payment, PaymentReceipt, User, WebhookEvent
from console.services import payments, receipts
from console.views.fields import Given, LookupField, read_upload
from console.views.table import TableView


def _receipt_url(row: Any) -> str:
    return f"/desk/receipts?id={row.id}" + ("&show=decided" if row.reviewed_at else "")


class PaymentView(TableView):
    model = Payment
    title_has_sub = True
    menu_icon = "coin"
    list_columns = (
        "booking_id",
        "status",
        "amount",
        "method",
        "provider",
        "provider_payment_id",
        "created_at",
    )
    search_by = ("booking_id", "provider_payment_id")
    create_columns = ("booking_id", "amount")
    zone_by = "booking_id"
    create_label = _l("Register cash")
    about = _l("Money that was asked for, received or given back.")
    hints = {"amount": _l("What was received, in full.")}
    groups = (
        (_l("Payment"), ("booking_id", "status", "amount", "currency", "method")),
        (_l("Acquirer"), ("provider", "provider_payment_id")),
    )

    def create(self, values: dict[str, Any], actor: User) -> Base:
        return payments.register_cash(values["booking_id"], amount=values["amount"], actor=actor)

    def created_message(self, row: Base) -> tuple[Any, str]:
        return gettext("The cash is registered."), "success"


class PaymentReceiptView(TableView):
    model = PaymentReceipt
    title_has_sub = True
    menu_icon = "receipt"
    desk = ("desk_receipts", _receipt_url)
    list_columns = ("payment_id", "decision", "reviewed_at", "reviewed_by", "reject_reason", "created_at")
    search_by = ("payment_id",)
    create_columns = ("booking_id", "content")
    empty_as = {"decision": (_l("Waits for review"), "amber")}
    zone_by = "payment_id"
    create_label = _l("Upload a proof")
    about = _l("Proofs of transfers that people sent, and what was decided.")
    extra_fields = {
        "booking_id": LookupField(
            _l("Booking"),
            [Given()],
            target=Booking,
        ),
        "content": FileField(_l("Proof"), description=_l("An image or a PDF.")),
    }

    def create(self, values: dict[str, Any], actor: User) -> Base:
        return receipts.upload_proof(
            values["booking_id"], content=read_upload(values.get("content")), actor=actor
        )

    def created_message(self, row: Base) -> tuple[Any, str]:
        return gettext("The proof waits for its review."), "success"


class WebhookEventView(TableView):
    model = WebhookEvent
    menu_icon = "webhook"
    desk = ("desk_webhooks", lambda row: f"/desk/webhooks?key={quote(row.idempotency_key)}")
    list_columns = ("idempotency_key", "status", "provider", "payment_id", "effect", "attempts", "created_at")
    search_by = ("idempotency_key", "payment_id")
    zone_by = "payment_id"
    about = _l("What acquirers told us.")


VIEWS = (PaymentView, PaymentReceiptView, WebhookEventView)
