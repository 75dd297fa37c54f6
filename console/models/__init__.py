"""The 23 tables of the domain, one module a schema, and the few the console adds."""

from console.models import bot, crew, event, media, notice, notification, ops, payment, proof, seating, user
from console.models.bot import BotCall, BotPace, BotUpdate, ChatPace, TelegramLink
from console.models.crew import Crew, CrewAssignment, TeamPreference
from console.models.event import (
    Booking,
    BookingLog,
    Event,
    FaqItem,
    Favorite,
    Organizer,
    TeamMember,
    WaitlistEntry,
)
from console.models.media import File
from console.models.notice import Broadcast, NoticeTemplate, SentText
from console.models.notification import NotificationPref, OutboxMessage, TelegramSubscription
from console.models.ops import (
    Followed,
    Heartbeat,
    ImportRow,
    JobState,
    ListChoice,
    RemindedEvent,
    SecondFactor,
    Task,
    TaskRow,
    WebhookEffect,
)
from console.models.payment import Payment, PaymentReceipt, WebhookEvent
from console.models.proof import ProofFinding, ProofMark, ProofPicture
from console.models.seating import SeatingProposal, SeatingRemoval, SeatingStep
from console.models.user import (
    AuditLog,
    OrganizerStaff,
    Profile,
    RecoveryCode,
    RefreshSession,
    User,
)

__all__ = [
    "AuditLog",
    "Booking",
    "BookingLog",
    "BotCall",
    "BotPace",
    "BotUpdate",
    "Broadcast",
    "ChatPace",
    "Crew",
    "CrewAssignment",
    "Event",
    "FaqItem",
    "Favorite",
    "File",
    "Followed",
    "Heartbeat",
    "ImportRow",
    "JobState",
    "ListChoice",
    "NoticeTemplate",
    "NotificationPref",
    "Organizer",
    "OrganizerStaff",
    "OutboxMessage",
    "Payment",
    "PaymentReceipt",
    "Profile",
    "ProofFinding",
    "ProofMark",
    "ProofPicture",
    "RecoveryCode",
    "RefreshSession",
    "RemindedEvent",
    "SeatingProposal",
    "SeatingRemoval",
    "SeatingStep",
    "SecondFactor",
    "SentText",
    "Task",
    "TaskRow",
    "TeamMember",
    "TeamPreference",
    "TelegramLink",
    "TelegramSubscription",
    "User",
    "WaitlistEntry",
    "WebhookEffect",
    "WebhookEvent",
    "bot",
    "crew",
    "event",
    "media",
    "notice",
    "notification",
    "ops",
    "payment",
    "proof",
    "seating",
    "user",
]
