"""StaffView, the base of every page of the console: who may open it, and what follows a refusal."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from flask import abort, flash, redirect, request, url_for
from flask_admin import BaseView
from sqlalchemy.exc import IntegrityError
from werkzeug.wrappers import Response

from console import policy
from console.db import db, retrying
from console.errors import ConsoleError, NotFound
from console.models import User
from console.policy import Action
from console.services import integrity
from console.views.error_pages import wants_json
from console.views.formats import sentence
from console.views.login import current_staff
from console.views.second_factor import came_from

SAFE = ("GET", "HEAD", "OPTIONS")
Answer = str | Response | tuple[Any, int]


def say_done(text: str, *, undo_url: str | None = None, undo_key: str = "") -> None:
    """Says on the next page what was done. Its button "Undo", or that key, posts to `undo_url`."""
    message: Any = {"text": text, "undo_url": undo_url, "key": undo_key} if undo_url else text
    flash(message, "success")


class StaffView(BaseView):
    """A page behind sign-in. A page that someone may not open does not exist for them: it answers 404.

    A subclass names the `work` or the `tables` ("schema.table") whose right opens it; without either, every
    signed-in person may. What a POST is refused (ConsoleError) is said on the page it came from; a POST is
    repeated when the database broke a deadlock at its cost, so it must not have effects outside of it.
    """

    menu_label: Any = ""
    menu_icon = "table"
    #: "desks", or the schema under which the menu lists it; empty: not in the menu.
    menu_group = ""
    #: The letter after "g" that goes there.
    menu_key: str | None = None
    #: Any of these kinds of work, or reading any of these tables, opens the page.
    work: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()

    def waiting(self, user: User) -> Any | None:
        """How much waits here for `user`, as the menu's number: a scalar subquery, None shows none."""
        return None

    def opens_for(self, user: User | None) -> bool:
        """Whether `user` may open the page at all."""
        if user is None:
            return False
        if not self.work and not self.tables:
            return True
        return any(policy.may(user, kind) for kind in self.work) or any(
            policy.allowed(user, table, Action.READ) for table in self.tables
        )

    @property
    def user(self) -> User:
        """Who is signed in; a page never runs without."""
        user = current_staff()
        if user is None:
            abort(401)
        return user

    def is_accessible(self) -> bool:
        return self.opens_for(current_staff())

    def _handle_view(self, name: str, **kwargs: Any) -> Answer | None:
        if current_staff() is None:
            abort(401)
        if not self.is_accessible():
            abort(404)
        return None

    def _run_view(self, view: Callable[..., Answer], *args: Any, **kwargs: Any) -> Answer:
        # Flask-Admin would call the view a second time on a TypeError; here an error stays one.
        try:
            if request.method in SAFE:
                return view(self, *args, **kwargs)
            return retrying(lambda: view(self, *args, **kwargs))
        except NotFound:
            # What is missing and what is out of reach answer alike, wherever it was noticed.
            abort(404)
        except IntegrityError as error:
            return self._refused(integrity.translate(error))
        except ConsoleError as error:
            return self._refused(error)

    def _refused(self, error: ConsoleError) -> Answer:
        db.session.rollback()
        if request.method in SAFE or wants_json():
            raise error
        flash(sentence(error), "error")
        return redirect(self.back(), 303)

    def back(self) -> str:
        """Where a refused POST leads: the page it came from, or this view's first page."""
        page = came_from()
        return page if page and urlsplit(page).path != request.path else self.first_page()

    def first_page(self) -> str:
        """The address of this view's first page."""
        return url_for(f"{self.endpoint}.{self._default_view}")
