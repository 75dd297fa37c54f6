"""The test-suite's own servers keep tests apart."""

import pytest
import sqlalchemy as sa

from console.db import db, transaction
from console.models import User


@pytest.mark.parametrize("attempt", [1, 2])
def test_what_a_test_commits_is_gone_in_the_next(session, attempt):
    with transaction():
        session.add(User(username="left over"))
    assert session.scalar(sa.select(sa.func.count()).select_from(User)) == 1


def test_a_rollback_inside_a_test_keeps_what_was_committed_before(session):
    with transaction():
        session.add(User(username="kept"))
    with pytest.raises(RuntimeError), transaction():
        session.add(User(username="dropped"))
        raise RuntimeError
    assert session.scalars(sa.select(User.username)).all() == ["kept"]


def test_each_request_has_a_context_of_its_own(app, client):
    contexts = set()

    def note():
        from flask.globals import app_ctx

        contexts.add(id(app_ctx._get_current_object()))

    app.before_request_funcs.setdefault(None, []).insert(0, note)
    try:
        from flask.globals import app_ctx

        client.get("/healthz")
        assert len(contexts) == 1
        assert id(app_ctx._get_current_object()) not in contexts
    finally:
        app.before_request_funcs[None].remove(note)


def test_a_database_of_its_own_commits_for_real(real_app):
    with real_app.app_context(), transaction():
        db.session.add(User(username="real"))
    with real_app.app_context():
        assert db.session.scalar(sa.select(User.username)) == "real"


def test_redis_is_empty_at_the_start(redis):
    assert redis.dbsize() == 0
