"""What can be refused. The docstring of each class is the sentence a person reads, in English, translated
where it is shown; `{names}` in it are filled from the keyword arguments."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID


def N_(text: str) -> str:  # noqa: N802 - the name the catalogue's extractor looks for
    """`text` itself, marked for the catalogue: services raise it, views translate it."""
    return text


class ConsoleError(Exception):
    """This could not be done."""

    status_code = 409

    def __init__(self, **facts: Any) -> None:
        self.facts = facts
        super().__init__(self.message())

    @classmethod
    def sentence(cls) -> str:
        """The sentence before its facts are filled in: the key of its translation."""
        return " ".join((cls.__doc__ or "").split())

    def message(self, sentence: str | None = None, facts: dict[str, Any] | None = None) -> str:
        given = self.facts if facts is None else facts
        said = {name: ", ".join(fact) if isinstance(fact, list) else fact for name, fact in given.items()}
        return (sentence or self.sentence()).format(**said)


class NotFound(ConsoleError):
    """There is no such record. It may have been removed."""

    status_code = 404


class NotAllowed(ConsoleError):
    """Your role does not allow this."""

    status_code = 403


class TransitionRefused(ConsoleError):
    """“{current}” cannot become “{wanted}”."""


class InvalidInput(ConsoleError):
    """{field}: {problem}"""

    status_code = 422


class BrokenTemplate(InvalidInput):
    """Line {line}: {problem} {what}"""


class RowChanged(ConsoleError):
    """Somebody changed this record since you opened it. Look at the fresh values and decide again."""


class EventFull(ConsoleError):
    """No seat is free on this event."""


class LineFirst(EventFull):
    """The free seats of this event go to those who wait for them."""


class EventNotOpen(ConsoleError):
    """The event is not open for bookings: it is {status}."""


class EventOver(ConsoleError):
    """The event has already begun."""


class AlreadyBooked(ConsoleError):
    """This person already has an active booking for this event."""


class AlreadyWaiting(ConsoleError):
    """This person is already on the waitlist of this event."""


class AlreadyOffered(ConsoleError):
    """A seat is already offered to this person, and the offer is open."""


class AlreadyPaid(ConsoleError):
    """This booking is already paid, or nothing is to be paid for it."""


class NoOffer(ConsoleError):
    """There is no live offer for this person: it was taken, declined, or it lapsed."""


class WaitsNoMore(ConsoleError):
    """This person is not on the waitlist any more. {what}: {who}."""


class CapacityHeld(ConsoleError):
    """Capacity cannot go below {held}: that many seats are held."""


class HoldOver(ConsoleError):
    """The hold of this booking is over."""


class AlreadyDecided(ConsoleError):
    """This receipt was already decided: {decision} by {who}, {at}."""


class OwnBooking(ConsoleError):
    """Nobody decides on a payment for their own booking."""


class SecondPersonNeeded(ConsoleError):
    """You approved this already; above this amount somebody else has to confirm."""


class WaitsForSecond(ConsoleError):
    """{who} has noted this money already: it counts as soon as a second person confirms it."""


class BeingReviewed(ConsoleError):
    """{who} is looking at this receipt right now."""


class UndoOver(ConsoleError):
    """It is too late to take this back: the payer is being told."""


class MovedOn(ConsoleError):
    """This cannot be taken back any more: the booking has changed since."""


class NotYourDecision(ConsoleError):
    """Only {who}, who decided, can take this back."""


class NothingToSettle(ConsoleError):
    """There is nothing to settle here any more: somebody else has done it."""


class RefundAtAcquirer(ConsoleError):
    """This money came through an acquirer, who has to give it back in part: start the refund there."""


class CrewFull(ConsoleError):
    """{crew} is full: all its seats, {capacity}, are taken."""


class SeatTaken(ConsoleError):
    """Seat {seat} of {crew} is taken."""


class SeatMissing(ConsoleError):
    """{crew} has no seat {seat}: seats are 1 to {capacity}."""


class AlreadySeated(ConsoleError):
    """This person already has a place of this type on this event."""


class BookingNotActive(ConsoleError):
    """Only a person with an active booking can have a place."""


class WrongEvent(ConsoleError):
    """The booking and the crew belong to different events."""


class SeatingChanged(ConsoleError):
    """The seating has changed since you looked. Nothing was moved."""

    def __init__(self, bookings: Iterable[UUID] = (), crews: Iterable[UUID] = ()) -> None:
        #: Whose places, and which crews, are others than were seen.
        self.bookings = list(bookings)
        self.crews = list(crews)
        super().__init__()


class PlaceLocked(ConsoleError):
    """Somebody among them is locked in place. Unlock them first."""


class CrewLocked(ConsoleError):
    """{crew} is locked: nobody enters or leaves it. Unlock it first."""


class CrewOccupied(ConsoleError):
    """People sit in {crew}. Take them out first."""


class NothingToUndo(ConsoleError):
    """There is nothing of yours to take back here."""


class NothingToRedo(ConsoleError):
    """There is nothing of yours to do again here."""


class FileRefused(ConsoleError):
    """The file was refused: {problem}"""

    status_code = 422


class FileTooLarge(FileRefused):
    """The file was refused: it is larger than {max_mb} MB."""


class StillUsed(ConsoleError):
    """Other records depend on this one: {tables}. Remove those first, or deactivate it instead."""


class GoneForGood(ConsoleError):
    """What belonged to it is lost: {tables}. So it cannot be put back."""


class DuplicateValue(ConsoleError):
    """There is already a record with the same {fields}."""


class ValueRefused(ConsoleError):
    """The database refuses this value: {rule}."""

    status_code = 422


class OwnAccount(ConsoleError):
    """Nobody changes their own role or access. Ask another administrator."""


class LastAdministrator(ConsoleError):
    """At least one active administrator must remain."""


class SignInRefused(ConsoleError):
    """The username or the password is wrong."""

    status_code = 401


class CodeRefused(ConsoleError):
    """This code is wrong, or it was used already. Wait for the next one."""

    status_code = 422


class NoSecondFactor(ConsoleError):
    """{who} has no second factor."""


class SecondFactorNeeded(ConsoleError):
    """Your role must have a second factor. Set up another phone instead."""


class TooManyAttempts(ConsoleError):
    """Too many attempts. Try again in {minutes} min."""

    status_code = 429


class WebhookRefused(ConsoleError):
    """The webhook is not authentic: {problem}"""

    status_code = 401


class ImportChanged(ConsoleError):
    """Since you looked at it, something else would come of these lines: {lines}. Nothing was imported."""


class ImportRefused(ConsoleError):
    """Some lines are refused: put them right in the file first. Nothing was imported."""


class ImportMovedOn(ConsoleError):
    """Since then these lines were changed, or something depends on them: {lines}. Nothing was taken back."""


class PlacesMovedOn(ConsoleError):
    """People of lines {lines}, or those passed, have moved, left or got an offer. Nothing was taken back."""


class MatchesNoMore(ConsoleError):
    """It has changed since you asked, and does not match any more."""


class RightsChanged(ConsoleError):
    """Your rights have changed since this file was written. Export it again."""

    status_code = 403


class BadAddress(ConsoleError):
    """This address cannot be read: {part} is not understood. Open the list again."""

    status_code = 400


class CannotComeBack(ConsoleError):
    """This value cannot come back: {problem}"""

    status_code = 422


class Busy(ConsoleError):
    """Others are changing the same records right now. Nothing was changed; try again."""

    status_code = 503
