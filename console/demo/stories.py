"""What can become of a booking, step by step: each step is one row of its log, at its time."""

from dataclasses import dataclass, replace
from typing import Literal

from console.demo.rows import DAY, HOUR, MINUTE

Who = Literal["person", "staff", "finance"] | None

#: Instead of a gap in seconds: after the event's end, after its start, some time before it, in the last days,
#: with its cancellation.
ENDED, STARTED, LEFT, LEFT_LATELY, CALLED_OFF = (-1, 0), (-2, 0), (-3, 0), (-4, 0), (-5, 0)
#: What a step does to the hold: leaves it, ends it, or sets it to as many seconds from then.
KEEP, NONE, WINDOW, REVIEW_WINDOW = -1, 0, 30 * MINUTE, DAY


@dataclass(frozen=True)
class Step:
    """A change: the new states (None: as before), who made it (None: the system), how many seconds after the last."""

    action: str
    status: str | None
    payment: str | None
    who: Who
    after: tuple[int, int]
    hold: int = KEEP
    notice: str | None = None
    #: "submitted", "APPROVED" or "REJECTED": what happens to a proof of payment.
    proof: str | None = None
    #: The log's JSON up to the value of `expires_at`; set by Story.
    json: str = ""


class Story:
    """A booking's whole life and how it stands now; `payment` is the state of its payment, None without one."""

    def __init__(self, *steps: Step, method: str | None = None, payment: str | None = None) -> None:
        self.method, self.payment = method, payment
        status = paid = ""
        told = []
        for step in steps:
            status, paid = step.status or status, step.payment or paid
            json = f'{{"status": "{status}", "payment_status": "{paid}", "expires_at": '
            told.append(replace(step, status=status, payment=paid, json=json))
        self.steps = tuple(told)
        self.status, self.payment_status = status, paid


AT_ONCE = (MINUTE, 14 * MINUTE)
SOON = (2 * MINUTE, 25 * MINUTE)
REVIEWED = (8 * MINUTE, 20 * HOUR)
LATE = (3 * MINUTE, 50 * MINUTE)
LAPSES = (30 * MINUTE + 4, 30 * MINUTE + 18)
REFUND = (2 * HOUR, 2 * DAY)

CREATE = Step("create", "PENDING", "PENDING", "person", (0, 0), WINDOW)
CREATE_BY_STAFF = Step("create", "PENDING", "PENDING", "staff", (0, 0), WINDOW)
CREATE_FREE = Step("create", "CONFIRMED", "NOT_REQUIRED", "person", (0, 0), notice="BOOKING_CONFIRMED")
SUBMIT = Step("submit_proof", None, "SUBMITTED", "person", SOON, REVIEW_WINDOW, proof="submitted")
REJECT = Step("reject_receipt", None, "REJECTED", "finance", REVIEWED, WINDOW, "PAYMENT_STATUS", "REJECTED")
APPROVE = Step(
    "approve_receipt", "CONFIRMED", "SUCCEEDED", "finance", REVIEWED, NONE, "BOOKING_CONFIRMED", "APPROVED"
)
PAY = Step("payment_succeeded", "CONFIRMED", "SUCCEEDED", None, AT_ONCE, NONE, "BOOKING_CONFIRMED")
PAY_CASH = Step(
    "register_cash", "CONFIRMED", "SUCCEEDED", "staff", (20, 5 * MINUTE), NONE, "BOOKING_CONFIRMED"
)
PAY_LATE = Step("payment_succeeded", "CONFIRMED", "SUCCEEDED", None, LATE, NONE, "BOOKING_CONFIRMED")
PAY_NO_SEAT = Step("payment_succeeded", None, "SUCCEEDED", None, LATE, notice="PAYMENT_STATUS")
EXPIRE = Step("expire", "EXPIRED", None, None, LAPSES, notice="BOOKING_EXPIRED")
EXTEND = Step("extend_hold", None, None, "staff", AT_ONCE, DAY)
COMPLETE = Step("complete", "COMPLETED", None, None, ENDED)
MISS = Step("no_show", "NO_SHOW", None, "staff", STARTED)
LEAVE = Step("cancel", "CANCELLED", None, "person", LEFT, notice="BOOKING_CANCELLED")
LEAVE_UNPAID = Step("cancel", "CANCELLED", "CANCELED", "person", SOON, notice="BOOKING_CANCELLED")
CALL_OFF = Step("cancel", "CANCELLED", None, "staff", CALLED_OFF, notice="BOOKING_CANCELLED")
GIVE_BACK = Step("refund", None, "REFUNDED", "finance", REFUND, notice="PAYMENT_STATUS")

#: How a paid booking came to be confirmed: its method, the share of such bookings in percent, the steps.
WAYS: dict[str, tuple[str | None, int, tuple[Step, ...]]] = {
    "card": ("WIDGET", 68, (CREATE, PAY)),
    "cash": ("CASH", 9, (CREATE_BY_STAFF, PAY_CASH)),
    "late": ("WIDGET", 2, (CREATE, EXPIRE, PAY_LATE)),
    "transfer": ("QR_MANUAL", 18, (CREATE, SUBMIT, APPROVE)),
    "second_try": ("QR_MANUAL", 3, (CREATE, SUBMIT, REJECT, SUBMIT, APPROVE)),
}
QUICK_WAYS = ("card", "cash", "late")


def _endings(way: str) -> dict[str, Story]:
    """What becomes of a booking that was confirmed this way."""
    if way == "free":
        confirmed: tuple[Step, ...] = (CREATE_FREE,)
        method = paid = given_back = None
        refund: tuple[Step, ...] = ()
    else:
        method, _, confirmed = WAYS[way]
        paid, given_back, refund = "SUCCEEDED", "REFUNDED", (GIVE_BACK,)
    return {
        "stays": Story(*confirmed, method=method, payment=paid),
        "completed": Story(*confirmed, COMPLETE, method=method, payment=paid),
        "no_show": Story(*confirmed, MISS, method=method, payment=paid),
        "refunded": Story(*confirmed, LEAVE, *refund, method=method, payment=given_back),
        "owed": Story(*confirmed, replace(LEAVE, after=LEFT_LATELY), method=method, payment=paid),
        "called_off": Story(*confirmed, CALL_OFF, *refund, method=method, payment=given_back),
        "called_off_owed": Story(*confirmed, CALL_OFF, method=method, payment=paid),
    }


ENDINGS = {way: _endings(way) for way in (*WAYS, "free")}

HELD = Story(CREATE)
HELD_CARD = Story(CREATE, method="WIDGET", payment="PENDING")
HELD_LONGER = Story(CREATE_BY_STAFF, EXTEND)
#: Live ones come with fixed gaps, so that their ages can be chosen.
SENT_AFTER, REFUSED_AFTER = 6 * MINUTE, 20 * MINUTE
SUBMIT_NOW = replace(SUBMIT, after=(SENT_AFTER, SENT_AFTER))
REJECT_NOW = replace(REJECT, after=(REFUSED_AFTER, REFUSED_AFTER))
HOLD_ON = Step("hold_for_review", None, None, None, (DAY + 9, DAY + 9), REVIEW_WINDOW)
IN_REVIEW = Story(CREATE, SUBMIT_NOW, method="QR_MANUAL", payment="SUBMITTED")
IN_LONG_REVIEW = Story(CREATE, SUBMIT_NOW, HOLD_ON, method="QR_MANUAL", payment="SUBMITTED")
REFUSED = Story(CREATE, SUBMIT_NOW, REJECT_NOW, method="QR_MANUAL", payment="REJECTED")
LAPSED = Story(CREATE, EXPIRE)
LAPSED_CARD = Story(CREATE, EXPIRE, method="WIDGET", payment="PENDING")
DECLINED = Story(
    CREATE,
    Step("payment_canceled", None, "CANCELED", None, (10 * MINUTE, 10 * MINUTE)),
    replace(EXPIRE, after=(20 * MINUTE + 4, 20 * MINUTE + 18)),
    method="WIDGET",
    payment="CANCELED",
)
UNPAID = Story(CREATE, LEAVE_UNPAID)
NO_SEAT = Story(CREATE, EXPIRE, PAY_NO_SEAT, method="WIDGET", payment="SUCCEEDED")
