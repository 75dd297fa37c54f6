"""The desks: pages named by work, one file each."""

from flask import Flask
from flask_admin import Admin

from console.views.desk import live
from console.views.desk.auto_seat import AutoSeatView
from console.views.desk.booking import BookingView
from console.views.desk.event import EventView
from console.views.desk.jobs import JobsView
from console.views.desk.messages import MessagesView
from console.views.desk.notice_texts import NoticeTextsView
from console.views.desk.notices import NoticesView
from console.views.desk.proofs import ProofsView
from console.views.desk.receipts import ReceiptsView, SecondView, SettleView
from console.views.desk.receipts.second import second_waiting
from console.views.desk.reconciliation import ReconciliationView
from console.views.desk.seating import SeatingView
from console.views.desk.seating_paper import SeatingPaperView
from console.views.desk.tasks import TasksView
from console.views.desk.telegram import TelegramView
from console.views.desk.waitlist import WaitlistView
from console.views.desk.webhooks import WebhooksView


def init_app(admin: Admin) -> None:
    """Registers every desk but the dashboard, which is the index of the console."""
    event = "/desk/events/<uuid:event_id>"
    admin.add_view(EventView("Events", "desk_events", "/desk/events"))
    admin.add_view(BookingView("Bookings", "desk_bookings", f"{event}/bookings"))
    admin.add_view(WaitlistView("Waitlist", "desk_waitlist", f"{event}/waitlist"))
    admin.add_view(SeatingView("Seating", "desk_seating", f"{event}/seating"))
    admin.add_view(AutoSeatView("Auto-seat", "desk_auto_seat", f"{event}/seating/proposals"))
    admin.add_view(SeatingPaperView("Paper", "desk_seating_paper", f"{event}/seating/paper"))
    admin.add_view(MessagesView("Messages", "desk_messages", f"{event}/messages"))
    admin.add_view(ReceiptsView("Receipts", "desk_receipts", "/desk/receipts"))
    admin.add_view(SettleView("Money", "desk_settle", "/desk/receipts/settle"))
    admin.add_view(SecondView("Second person", "desk_second", "/desk/receipts/second"))
    admin.add_view(ProofsView("Proofs", "desk_proofs", "/desk/proofs"))
    admin.add_view(ReconciliationView("Reconciliation", "desk_reconciliation", "/desk/reconciliation"))
    admin.add_view(NoticeTextsView("Texts", "desk_notice_texts", "/desk/notices/texts"))
    admin.add_view(NoticesView("Notices", "desk_notices", "/desk/notices"))
    admin.add_view(WebhooksView("Webhooks", "desk_webhooks", "/desk/webhooks"))
    admin.add_view(JobsView("Jobs", "desk_jobs", "/desk/jobs"))
    admin.add_view(TasksView("Tasks", "desk_tasks", "/desk/tasks"))
    admin.add_view(TelegramView("Telegram", "desk_telegram", "/desk/people/<uuid:user_id>/telegram"))
    admin.add_view(live.ChangesView("Changes", "desk_changes", f"{event}/changes"))
    admin.add_view(live.DeskChangesView("Changes of a desk", "desk_desk_changes", "/desk/changes"))
    app: Flask = admin.app
    live.init_app(app)
    app.context_processor(lambda: {"second_waiting": second_waiting})
