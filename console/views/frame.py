"""What stands around a page: how much waits where, and whether the jobs stand still. Read by one statement.

A page whose last statement can bring it along has it brought by that one: `Labels.load`.
"""

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple

import sqlalchemy as sa
from flask import Flask, current_app, g

from console import policy, standstill
from console.db import db
from console.models import User
from console.standstill import Standstill
from console.views.base import StaffView


class Question(NamedTuple):
    """How much waits on each of these pages, and last whether the jobs stand still: a scalar subquery of the
    answers as JSON, None where nothing is asked."""

    views: tuple[StaffView, ...]
    has_jobs: bool
    scalar: Any


class Frame:
    """What is told around a page that `user` sees."""

    def __init__(self, user: User) -> None:
        (admin,) = current_app.extensions["admin"]
        self.views = [view for view in admin._views if isinstance(view, StaffView) and view.opens_for(user)]
        self._user = user

    @cached_property
    def question(self) -> Question:
        if not policy.sees_all(self._user):
            return self._put_together()
        # Who sees everything asks what all in their role do: it is put together once.
        kept: dict[Any, Question] = current_app.extensions["frames"]
        if self._user.role not in kept:
            kept[self._user.role] = self._put_together()
        return kept[self._user.role]

    def _put_together(self) -> Question:
        counts = {view: count for view in self.views if (count := view.waiting(self._user)) is not None}
        has_jobs = policy.may(self._user, "jobs")
        asked = [*counts.values(), *([standstill.asked()] if has_jobs else [])]
        answers = sa.cast(sa.func.jsonb_build_array(*asked), sa.Text)
        return Question(tuple(counts), has_jobs, sa.select(answers).scalar_subquery() if asked else None)

    def take(self, answers: str) -> None:
        """Keeps what a statement that had the question in it was answered."""
        self._answers = json.loads(answers)

    @cached_property
    def _answers(self) -> list[Any]:
        scalar = self.question.scalar
        return [] if scalar is None else json.loads(db.session.execute(sa.select(scalar)).scalar_one())

    @property
    def waiting(self) -> Mapping[StaffView, int]:
        """How much waits on each page that shows it."""
        return dict(zip(self.question.views, self._answers, strict=False))

    @property
    def standstill(self) -> Standstill | None:
        """What keeps the jobs from running, for who can do something about it."""
        return standstill.told(self._answers[-1]) if self.question.has_jobs else None


def init_app(app: Flask) -> None:
    app.extensions["frames"] = {}


def frame_for(user: User) -> Frame:
    """The frame of the page that this request draws."""
    if "frame" not in g:
        g.frame = Frame(user)
    found: Frame = g.frame
    return found
