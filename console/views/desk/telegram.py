"""`/desk/people/<id>/telegram`: the chat of a person, and the link with which they join it."""

from uuid import UUID

import segno
import sqlalchemy as sa
from flask import abort, url_for
from flask_admin import expose
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from console import policy
from console.db import db, transaction
from console.models import TelegramSubscription, User
from console.policy import Action
from console.services import telegram_links
from console.views.desk.base import DeskView, done


class TelegramView(DeskView):
    """For whoever may change the profiles of people, of those people."""

    menu_group = ""
    tables = ("user.profiles",)

    @expose("")
    def index(self, user_id: UUID) -> str:
        return self._page(self._person(user_id))

    @expose("/link", methods=("POST",))
    def link(self, user_id: UUID) -> str:
        """Shows the code once: nothing that could show it again is kept."""
        person = self._person(user_id)
        with transaction():
            address = telegram_links.create_link(person.id, actor=self.user)
        return self._page(person, address)

    @expose("/unlink", methods=("POST",))
    def unlink(self, user_id: UUID) -> Response:
        person = self._person(user_id)
        with transaction():
            telegram_links.unlink(person.id, actor=self.user)
        return done(_("The chat is linked to nobody now."), url_for(".index", user_id=user_id))

    def _person(self, user_id: UUID) -> User:
        if not policy.allowed(self.user, "user.profiles", Action.UPDATE):
            abort(404)
        return self.found(User, user_id)

    def _page(self, person: User, address: str = "") -> str:
        row = db.session.scalar(
            sa.select(TelegramSubscription).where(TelegramSubscription.user_id == person.id)
        )
        return self.render(
            "desk/telegram.html",
            person=person,
            subscription=row if row is not None and row.verified_at and row.telegram_chat_id else None,
            available=telegram_links.available(),
            address=address,
            # Dark on light whatever the theme: cameras expect it.
            code=segno.make(address, error="m").svg_data_uri(scale=6, border=3, light="#fff")
            if address
            else "",
            hours=telegram_links.LINK_HOURS,
        )
