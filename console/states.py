"""Every enum of the domain: its values, what people read, its colour, and the moves it allows. Pure Python.

The CHECK constraints of the database come from these enums. A member is its value, its label (English,
translated where it is shown, with the enum's name as context) and its colour: grey draft or waiting, blue in
progress, green held or paid, amber needs a look, red lost or late, violet by staff.
"""

from enum import StrEnum
from typing import Any, Self

from console.errors import TransitionRefused


class State(StrEnum):
    """A value with a label and a colour."""

    label: str
    color: str

    def __new__(cls, value: str, label: str, color: str = "grey") -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.label = label
        member.color = color
        return member


class UserRole(State):
    GUEST = "GUEST", "Guest"
    USER = "USER", "Participant"
    ORGANIZER = "ORGANIZER", "Organizer", "blue"
    FINANCE = "FINANCE", "Finance", "green"
    ADMIN = "ADMIN", "Administrator", "violet"


class EventStatus(State):
    DRAFT = "DRAFT", "Draft"
    PUBLISHED = "PUBLISHED", "Published", "green"
    COMPLETED = "COMPLETED", "Completed"
    CANCELLED = "CANCELLED", "Cancelled", "red"


class BookingStatus(State):
    PENDING = "PENDING", "Pending", "blue"
    CONFIRMED = "CONFIRMED", "Confirmed", "green"
    EXPIRED = "EXPIRED", "Expired", "red"
    CANCELLED = "CANCELLED", "Cancelled", "red"
    COMPLETED = "COMPLETED", "Attended"
    NO_SHOW = "NO_SHOW", "No-show", "amber"


class PaymentStatus(State):
    PENDING = "PENDING", "Awaiting payment", "blue"
    SUBMITTED = "SUBMITTED", "In review", "amber"
    SUCCEEDED = "SUCCEEDED", "Paid", "green"
    REJECTED = "REJECTED", "Proof rejected", "red"
    CANCELED = "CANCELED", "Cancelled"
    REFUNDED = "REFUNDED", "Refunded", "violet"


class BookingPaymentStatus(State):
    """`bookings.payment_status`: the payment's state, or NOT_REQUIRED for a free event."""

    NOT_REQUIRED = "NOT_REQUIRED", "Free of charge"
    PENDING = "PENDING", "Awaiting payment", "blue"
    SUBMITTED = "SUBMITTED", "In review", "amber"
    SUCCEEDED = "SUCCEEDED", "Paid", "green"
    REJECTED = "REJECTED", "Proof rejected", "red"
    CANCELED = "CANCELED", "Cancelled"
    REFUNDED = "REFUNDED", "Refunded", "violet"


class PaymentMethod(State):
    WIDGET = "WIDGET", "Card online"
    QR_MANUAL = "QR_MANUAL", "Transfer with proof"
    CASH = "CASH", "Cash", "violet"


class WebhookStatus(State):
    PENDING = "PENDING", "To be applied", "blue"
    PROCESSED = "PROCESSED", "Applied", "green"
    FAILED = "FAILED", "Failed", "red"
    IGNORED = "IGNORED", "Ignored"


class RefundMethod(State):
    TRANSFER = "TRANSFER", "Bank transfer"
    CASH = "CASH", "Cash"
    ACQUIRER = "ACQUIRER", "Through the acquirer"


class CrewType(State):
    CREW = "CREW", "Boat", "blue"
    TENT = "TENT", "Tent", "green"
    TABLE = "TABLE", "Table", "amber"
    BUS = "BUS", "Bus", "violet"


class StepState(State):
    """A step on the seating board: done, taken back, or too old for either."""

    DONE = "DONE", "Done"
    UNDONE = "UNDONE", "Undone"
    DROPPED = "DROPPED", "Past"


class SeatingMode(State):
    """What the auto-seat may touch."""

    FILL = "FILL", "Fill empty places only"
    IMPROVE = "IMPROVE", "Improve with few moves"
    AFRESH = "AFRESH", "Start afresh"


class NotificationCategory(State):
    BOOKING_CONFIRMED = "BOOKING_CONFIRMED", "Booking confirmed", "green"
    BOOKING_EXPIRED = "BOOKING_EXPIRED", "Booking expired", "red"
    BOOKING_CANCELLED = "BOOKING_CANCELLED", "Booking cancelled", "red"
    PAYMENT_STATUS = "PAYMENT_STATUS", "Payment", "amber"
    EVENT_REMINDER = "EVENT_REMINDER", "Reminder", "blue"
    WAITLIST_AVAILABLE = "WAITLIST_AVAILABLE", "Seat offer", "blue"
    EVENT_NEWS = "EVENT_NEWS", "Event news"


class Channel(State):
    TELEGRAM = "TELEGRAM", "Telegram"
    EMAIL = "EMAIL", "E-mail"


class OutboxStatus(State):
    PENDING = "PENDING", "Waiting", "blue"
    SENDING = "SENDING", "Sending", "blue"
    SENT = "SENT", "Sent", "green"
    FAILED = "FAILED", "Not delivered", "red"
    SKIPPED = "SKIPPED", "Skipped"


class TaskState(State):
    """Long work that a person started and a worker does."""

    #: Prepared, and shown to its person, who has not yet said yes.
    DRAFT = "DRAFT", "Prepared"
    QUEUED = "QUEUED", "Waiting"
    RUNNING = "RUNNING", "Running", "blue"
    DONE = "DONE", "Done", "green"
    CANCELLED = "CANCELLED", "Cancelled"
    FAILED = "FAILED", "Failed", "red"


class ImportOutcome(State):
    """What a row of an imported file does."""

    CREATE = "CREATE", "New", "green"
    CHANGE = "CHANGE", "Changed", "blue"
    SAME = "SAME", "As it is"
    REFUSE = "REFUSE", "Refused", "red"


class FileOwner(State):
    USER = "USER", "Person"
    ORGANIZER = "ORGANIZER", "Organizer"
    EVENT = "EVENT", "Event"
    TEAM_MEMBER = "TEAM_MEMBER", "Team member"
    PAYMENT_RECEIPT = "PAYMENT_RECEIPT", "Receipt"


class ReceiptDecision(State):
    APPROVED = "APPROVED", "Approved", "green"
    REJECTED = "REJECTED", "Rejected", "red"


#: Roles that may sign in to the console.
STAFF_ROLES = (UserRole.ADMIN, UserRole.ORGANIZER, UserRole.FINANCE)
#: At most one such booking a person and event; only these can be seated.
ACTIVE_BOOKING = (BookingStatus.PENDING, BookingStatus.CONFIRMED)
#: A booking in one of these holds a seat.
HOLDS_SEAT = (*ACTIVE_BOOKING, BookingStatus.COMPLETED, BookingStatus.NO_SHOW)
#: Sent whatever the person's preferences say.
MANDATORY = (
    NotificationCategory.BOOKING_CONFIRMED,
    NotificationCategory.BOOKING_EXPIRED,
    NotificationCategory.BOOKING_CANCELLED,
    NotificationCategory.PAYMENT_STATUS,
    NotificationCategory.EVENT_REMINDER,
)

#: From a state to the states it may become. A state that is not here is final.
MOVES: dict[type[State], dict[State, tuple[State, ...]]] = {
    EventStatus: {
        EventStatus.DRAFT: (EventStatus.PUBLISHED, EventStatus.CANCELLED),
        EventStatus.PUBLISHED: (EventStatus.COMPLETED, EventStatus.CANCELLED),
    },
    BookingStatus: {
        BookingStatus.PENDING: (
            BookingStatus.CONFIRMED,
            BookingStatus.EXPIRED,
            BookingStatus.CANCELLED,
        ),
        BookingStatus.CONFIRMED: (
            BookingStatus.COMPLETED,
            BookingStatus.CANCELLED,
            BookingStatus.NO_SHOW,
        ),
        # A late payment re-takes a free seat.
        BookingStatus.EXPIRED: (BookingStatus.CONFIRMED,),
    },
    PaymentStatus: {
        PaymentStatus.PENDING: (
            PaymentStatus.SUBMITTED,
            PaymentStatus.SUCCEEDED,
            PaymentStatus.CANCELED,
        ),
        PaymentStatus.SUBMITTED: (PaymentStatus.SUCCEEDED, PaymentStatus.REJECTED),
        PaymentStatus.REJECTED: (PaymentStatus.SUBMITTED,),
        PaymentStatus.SUCCEEDED: (PaymentStatus.REFUNDED,),
    },
    StepState: {
        StepState.DONE: (StepState.UNDONE, StepState.DROPPED),
        StepState.UNDONE: (StepState.DONE, StepState.DROPPED),
    },
    OutboxStatus: {
        OutboxStatus.PENDING: (OutboxStatus.SENDING, OutboxStatus.SKIPPED),
        OutboxStatus.SENDING: (
            OutboxStatus.SENT,
            OutboxStatus.PENDING,
            OutboxStatus.FAILED,
            OutboxStatus.SKIPPED,
        ),
        # Staff send again what failed or was skipped.
        OutboxStatus.FAILED: (OutboxStatus.PENDING,),
        OutboxStatus.SKIPPED: (OutboxStatus.PENDING,),
    },
    WebhookStatus: {
        WebhookStatus.PENDING: (
            WebhookStatus.PROCESSED,
            WebhookStatus.FAILED,
            WebhookStatus.IGNORED,
        ),
        # Staff replay.
        WebhookStatus.FAILED: (WebhookStatus.PENDING,),
        WebhookStatus.IGNORED: (WebhookStatus.PENDING,),
    },
}


#: What an undo puts back, within seconds and before anybody is told. Nothing else moves like this.
TAKEN_BACK: dict[type[State], dict[State, tuple[State, ...]]] = {
    BookingStatus: {
        BookingStatus.CONFIRMED: (BookingStatus.PENDING, BookingStatus.EXPIRED),
        # Confirmed after its event was over, and completed with the same step.
        BookingStatus.COMPLETED: (BookingStatus.PENDING,),
    },
    PaymentStatus: {
        PaymentStatus.SUCCEEDED: (PaymentStatus.SUBMITTED,),
        PaymentStatus.REJECTED: (PaymentStatus.SUBMITTED,),
    },
}


def may_move(current: State, to: State) -> bool:
    return to in MOVES[type(to)].get(current, ())


def move(row: Any, to: State, *, attribute: str = "status") -> State:
    """Sets `row.status` to `to` and returns what it was; TransitionRefused names both states."""
    current: State = getattr(row, attribute)
    if not may_move(current, to):
        raise TransitionRefused(current=current, wanted=to)
    setattr(row, attribute, to)
    return current


def take_back(row: Any, to: State, *, attribute: str = "status") -> State:
    """Undoes a move: sets `row.status` to what it was before; TransitionRefused names both states."""
    current: State = getattr(row, attribute)
    if current is not to and to not in TAKEN_BACK[type(to)].get(current, ()):
        raise TransitionRefused(current=current, wanted=to)
    setattr(row, attribute, to)
    return current
