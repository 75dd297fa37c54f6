"""Two who change accounts at the same time, on a database where commits are real."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from console.db import db, transaction
from console.errors import LastAdministrator
from console.models import User
from console.services import accounts
from console.states import UserRole
from tests import make
from tests.servers import until


@pytest.mark.parametrize("locked", [True, False], ids=["locked", "control: without the lock"])
def test_two_administrators_cannot_demote_each_other_at_once(real_app, monkeypatch, locked):
    if not locked:
        monkeypatch.setattr(sa.Select, "with_for_update", lambda query, **_: query)
    with real_app.app_context():
        one, two = make.staff(), make.staff()
        ids = one.id, two.id
        db.session.commit()

    def demote(of, by):
        with real_app.app_context(), transaction():
            accounts.set_role(of, UserRole.USER, actor=db.session.get(User, by))

    with ThreadPoolExecutor(1) as pool:
        with real_app.app_context(), transaction():
            accounts.set_role(ids[1], UserRole.USER, actor=db.session.get(User, ids[0]))
            other = pool.submit(demote, of=ids[0], by=ids[1])
            # The other one either waits for this transaction or, without the lock, is done by now.
            until(lambda: other.done() or waits_for_a_lock(real_app))
        refusal = other.exception(timeout=10)
    with real_app.app_context():
        left = db.session.scalars(sa.select(User.id).where(User.role == UserRole.ADMIN)).all()
    assert (type(refusal), left) == ((LastAdministrator, [ids[0]]) if locked else (type(None), []))


def waits_for_a_lock(app):
    with app.app_context(), db.engine.connect() as connection:
        return connection.scalar(
            sa.text(
                "SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
                " WHERE NOT l.granted AND a.datname = current_database())"
            )
        )
