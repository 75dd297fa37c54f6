"""What a pane shows of a proof: its pages as pictures, and what stands out about it."""

from dataclasses import dataclass
from typing import Any

from flask import url_for

from console.models import File, PaymentReceipt, User
from console.services import proof_checks, proof_pages
from console.views.desk import proofs


@dataclass(frozen=True)
class Look:
    """The addresses of a proof's pages; without any, `is_waiting` or the `problem` says why.

    What stands out is not known yet while it `is_unread`, and not at all with a `problem`.
    """

    pages: list[str]
    is_waiting: bool = False
    is_unread: bool = False
    problem: str = ""


def look_at(receipt: PaymentReceipt, file: File | None) -> Look | None:
    """How a proof can be looked at; None when there is no file."""
    if file is None:
        return None
    pages = proof_pages.pages_of(file)
    return Look(
        proofs.page_urls(receipt, pages),
        is_waiting=pages.state is proof_pages.Shown.WAITING,
        is_unread=file.inspected_at is None,
        problem=file.problem or pages.problem or "",
    )


def findings(receipt: PaymentReceipt, viewer: User) -> list[dict[str, Any]]:
    """What to look at before deciding, each a sentence with the address of the other proof or booking."""
    found = proof_checks.findings(receipt, viewer=viewer)
    return [{"text": proofs.in_words(finding), "url": _address(finding)} for finding in found]


def _address(finding: proof_checks.Finding) -> str:
    if finding.other is not None and finding.other.receipt_id is not None:
        return url_for("desk_receipts.index", id=finding.other.receipt_id)
    if "booking_id" in finding.facts:
        keys = {name: finding.facts[name] for name in ("event_id", "booking_id")}
        return url_for("desk_bookings.index", **keys)
    return ""
