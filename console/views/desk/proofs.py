"""Proofs as files: the upload, its pages as pictures, its thumbnail; and findings in words.

Everything comes through the console, to who may see the receipt. Nothing in a file ever runs.
"""

import re
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from babel import dates
from flask import Response, url_for
from flask_admin import expose
from flask_babel import get_locale, ngettext
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from console.errors import NotFound
from console.models import File, PaymentReceipt
from console.services import files, proof_pages
from console.services.proof_checks import Finding, Kind, Other
from console.views.desk.base import DeskView
from console.views.formats import localtime, money, state_label

#: What the console itself wrote and shows in the page; everything else is a download.
SHOWN_IN_PLACE = frozenset({"image/jpeg", "image/png"})
#: A file never runs, whatever is in it, not even when it is opened on its own.
PROOF_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"
CHUNK_BYTES = 256 * 1024
TYPE = re.compile(r"[a-z]+/[a-zA-Z0-9.+-]+")
END = re.compile(r"\.[a-z0-9]{1,8}$")


class ProofsView(DeskView):
    """`/desk/proofs/<receipt>/…`: what a receipt's proof looks like."""

    menu_group = ""
    tables = ("payment.payment_receipts",)

    @expose("/<uuid:receipt_id>")
    def index(self, receipt_id: UUID) -> Response:
        """The file itself, to download."""
        file = self._file(receipt_id)
        return served(file, download_name=f"proof-{str(receipt_id)[:8]}")

    @expose("/<uuid:receipt_id>/pages/<int:number>")
    def page(self, receipt_id: UUID, number: int) -> Response:
        """A page as a picture, counted from 1; 404 until a worker has drawn it."""
        return served(proof_pages.find_picture(self._file(receipt_id), f"page-{number}"))

    @expose("/<uuid:receipt_id>/thumbnail")
    def thumbnail(self, receipt_id: UUID) -> Response:
        """A small picture of the first page; 404 until a worker has drawn it."""
        return served(proof_pages.find_picture(self._file(receipt_id), proof_pages.THUMBNAIL))

    def _file(self, receipt_id: UUID) -> File:
        receipt = self.found(PaymentReceipt, receipt_id)
        file = proof_pages.file_of(receipt)
        if file is None:
            raise NotFound()
        return file


def served(file: File, *, download_name: str | None = None) -> Response:
    """The content of a file: a picture of ours in place, anything else as a download. Raises NotFound.

    The name is given without its end. Of what another service says of its files, only a plain type and a
    plain end of the name come into the answer.
    """
    data = files.read_file(file.id).data
    content_type = file.content_type if TYPE.fullmatch(file.content_type) else "application/octet-stream"
    disposition = "inline"
    if download_name is not None or content_type not in SHOWN_IN_PLACE:
        end = END.search(file.file_key.lower())
        disposition = f'attachment; filename="{download_name or "file"}{end[0] if end else ""}"'
    chunks = (data[at : at + CHUNK_BYTES] for at in range(0, len(data), CHUNK_BYTES))
    response = Response(chunks, content_type=content_type)
    response.content_length = len(data)
    response.headers["Content-Disposition"] = disposition
    response.headers["Content-Security-Policy"] = PROOF_POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def page_urls(receipt: PaymentReceipt, pages: proof_pages.Pages) -> list[str]:
    """The address of each page of a receipt's proof."""
    return [
        url_for("desk_proofs.page", receipt_id=receipt.id, number=number)
        for number in range(1, pages.count + 1)
    ]


#: What is the same, in a proof before this one and in one after it.
SAME = {
    Kind.SAME_FILE: (
        _l("The same file was used before: %(where)s."),
        _l("The same file came again later: %(where)s."),
    ),
    Kind.SAME_PICTURE: (
        _l("A picture that looks the same was used before: %(where)s."),
        _l("A picture that looks the same came later: %(where)s."),
    ),
    Kind.SAME_REFERENCE: (
        _l("The bank's reference %(what)s was used before: %(where)s."),
        _l("The bank's reference %(what)s came again later: %(where)s."),
    ),
    Kind.SAME_MOMENT: (
        _l("The same amount at the same minute, %(what)s, was used before: %(where)s."),
        _l("The same amount at the same minute, %(what)s, came again later: %(where)s."),
    ),
}


def in_words(finding: Finding) -> str:
    """A finding as a sentence in the reader's language."""
    facts = finding.facts
    if finding.kind is Kind.OTHER_AMOUNT:
        return _(
            "The proof speaks of %(found)s, but %(expected)s is due.",
            found=", ".join(money(amount, currency) for amount, currency in facts["found"]),
            expected=money(facts["expected"], facts["currency"]),
        )
    if finding.kind is Kind.OTHER_DATE:
        return _(
            "The proof is dated %(found)s; the booking is of %(booked)s, the proof came on %(sent)s.",
            found=", ".join(_day(day) for day in facts["found"]),
            booked=_day(facts["booked"]),
            sent=_day(facts["sent"]),
        )
    if finding.kind is Kind.REJECTED_BEFORE:
        return ngettext(
            "%(num)s earlier proof of this person was rejected.",
            "%(num)s earlier proofs of this person were rejected.",
            facts["count"],
        )
    if finding.kind is Kind.REGISTERED:
        known = [facts["person"], facts["event"]] if "person" in facts else [_("in another event")]
        return _(
            "A transfer by the bank's number %(what)s is registered already: %(where)s.",
            what=facts["reference"],
            where=", ".join(known),
        )
    other = finding.other
    assert other is not None
    said = SAME[finding.kind][1 if other.is_later else 0]
    return str(said) % {"where": _where(other), "what": _what(finding)}


def _what(finding: Finding) -> str:
    """The reference, or the amount and the minute, that two proofs have in common."""
    if finding.kind is Kind.SAME_MOMENT:
        amount, currency, minute = finding.facts["moment"].split(" ")
        moment = dates.format_datetime(datetime.fromisoformat(minute), "d MMM y, HH:mm", locale=get_locale())
        return f"{money(Decimal(amount), currency)}, {moment}"
    return str(finding.facts.get("reference", ""))


def _where(other: Other) -> str:
    """The other proof, as far as the reader may know of it."""
    if other.receipt_id is None:
        return _("in another event")
    known = [
        _("for this very booking") if other.is_of_same_booking else f"{other.person}, {other.event}",
        localtime(other.sent_at),
        state_label(other.decision).lower() or (_("in review") if not other.is_reviewed else ""),
    ]
    return ", ".join(filter(None, known))


def _day(day: date) -> str:
    """A day; a moment's day is that of the console's own clock."""
    if isinstance(day, datetime):
        return localtime(day).partition(",")[0]
    return dates.format_date(day, "d MMM y", locale=get_locale())
