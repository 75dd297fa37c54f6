"""/healthz, /readyz and /metrics."""

import pytest
import sqlalchemy as sa
from redis import ConnectionError as RedisIsAway

from console import create_app, heartbeats
from console.db import db
from tests.servers import close, make_settings


def beat(app, kind=heartbeats.SCHEDULER, seconds_ago=0):
    with app.app_context(), db.engine.begin() as connection:
        heartbeats.beat(connection, kind, f"{kind}:test")
        connection.execute(
            sa.text(
                "UPDATE ops.heartbeats SET seen_at = now() - make_interval(secs => :s) WHERE kind = :kind"
            ),
            {"s": seconds_ago, "kind": kind},
        )


@pytest.fixture
def lost_app():
    """An application whose servers are away."""
    lost = create_app(
        make_settings("postgresql://user:hidden@127.0.0.1:9/none", "redis://:hidden@127.0.0.1:9/0")
    )
    yield lost
    close(lost)


def test_healthz_answers_without_any_server(lost_app):
    answer = lost_app.test_client().get("/healthz")
    assert (answer.status_code, answer.json) == (200, {"status": "ok"})


def test_readyz_is_ready_when_every_part_is(real_app):
    beat(real_app)
    answer = real_app.test_client().get("/readyz")
    assert answer.status_code == 200, answer.json
    assert answer.json["status"] == "ready"
    assert answer.json["checks"]["migrations"]["at"] == answer.json["checks"]["migrations"]["expected"]


def test_readyz_says_that_the_scheduler_was_never_seen(real_app):
    answer = real_app.test_client().get("/readyz")
    assert answer.status_code == 503
    assert answer.json["checks"]["scheduler"] == {
        "ok": False,
        "ms": answer.json["checks"]["scheduler"]["ms"],
        "age_seconds": None,
    }


def test_readyz_does_not_take_a_silent_scheduler_or_a_standby_for_a_live_one(real_app):
    beat(real_app, seconds_ago=300)
    assert real_app.test_client().get("/readyz").status_code == 503
    beat(real_app, heartbeats.STANDBY, seconds_ago=1)
    answer = real_app.test_client().get("/readyz")
    assert answer.status_code == 503
    assert answer.json["checks"]["scheduler"]["age_seconds"] >= 300


def test_readyz_notices_a_missing_migration(real_app):
    beat(real_app)
    with real_app.app_context(), db.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = 'older'"))
    answer = real_app.test_client().get("/readyz")
    assert answer.status_code == 503
    assert answer.json["checks"]["migrations"]["at"] == ["older"]


def test_readyz_names_what_is_away_and_no_address_of_it(lost_app):
    answer = lost_app.test_client().get("/readyz")
    assert answer.status_code == 503
    assert not any(check["ok"] for check in answer.json["checks"].values())
    assert "hidden" not in answer.text


def test_metrics_say_which_server_is_away(lost_app):
    answer = lost_app.test_client().get("/metrics")
    assert answer.status_code == 200
    assert 'crewdeck_up{part="postgresql"} 0.0' in answer.text
    assert 'crewdeck_up{part="redis"} 0.0' in answer.text


def test_readyz_needs_redis(real_app, monkeypatch):
    beat(real_app)

    def away(*_):
        raise RedisIsAway

    monkeypatch.setattr(real_app.extensions["redis"], "ping", away)
    answer = real_app.test_client().get("/readyz")
    assert (answer.status_code, answer.json["checks"]["redis"]["error"]) == (503, "ConnectionError")


def test_metrics_count_requests_by_endpoint(client):
    for _ in range(2):
        client.get("/healthz")
    client.get("/no/such/address/1")
    text = client.get("/metrics").text
    assert 'crewdeck_requests_total{endpoint="health.healthz",method="GET",status="200"}' in text
    assert 'crewdeck_request_seconds_bucket{endpoint="health.healthz"' in text
    assert "/no/such/address" not in text


def test_metrics_tell_the_backlog_and_the_heartbeats(real_app):
    beat(real_app, heartbeats.WORKER, seconds_ago=20)
    with real_app.app_context(), db.engine.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO payment.webhook_events (idempotency_key, provider)"
                " VALUES ('a', 'stripe'), ('b', 'stripe')"
            )
        )
    text = real_app.test_client().get("/metrics").text
    assert 'crewdeck_backlog{kind="unapplied_webhooks"} 2.0' in text
    for kind in ("overdue_holds", "lapsed_offers", "due_notices", "lapsed_leases", "uninspected_proofs"):
        assert f'crewdeck_backlog{{kind="{kind}"}} 0.0' in text
    assert 'crewdeck_heartbeat_age_seconds{kind="worker"} 2' in text
    assert 'crewdeck_up{part="postgresql"} 1.0' in text
