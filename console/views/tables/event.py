"""Schema `event`."""

from typing import Any
from zoneinfo import ZoneInfo

from flask import request
from flask_babel import gettext
from flask_babel import lazy_gettext as _l

from console.db import Base
from console.models import (
    Booking,
    BookingLog,
    Event,
    FaqItem,
    Favorite,
    Organizer,
    TeamMember,
    User,
    WaitlistEntry,
)
from console.services import bookings, events, payments, records, waitlist
from console.views.bulk import BulkAction
from console.views.cells import console_zone
from console.views.fields import zone_names
from console.views.imports.pages import ImportPages
from console.views.table import TableView


class EventView(ImportPages):
    model = Event
    menu_icon = "calendar-event"
    list_columns = ("title", "status", "date_start", "organizer_id", "type", "price", "capacity", "available")
    search_by = ("title",)
    filter_by = (
        "status",
        "title",
        "organizer_id",
        "type",
        "date_start",
        "date_end",
        "price",
        "capacity",
        "available",
        "auto_offers",
        "timezone",
        "location",
        "created_at",
    )
    default_sort = "-date_start"
    managed = ("capacity", "auto_offers", "timezone")
    related_through = (
        "payment.payments.booking_id.event_id",
        "payment.payment_receipts.payment_id.booking_id.event_id",
        "crew.crew_assignments.crew_id.event_id",
    )
    form_columns = (
        "title",
        ("organizer_id", "type"),
        ("date_start", "date_end"),
        "timezone",
        ("price", "capacity"),
        "location",
        "auto_offers",
    )
    zone_by = "timezone"
    desk = ("desk_events", lambda row: f"/desk/events/{row.id}")
    create_label = _l("Create an event")
    about = _l("Trips, camps and banquets. An event is a draft until it is published.")
    labels = {"price": _l("Price, ₽")}
    hints = {
        "type": _l("For example rafting, hike, camp or banquet."),
        "date_start": _l("As the clocks show where the event is."),
        "capacity": _l("New seats go to the waitlist first."),
        "auto_offers": _l("Free seats are offered to the waitlist by themselves."),
    }
    groups = (
        (
            _l("Event"),
            ("title", "status", "organizer_id", "type", "date_start", "date_end", "timezone", "location"),
        ),
        (_l("Seats and price"), ("capacity", "available", "price", "auto_offers")),
    )
    bulk_actions = (
        BulkAction(
            "publish",
            _l("Publish"),
            lambda row, actor: events.publish_event(row.id, actor=actor),
            work="events",
            icon="send",
        ),
    )

    def form_zone(self, row: Any) -> ZoneInfo:
        # What is typed is read with the zone that stands beside it on the same form.
        name = request.form.get("timezone") or request.args.get("timezone", "")
        if request.method != "POST" and row is not None:
            name = row.timezone
        return ZoneInfo(name) if name in zone_names() else console_zone()

    def create(self, values: dict[str, Any], actor: User) -> Base:
        return events.create_event(values, actor=actor)

    def update(self, row: Any, values: dict[str, Any], actor: User) -> None:
        plain = {name: value for name, value in values.items() if name != "capacity"}
        records.update_record(row, plain, actor=actor)
        if "capacity" in values:
            events.change_capacity(row.id, capacity=values["capacity"], actor=actor)


class BookingView(TableView):
    model = Booking
    title_has_sub = True
    menu_icon = "ticket"
    list_columns = (
        "user_id",
        "status",
        "event_id",
        "amount",
        "payment_status",
        "expires_at",
        "created_by",
        "created_at",
    )
    search_by = ("user_id", "event_id")
    create_columns = ("event_id", "user_id")
    edit_columns = ("amount",)
    managed = ("amount",)
    desk = ("desk_bookings", lambda row: f"/desk/events/{row.event_id}/bookings/{row.id}")
    zone_by = "event_id"
    related_through = (
        "payment.payment_receipts.payment_id.booking_id",
        "payment.webhook_events.payment_id.booking_id",
    )
    create_label = _l("Book a seat")
    about = _l("A booking holds a seat of an event for a person.")
    hints = {
        "event_id": _l("When no seat is free, the person goes on the waitlist."),
        "amount": _l("Another price can be agreed on until the booking is paid."),
    }
    groups = (
        (_l("Booking"), ("user_id", "event_id", "status", "expires_at")),
        (_l("Payment"), ("amount", "payment_status", "payment_id")),
    )
    bulk_actions = (
        BulkAction(
            "confirm",
            _l("Confirm"),
            lambda row, actor: bookings.confirm_booking(row.id, actor=actor),
            work="bookings",
            confirm=_l("Pending bookings are confirmed, whether they are paid for or not."),
        ),
        BulkAction(
            "cancel",
            _l("Cancel bookings"),
            lambda row, actor: bookings.cancel_booking(row.id, actor=actor, reason=""),
            work="bookings",
            confirm=_l("Their seats become free, their places in crews too. Each person is told."),
            icon="circle-x",
            is_loss=True,
        ),
    )

    def create(self, values: dict[str, Any], actor: User) -> Base:
        return bookings.book_or_wait(values["event_id"], user_id=values["user_id"], actor=actor)

    def update(self, row: Any, values: dict[str, Any], actor: User) -> None:
        payments.change_amount(row.id, amount=values["amount"], actor=actor)

    def created_message(self, row: Base) -> tuple[Any, str]:
        if isinstance(row, WaitlistEntry):
            return gettext("No seat is free: the person is on the waitlist now."), "warning"
        return gettext("The seat is booked."), "success"


class BookingLogView(TableView):
    model = BookingLog
    menu_icon = "history"
    list_columns = ("booking_id", "action", "old_value", "new_value", "actor_user_id", "created_at")
    json_of = {"old_value": lambda _: Booking, "new_value": lambda _: Booking}
    search_by = ("booking_id",)
    zone_by = "booking_id"
    about = _l("Every change of every booking. Nobody can alter it.")


class WaitlistView(ImportPages):
    model = WaitlistEntry
    title_has_sub = True
    menu_icon = "hourglass"
    list_columns = (
        "user_id",
        "event_id",
        "priority",
        "notified_at",
        "notification_expires_at",
        "created_at",
    )
    search_by = ("user_id", "event_id")
    create_columns = ("event_id", "user_id")
    edit_columns = ("priority",)
    managed = ("priority",)
    desk = ("desk_waitlist", lambda row: f"/desk/events/{row.event_id}/waitlist")
    zone_by = "event_id"
    create_label = _l("Add to the waitlist")
    delete_label = _l("Remove from the waitlist")
    delete_note = _l("The person leaves the list. An offered seat goes to the next in line.")
    about = _l("People who wait for a seat, in their order.")
    hints = {"priority": _l("Lower numbers go first. Whoever has this number moves one on.")}

    def create(self, values: dict[str, Any], actor: User) -> Base:
        return waitlist.join(values["event_id"], user_id=values["user_id"], actor=actor)

    def update(self, row: Any, values: dict[str, Any], actor: User) -> None:
        waitlist.set_priority(row.id, priority=values["priority"], actor=actor)

    def delete(self, row: Any, actor: User) -> None:
        waitlist.leave(row.id, actor=actor)


class OrganizerView(TableView):
    model = Organizer
    menu_icon = "building"
    list_columns = ("name", "slug", "brand_color", "created_at")
    search_by = ("name", "slug")
    # The public site's addresses begin with it.
    managed = ("slug",)
    form_columns = (("name", "slug"), "description", "contacts", "logo_url", "brand_color")
    about = _l("The companies that run events.")
    hints = {
        "slug": _l("Part of addresses on the public site: small letters and hyphens."),
        "brand_color": _l("For example #1f6feb."),
    }


class TeamMemberView(ImportPages):
    model = TeamMember
    menu_icon = "user-star"
    list_columns = ("name", "role", "organizer_id", "created_at")
    search_by = ("name",)
    form_columns = ("organizer_id", ("name", "role"), "bio", "photo_url")
    labels = {"name": _l("Full name")}
    about = _l("Guides, cooks and instructors as the public site shows them.")


class FaqItemView(ImportPages):
    model = FaqItem
    menu_icon = "help-circle"
    list_columns = ("question", "organizer_id", "answer", "created_at")
    search_by = ("question",)
    form_columns = ("organizer_id", "question", "answer")
    about = _l("Questions people ask an organizer, with answers.")


class FavoriteView(TableView):
    model = Favorite
    menu_icon = "heart"
    list_columns = ("user_id", "event_id", "created_at")
    search_by = ("user_id", "event_id")
    create_columns = ("user_id", "event_id")
    zone_by = "event_id"
    about = _l("Events that people marked on the public site.")


VIEWS = (
    EventView,
    BookingView,
    WaitlistView,
    BookingLogView,
    OrganizerView,
    TeamMemberView,
    FaqItemView,
    FavoriteView,
)
