"""Schema `notification`."""

from flask_babel import lazy_gettext as _l

from console.models import NotificationPref, OutboxMessage, TelegramSubscription
from console.services import outbox
from console.views.bulk import BulkAction
from console.views.table import TableView


class OutboxView(TableView):
    model = OutboxMessage
    menu_icon = "send"
    desk = ("desk_notices", lambda row: f"/desk/notices?id={row.id}")
    list_columns = (
        "user_id",
        "status",
        "category",
        "event_id",
        "channel",
        "attempts",
        "reason",
        "sent_at",
        "created_at",
    )
    search_by = ("user_id",)
    zone_by = "event_id"
    about = _l("Notices to people, with what became of each.")
    groups = (
        (_l("Notice"), ("user_id", "category", "event_id", "booking_id", "payload")),
        (_l("Delivery"), ("status", "channel", "attempts", "reason", "sent_at", "next_attempt_at")),
    )
    bulk_actions = (
        BulkAction(
            "resend",
            _l("Send again"),
            lambda row, actor: outbox.resend(row.id, actor=actor),
            work="notices",
            icon="refresh",
        ),
    )


class NotificationPrefView(TableView):
    model = NotificationPref
    menu_icon = "bell"
    list_columns = ("user_id", "category", "channel", "enabled", "updated_at")
    search_by = ("user_id",)
    create_columns = ("user_id", ("category", "channel"), "enabled")
    edit_columns = ("enabled",)
    about = _l("Which optional notices people want, and where. Without a choice, all are sent.")


class TelegramSubscriptionView(TableView):
    model = TelegramSubscription
    menu_icon = "brand-telegram"
    list_columns = ("user_id", "telegram_username", "telegram_chat_id", "verified_at", "blocked_at")
    search_by = ("user_id", "telegram_username")
    create_columns = ("user_id", "telegram_username", "telegram_chat_id")
    edit_columns = ("telegram_username", "telegram_chat_id")
    guarded = ("export",)
    about = _l("The chats in which the bot reaches people.")


VIEWS = (OutboxView, NotificationPrefView, TelegramSubscriptionView)
