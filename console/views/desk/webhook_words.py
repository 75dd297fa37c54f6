"""Why an acquirer's event did what it did, or nothing: a sentence for each effect, and what to do."""

from typing import Any

from flask_babel import lazy_gettext as _l

from console.services import webhook_intake, webhook_leases, webhook_rules, webhooks

WHY: dict[str, Any] = {
    webhook_rules.NOTHING_FOLLOWS: _l(
        "It tells of a step on the way, such as a payment that was begun or an attempt that failed. No money"
        " moved, so nothing changes here."
    ),
    webhook_rules.ALREADY_SO: _l(
        "Our payment said so already: another notification, or staff, was first. Money counts once."
    ),
    webhook_rules.NOT_OPEN: _l(
        "The acquirer cancels a payment that was made or closed here. What was received stays received."
    ),
    webhook_rules.UNKNOWN_PAYMENT: _l(
        "Neither the acquirer's number nor ours belongs to a payment here. It is looked for again for over an"
        " hour, because the booking may be written a little later."
    ),
    webhook_rules.FOREIGN_PAYMENT: _l(
        "The payment it names is a transfer, cash, or one of another acquirer. Nothing was changed: somebody"
        " should ask the acquirer what this is."
    ),
    webhook_rules.OTHER_NUMBER: _l(
        "The payer went through the acquirer again for the same payment of ours, which stands there under"
        " another number already. Nothing was changed: if money came twice, give one back there."
    ),
    webhook_rules.OTHER_BOOKING: _l(
        "The payment is ours, but of another booking than the one that is named. Nothing was changed."
    ),
    webhook_rules.OTHER_AMOUNT: _l(
        "It names another amount than we asked for. Nothing was changed: compare both with the acquirer,"
        " then settle the booking by hand."
    ),
    webhook_rules.OTHER_CURRENCY: _l(
        "The money is in another currency than our payment, or in none. Nothing was changed."
    ),
    webhook_rules.PARTIAL_REFUND: _l(
        "Only a part was given back. The payment stays as received: note the part on the booking by hand."
    ),
    webhook_rules.PAID_AFTER_CANCEL: _l(
        "The payment had been closed here before the money came. The acquirer has it: give it back there, or"
        " register it on a booking."
    ),
    webhook_rules.NOT_CONFIRMED: _l(
        "The provider does not sign what it sends, so it is asked. It does not know the payment, or says"
        " something else of it: this may have been made up."
    ),
    webhook_rules.API_AWAY: _l(
        "The provider does not sign what it sends, so it is asked, and did not answer. It is asked again for"
        " over an hour."
    ),
    webhook_rules.WAITS_FOR_PAYMENT: _l(
        "The refund came before the payment itself. It is tried again for over an hour; if the payment comes"
        " later still, replay it."
    ),
    webhook_intake.OTHER_CONTENT: _l(
        "An event has one key. This key came before with other facts, and the first one counts; this one is"
        " kept to be looked at and has no effect ever."
    ),
    webhook_intake.OTHER_WORDS: _l(
        "This key came before and said the same of the money. It is kept because it is not the same word for"
        " word, and has no effect ever."
    ),
    webhooks.BROKEN: _l(
        "It failed three times for a reason of ours; the log has it. Replay it when that is repaired."
    ),
    webhook_leases.WORKER_LOST: _l(
        "The process that applied it ended three times. It was set aside so that others are not held up:"
        " have it looked at, then replay it."
    ),
}
