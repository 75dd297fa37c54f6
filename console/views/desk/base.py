"""DeskView: what the desks share on top of StaffView."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

from flask import abort, current_app, redirect, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response

from console import policy
from console.db import Base
from console.errors import ConsoleError, InvalidInput
from console.models import User
from console.views.base import StaffView, say_done
from console.views.formats import sentence

Row = TypeVar("Row", bound=Base)

#: Longer than any reason staff give; what is longer was pasted by mistake.
REASON_MAX = 500
AMOUNT = re.compile(r"[0-9]{1,10}(\.[0-9]{0,2})?")


class DeskView(StaffView):
    """A desk. Its `index` answers at the exact address it was registered at, without a slash at the end."""

    menu_group = "desks"

    def __init__(self, name: str, endpoint: str, url: str) -> None:
        self._default_view = "index"
        super().__init__(name=name, endpoint=endpoint, url=url)

    def render(self, template: str, **kwargs: Any) -> str:
        kwargs.setdefault("contact", self.contact)
        # In a template `_()` is for texts that stand there: what it returns is not escaped.
        kwargs.setdefault("translated", lambda text: gettext(text) if text else "")
        return super().render(template, **kwargs)

    def contact(self, someone: User | None) -> str:
        """How to reach a person, in a few characters, for who may read profiles."""
        profile = someone.profile if someone is not None else None
        if profile is None or not policy.allowed(self.user, "user.profiles", policy.Action.READ):
            return ""
        return (
            f"@{profile.telegram.lstrip('@')}" if profile.telegram else profile.phone or profile.email or ""
        )

    def first_page(self) -> str:
        """The desk itself; one below the address of a row, of that row."""
        rule = next(current_app.url_map.iter_rules(f"{self.endpoint}.{self._default_view}"))
        values = {name: value for name, value in (request.view_args or {}).items() if name in rule.arguments}
        return url_for(rule.endpoint, **values)

    def found(self, model: type[Row], *key: Any) -> Row:
        """The row with this key; answers 404 when there is none or it is out of the person's reach."""
        row = policy.find(self.user, model, *key)
        if row is None:
            abort(404)
        return row

    def need(self, work: str) -> User:
        """The signed-in person, if they may do this work; for others the address does not exist."""
        if not policy.may(self.user, work):
            abort(404)
        return self.user


def done(message: str, url: str, *, undo_url: str | None = None) -> Response:
    """The answer to work that was done: a toast that says what came of it, on the page it leads to.

    `undo_url` is posted to, without more, by the toast's "Undo".
    """
    say_done(message, undo_url=undo_url)
    return redirect(url, 303)


def typed(name: str, label: str, *, required: bool = True, most: int = REASON_MAX) -> str:
    """A text of the posted form, on the line it was typed. Raises InvalidInput."""
    text = request.form.get(name, "").strip()
    if required and not text:
        raise InvalidInput(field=label, problem=gettext("say it in a few words."))
    if len(text) > most or "\0" in text:
        raise InvalidInput(field=label, problem=gettext("this is too long."))
    return text


def typed_number(name: str, label: str, *, least: int = 0, most: int = 100_000) -> int:
    """A whole number of the posted form, or of the address of a look at what it would do, within its limits.

    Raises InvalidInput.
    """
    given = request.form if request.method == "POST" else request.args
    text = given.get(name, "").strip()
    if not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):
        raise InvalidInput(
            field=label, problem=gettext("give a number from %(least)s to %(most)s.", least=least, most=most)
        )
    return int(text)


def said(look: Callable[[], list[str]]) -> dict[str, str]:
    """The answer to a look at what is being typed: what would happen, or why it cannot."""
    try:
        lines = look()
    except ConsoleError as error:
        lines = [sentence(error)]
    return {"says": " ".join(lines)}


def typed_money(name: str, label: str) -> Decimal:
    """An amount of the posted form; a comma may stand for the point. Raises InvalidInput.

    Three digits after a comma could be thousands: then nobody knows what was meant.
    """
    text = "".join(request.form.get(name, "").split()).replace(",", ".")
    amount = Decimal(text) if AMOUNT.fullmatch(text) else Decimal(0)
    if not amount:
        raise InvalidInput(field=label, problem=gettext("give an amount, such as 4500 or 4500.50."))
    return amount


def typed_id(name: str) -> UUID | None:
    """An id of the posted form; None when there is none."""
    try:
        return UUID(request.form.get(name, ""))
    except ValueError:
        return None


def asked_id(name: str) -> UUID | None:
    """An id of the address; None when there is none, 404 when it is malformed."""
    text = request.args.get(name, "")
    if not text:
        return None
    try:
        return UUID(text)
    except ValueError:
        abort(404)
