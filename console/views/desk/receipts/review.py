"""The review desk: the queue, one proof at a time, the decision, and ten seconds to take it back.

A page with a script claims what it shows and has the next one ready; without, each decision is a form.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask import Response, flash, jsonify, render_template, request
from flask_admin import expose
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from werkzeug.utils import redirect
from werkzeug.wrappers import Response as AnyResponse

from console import config, policy
from console.db import db, retrying, transaction
from console.errors import ConsoleError, InvalidInput
from console.models import PaymentReceipt, User
from console.services import claims, proof_checks, receipts
from console.states import ReceiptDecision
from console.views.desk.base import DeskView, asked_id, done, typed, typed_money
from console.views.desk.queries import bounded_count, bounded_number, page
from console.views.desk.receipts.pane import Pane, around, claimer, pane_of
from console.views.error_pages import wants_json
from console.views.formats import money, person, sentence
from console.views.second_factor import must_be_fresh

QUEUE_SHOWN = 50


class ReceiptsView(DeskView):
    """`/desk/receipts`: the queue, a proof, the decision."""

    menu_label = _l("Receipts")
    menu_icon = "receipt"
    menu_key = "r"
    work = ("receipts",)

    def waiting(self, user: User) -> Any:
        return bounded_count(claims.waiting(user))

    @expose("")
    def index(self) -> str:
        decided = request.args.get("show") == "decided"
        queue, more = page(self._queue(decided=decided), QUEUE_SHOWN)
        pane = self._chosen(queue, decided=decided)
        shown = pane.receipt.id if pane else None
        place = next((at for at, each in enumerate(queue) if each.id == shown), None)
        return self.render(
            "desk/receipts.html",
            **self._queue_facts(queue, more, decided=decided),
            decided=decided,
            pane=pane,
            shown=shown,
            before=queue[place - 1] if place else None,
            after=queue[place + 1] if place is not None and place + 1 < len(queue) else None,
        )

    def _queue(self, *, decided: bool = False) -> sa.Select[Any]:
        if decided:
            query = (
                policy.visible(self.user, PaymentReceipt)
                .where(PaymentReceipt.reviewed_at.is_not(None))
                .order_by(PaymentReceipt.reviewed_at.desc(), PaymentReceipt.id.desc())
            )
        else:
            query = claims.waiting(self.user).order_by(PaymentReceipt.created_at, PaymentReceipt.id)
        return query.options(*around())

    def _queue_facts(self, queue: Any, more: bool, *, decided: bool = False) -> dict[str, Any]:
        waiting = [] if decided else [receipt.id for receipt in queue]
        return {
            "queue": queue,
            "more": more,
            "waiting": bounded_number(db.session.scalar(sa.select(self.waiting(self.user))) or 0),
            "promise": timedelta(hours=config.current().review_hold_hours),
            "taken_by": {receipt.id: claimer(receipt, self.user) for receipt in queue},
            "findings": proof_checks.findings_of(waiting, viewer=self.user),
        }

    def _chosen(self, queue: Any, *, decided: bool) -> Pane | None:
        """The receipt of the address, else the first that nobody else looks at; 404 for one out of reach."""
        wanted = asked_id("id")
        if wanted is not None:
            self.found(PaymentReceipt, wanted)
            return pane_of(wanted, self.user)
        free = (each for each in queue if decided or claimer(each, self.user) is None)
        first = next(free, None)
        return pane_of(first.id, self.user) if first is not None else None

    @expose("/queue")
    def queue(self) -> str:
        """The queue alone, for a page that follows it."""
        queue, more = page(self._queue(), QUEUE_SHOWN)
        return self.render(
            "desk/receipt_queue.html", **self._queue_facts(queue, more), decided=False, shown=asked_id("id")
        )

    # Claims: only by POST, a look changes who may look.

    @expose("/next", methods=("POST",))
    def next(self) -> Response:
        """Claims the next receipt and shows it; `after` is the one before, `without` those on the page."""
        after = _ids("after")
        with transaction():
            found = claims.claim_next(
                actor=self.user, after=after[0] if after else None, without=_ids("without")
            )
        return self._shown(found)

    @expose("/<uuid:receipt_id>/open", methods=("POST",))
    def open(self, receipt_id: UUID) -> Response:
        """Claims this receipt if nobody else looks at it, and shows it either way."""
        self.found(PaymentReceipt, receipt_id)
        with transaction():
            claims.claim(receipt_id, actor=self.user)
        return self._shown(receipt_id)

    @expose("/claims", methods=("POST",))
    def renew(self) -> Response:
        """Renews the claims on what the page shows; answers which of them are still its own."""
        with transaction():
            mine = claims.renew(_ids("ids"), actor=self.user)
        return jsonify(mine=[str(key) for key in mine])

    @expose("/release", methods=("POST",))
    def release(self) -> Response:
        """Gives claims back: the page is left, or its reader went on."""
        with transaction():
            claims.release(_ids("ids"), actor=self.user)
        return Response(status=204)

    def _shown(self, receipt_id: UUID | None) -> Response:
        if receipt_id is None:
            return jsonify(id=None, html=render_template("desk/receipt_none.html"))
        pane = pane_of(receipt_id, self.user)
        html = self.render("desk/receipt_pane.html", pane=pane, before=None, after=None, decided=False)
        return jsonify(id=str(receipt_id), html=html, open=not pane.closed and pane.receipt.decision is None)

    # Decisions

    @expose("/<uuid:receipt_id>/approve", methods=("POST",))
    def approve(self, receipt_id: UUID) -> AnyResponse:
        must_be_fresh()
        receipt = self.found(PaymentReceipt, receipt_id)
        amount = typed_money("amount", _("Amount")) if request.form.get("amount", "").strip() else None
        after = "" if wants_json() else self._next_url(receipt)
        with transaction():
            decided = receipts.approve_receipt(
                receipt.id,
                actor=self.user,
                amount_seen=amount,
                accept_less=request.form.get("accept_less") == "1",
            )
            is_final = decided.decision is not None
        said = _("Approved.") if is_final else _("Approved by you: somebody else has to confirm.")
        return self._decided(said, receipt_id, after)

    @expose("/<uuid:receipt_id>/reject", methods=("POST",))
    def reject(self, receipt_id: UUID) -> AnyResponse:
        receipt = self.found(PaymentReceipt, receipt_id)
        reason = typed("reason", _("Reason"))
        after = "" if wants_json() else self._next_url(receipt)
        with transaction():
            receipts.reject_receipt(receipt.id, reason=reason, actor=self.user)
        return self._decided(_("Rejected."), receipt_id, after)

    def _decided(self, said: str, receipt_id: UUID, url: str) -> AnyResponse:
        seconds = round(receipts.UNDO_SECONDS)
        undo_url = self.get_url(".undo", receipt_id=receipt_id)
        text = ngettext(
            "%(said)s It can be taken back for %(num)s second.",
            "%(said)s It can be taken back for %(num)s seconds.",
            seconds,
            said=said,
        )
        if wants_json():
            return jsonify(said=said, undo_url=undo_url, undo_seconds=seconds)
        return done(text, url, undo_url=undo_url)

    @expose("/<uuid:receipt_id>/undo", methods=("POST",))
    def undo(self, receipt_id: UUID) -> AnyResponse:
        self.found(PaymentReceipt, receipt_id)
        with transaction():
            receipts.undo_decision(receipt_id, actor=self.user)
            claims.claim(receipt_id, actor=self.user)
        if wants_json():
            return self._shown(receipt_id)
        flash(_("Taken back: nobody was told."), "success")
        return redirect(self.get_url(".index", id=receipt_id), 303)

    def _next_url(self, receipt: PaymentReceipt) -> str:
        """Where a decision leads: the next older receipt that waits, else the head of the queue."""
        key = sa.tuple_(PaymentReceipt.created_at, PaymentReceipt.id)
        following = db.session.scalar(
            claims.waiting(self.user)
            .with_only_columns(PaymentReceipt.id)
            .where(key > (receipt.created_at, receipt.id))
            .order_by(PaymentReceipt.created_at, PaymentReceipt.id)
            .limit(1)
        )
        return self.get_url(".index", id=following)

    # Many at once

    @expose("/bulk", methods=("POST",))
    def bulk(self) -> str:
        """Approves the ticked receipts at what was expected, each by itself, and reports on each."""
        must_be_fresh()
        chosen = _ids("id")
        if not chosen:
            raise InvalidInput(field=_("Receipts"), problem=_("tick the ones to approve."))
        return self._each(chosen, self._approve_one, undone=False)

    @expose("/bulk/undo", methods=("POST",))
    def undo_bulk(self) -> str:
        """Takes back what was just approved together, as far as that is still possible."""
        return self._each(_ids("id"), self._undo_one, undone=True)

    def _each(self, chosen: list[UUID], step: Callable[[UUID], str], *, undone: bool) -> str:
        """What became of each; one that is out of reach does not exist, and then nothing is done at all."""
        found = [self.found(PaymentReceipt, key) for key in chosen]
        rows = [self._one_of_many(receipt, step) for receipt in found]
        return self.render("desk/receipts_bulk.html", rows=rows, undone=undone)

    def _one_of_many(self, receipt: PaymentReceipt, step: Callable[[UUID], str]) -> dict[str, Any]:
        """What became of one: a result, or why it was refused."""
        receipt_id, booking = receipt.id, receipt.payment.booking
        row = {
            "id": receipt_id,
            "name": person(booking.user),
            "event": booking.event.title,
            "amount": money(receipt.payment.amount, receipt.payment.currency),
            "result": "",
            "refusal": "",
        }
        try:
            row["result"] = retrying(lambda: step(receipt_id))
        except ConsoleError as error:
            db.session.rollback()
            row["refusal"] = sentence(error)
        return row

    def _approve_one(self, receipt_id: UUID) -> str:
        with transaction():
            receipt = receipts.approve_receipt(receipt_id, actor=self.user)
            is_final = receipt.decision is ReceiptDecision.APPROVED
        return _("Approved") if is_final else _("Approved by you, waits for a second person")

    def _undo_one(self, receipt_id: UUID) -> str:
        with transaction():
            receipts.undo_decision(receipt_id, actor=self.user)
        return _("Taken back")


def _ids(name: str) -> list[UUID]:
    """The ids that were posted under a name, one or several, also separated by commas; none malformed."""
    found = []
    for text in ",".join(request.form.getlist(name)).split(","):
        try:
            found.append(UUID(text))
        except ValueError:
            continue
    return list(dict.fromkeys(found))[:QUEUE_SHOWN]
