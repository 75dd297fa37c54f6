"""What a step would do, in words: the sentences beside its button."""

from flask_babel import gettext as _
from flask_babel import ngettext

from console.services.previews import Preview
from console.views.formats import localtime, money, person, sentence


def in_words(preview: Preview, *, name: str, zone: str | None) -> list[str]:
    """The consequences for one person's booking; times are those of `zone`. A refusal stands alone."""
    if preview.refusal is not None:
        return [sentence(preview.refusal)]
    return [
        *_seats(preview),
        *_places(preview),
        *_money(preview, zone),
        *_in_review(preview),
        *([_("The event has not begun yet.")] if preview.is_early else []),
        *([_("%(name)s is told.", name=name)] if preview.people_told else []),
    ]


def of_cancelled_event(preview: Preview) -> list[str]:
    """The consequences for everybody who booked or waits."""
    said = []
    if preview.bookings_ended:
        said.append(
            ngettext(
                "%(num)s booking is cancelled and the person is told.",
                "%(num)s bookings are cancelled and everybody is told.",
                preview.bookings_ended,
            )
        )
    if preview.waiting:
        said.append(
            ngettext(
                "The waitlist is closed; %(num)s person on it is told.",
                "The waitlist is closed; %(num)s people on it are told.",
                preview.waiting,
            )
        )
    if preview.refunds:
        said.append(
            ngettext(
                "%(num)s of them is paid: %(sum)s are to be refunded.",
                "%(num)s of them are paid: %(sum)s are to be refunded.",
                preview.refunds,
                sum=money(preview.refund),
            )
        )
    said += _in_review(preview)
    return [*said, *_places(preview)] or [_("Nobody has booked, so nobody is told.")]


def of_capacity(preview: Preview) -> list[str]:
    """What becomes of one seat more."""
    return [_("New seats go to the waitlist first."), *_line(preview)]


def of_new_capacity(preview: Preview) -> list[str]:
    """What becomes of as many seats more or fewer as staff type. A refusal stands alone."""
    if preview.refusal is not None:
        return [sentence(preview.refusal)]
    if not preview.seats_added:
        return [_("Nothing changes.")]
    if preview.seats_added < 0:
        fewer = -preview.seats_added
        return [ngettext("%(num)s free seat fewer.", "%(num)s free seats fewer.", fewer)]
    more = ngettext("%(num)s seat more.", "%(num)s seats more.", preview.seats_added)
    if preview.offers < 2:
        return [more, *_line(preview)]
    offers = ngettext(
        "%(num)s person in line is offered a seat at once.",
        "%(num)s people in line are offered a seat each at once.",
        preview.offers,
    )
    return [more, offers, *_line(preview)]


def of_publishing(preview: Preview) -> list[str]:
    """What opens with the event."""
    seats = ngettext(
        "Published, %(num)s seat can be booked.",
        "Published, %(num)s seats can be booked.",
        preview.seats_added,
    )
    return [seats, _("It does not become a draft again.")]


def _seats(preview: Preview) -> list[str]:
    said = []
    if preview.passes_the_line:
        said.append(_("A free seat is taken that would be offered to those who wait."))
    elif preview.seats_taken:
        said.append(_("A free seat is taken."))
    if preview.seats_added:
        said.append(_("The event is full: it gets one seat more."))
    if preview.seats_freed:
        moves = preview.seats_taken or preview.seats_added
        said.append(_("The old seat is free at once.") if moves else _("The seat is free at once."))
        said += _line(preview)
    return said


def _line(preview: Preview) -> list[str]:
    """Who gets the next seat, or why nobody does."""
    if preview.next_in_line is not None:
        return [_("Next in line: %(name)s.", name=person(preview.next_in_line))]
    if not preview.waiting:
        return [_("Nobody waits for it.")]
    return [
        ngettext(
            "%(num)s person waits, but nobody is offered it automatically.",
            "%(num)s people wait, but nobody is offered it automatically.",
            preview.waiting,
        )
    ]


def _places(preview: Preview) -> list[str]:
    if not preview.places_lost:
        return []
    return [
        ngettext(
            "%(num)s place in a crew is freed.", "%(num)s places in crews are freed.", preview.places_lost
        )
    ]


def _in_review(preview: Preview) -> list[str]:
    if not preview.in_review:
        return []
    return [
        ngettext(
            "%(num)s proof stays in the review: if it is approved, its money is to be refunded.",
            "%(num)s proofs stay in the review: if they are approved, their money is to be refunded.",
            preview.in_review,
        )
    ]


def _money(preview: Preview, zone: str | None) -> list[str]:
    said = []
    if preview.refund:
        said.append(_("%(sum)s stay paid until they are refunded.", sum=money(preview.refund)))
    if preview.carried:
        said.append(_("The payment of %(sum)s goes along.", sum=money(preview.carried)))
    if preview.due and preview.held_until:
        until = localtime(preview.held_until, zone)
        said.append(
            _(
                "The seat is held until %(until)s for the payment of %(sum)s.",
                until=until,
                sum=money(preview.due),
            )
        )
    elif preview.due:
        said.append(_("%(sum)s are still to be paid.", sum=money(preview.due)))
    return said
