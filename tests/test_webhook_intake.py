"""The intake of webhooks on real connections: committed at once, on one that lives, and a worker is told."""

import sqlalchemy as sa
from flask import Flask
from redis import Redis

from console.db import AT_ONCE, db, transaction
from console.models import WebhookEvent
from tests.acquirers import stripe_header
from tests.servers import until

BODY = b'{"id": "evt_%d", "type": "x", "data": {"object": {"id": "pi_1"}}}'


def post(app: Flask, number: int) -> int:
    body = BODY % number
    headers = {"Stripe-Signature": stripe_header(body)}
    return app.test_client().post("/webhooks/stripe", data=body, headers=headers).status_code


def stored(app: Flask) -> int:
    with app.app_context():
        return db.session.scalars(sa.select(sa.func.count()).select_from(WebhookEvent)).one()


def test_webhook_is_taken_although_the_connection_had_died(real_app: Flask) -> None:
    assert post(real_app, 1) == 200
    with real_app.app_context(), transaction():
        ended = db.session.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        ).all()
    assert ended
    assert post(real_app, 2) == 200
    assert stored(real_app) == 2
    with real_app.app_context():
        assert db.engines[AT_ONCE].pool.checkedout() == 0  # type: ignore[attr-defined]


def test_many_webhooks_ring_one_bell_and_a_repeated_one_rings_none(real_app: Flask, redis: Redis) -> None:
    assert {post(real_app, number) for number in range(20)} == {200}
    until(lambda: redis.keys("rq:job:process-webhooks-*"))
    assert post(real_app, 5) == 200
    assert len(redis.keys("rq:job:process-webhooks-*")) == 1


def test_webhook_is_taken_and_answered_while_redis_is_away(real_app: Flask, redis: Redis) -> None:
    real_app.extensions["redis"].connection_pool.connection_kwargs["path"] = "/nonexistent/redis.sock"
    real_app.extensions["redis"].connection_pool.disconnect()
    assert post(real_app, 1) == 200
    assert stored(real_app) == 1
