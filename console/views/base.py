"""StaffView, the base of every page that staff see: who may open it, and what follows when work is refused."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from flask import Response, abort, flash, jsonify, redirect, render_template, request, url_for
from flask_admin import BaseView
from flask_babel import gettext, pgettext
from sqlalchemy.exc import DataError, IntegrityError
from werkzeug.wrappers import Response as AnyResponse

from console import policy
from console.db import db, retrying
from console.errors import ConsoleError, InvalidInput, NotFound
from console.models import User
from console.services import integrity
from console.states import State
from console.views.login import current_staff

SAFE = ("GET", "HEAD", "OPTIONS")
Answer = str | AnyResponse | tuple[Any, int]


class StaffView(BaseView):
    """A page behind sign-in. A page that someone may not open does not exist for them: it answers 404.

    A subclass names the `work` or the `tables` ("schema.table") whose right opens it; without either, every
    signed-in person may. A ConsoleError raised in it becomes a sentence and the right status; a POST is
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

    def waiting(self, user: User) -> int | None:
        """How much waits here for `user`, as the menu's number; None shows none."""
        return None

    def opens_for(self, user: User | None) -> bool:
        """Whether `user` may open the page at all."""
        if user is None:
            return False
        if not self.work and not self.tables:
            return True
        return any(policy.may(user, kind) for kind in self.work) or any(
            policy.allowed(user, table, policy.Action.READ) for table in self.tables
        )

    @property
    def user(self) -> User:
        """Who is signed in; a page never runs without."""
        user = current_staff()
        if user is None:
            abort(404)
        return user

    def is_accessible(self) -> bool:
        return self.opens_for(current_staff())

    def _handle_view(self, name: str, **kwargs: Any) -> Answer | None:
        if current_staff() is None:
            if wants_json():
                return jsonify(error=gettext("Sign in again.")), 401
            return redirect(url_for("login.login", next=local_path(request.full_path.rstrip("?"))))
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
            abort(404)
        except IntegrityError as error:
            db.session.rollback()
            return self.refused(integrity.translate(error))
        except DataError:
            # A number, date or text that PostgreSQL cannot hold; a form says which, an address need not.
            db.session.rollback()
            return self.refused(InvalidInput(field=gettext("Value"), problem=gettext("out of range.")))
        except ConsoleError as error:
            return self.refused(error)

    def refused(self, error: ConsoleError) -> Answer:
        """The answer to what could not be done: back to where they came from with a sentence."""
        text = explain(error)
        if wants_json():
            return jsonify(error=text), error.status_code
        if request.method in SAFE:
            page = render_template("error.html", code=error.status_code, title=text, text="")
            return Response(page, error.status_code)
        flash(text, "error")
        return redirect(self.back(), 303)

    def back(self) -> str:
        """Where a refused POST leads: the page it came from, or this view's first page."""
        path = local_path(urlsplit(request.referrer or "").path)
        query = urlsplit(request.referrer or "").query
        if path and path != request.path:
            return f"{path}?{query}" if query else path
        return url_for(f"{self.endpoint}.{self._default_view}")


def local_path(address: str) -> str:
    """`address` if it is a path of this site, else an empty string: nobody is sent elsewhere."""
    is_local = address.startswith("/") and not address.startswith(("//", "/\\"))
    return address if is_local and not any(ord(c) < 32 for c in address) else ""


def wants_json() -> bool:
    return request.is_json or request.accept_mimetypes.best == "application/json"


def explain(error: ConsoleError) -> str:
    """The sentence of a refusal, in the language of the page."""
    facts = {name: say(value) for name, value in error.facts.items()}
    return error.message(gettext(error.sentence()), facts)


def say(value: Any) -> Any:
    """A fact of a refusal as a person reads it: states by their label."""
    if isinstance(value, State):
        return pgettext(type(value).__name__, value.label)
    return value
