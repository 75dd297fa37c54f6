"""What the tests of the desks share: the addresses of an event and a booking, and who opens them."""

from flask.testing import FlaskClient

from console.models import Booking, Event, User
from console.states import UserRole
from tests import make
from tests.views.browser import sign_in

ADMIN, ORGANIZER, FINANCE = UserRole.ADMIN, UserRole.ORGANIZER, UserRole.FINANCE


def organizer_of(client: FlaskClient, event: Event) -> User:
    """Signs in somebody who works for the event's organizer."""
    me = make.staff(ORGANIZER, event.organizer)
    sign_in(client, me)
    return me


def desk(event: Event, page: str = "") -> str:
    return f"/desk/events/{event.id}{page}"


def booking_page(booking: Booking, step: str = "") -> str:
    return f"/desk/events/{booking.event_id}/bookings/{booking.id}{step}"
