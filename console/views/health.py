"""Liveness, readiness and metrics: open to anybody, so they tell states and numbers, never contents."""

import os
import time
from functools import cache
from typing import Any

import sqlalchemy as sa
from alembic.script import ScriptDirectory
from flask import Blueprint, Flask, Response, current_app, g, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector

from console import doorbell, heartbeats
from console.config import ROOT
from console.db import db
from console.services import backlog

blueprint = Blueprint("health", __name__)

#: A scheduler says that it is alive every few seconds; after this long without, nothing would run.
SCHEDULER_LATE_SECONDS = 45

REGISTRY = CollectorRegistry()
REQUESTS = Counter(
    "crewdeck_requests", "Requests answered", ["method", "endpoint", "status"], registry=REGISTRY
)
SECONDS = Histogram(
    "crewdeck_request_seconds",
    "Seconds until a request was answered",
    ["endpoint"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=REGISTRY,
)


def init_app(app: Flask) -> None:
    """Registers the three addresses, and counts every request."""
    app.register_blueprint(blueprint)
    app.before_request_funcs.setdefault(None, []).insert(0, _start_clock)
    app.after_request(_count)


@blueprint.get("/healthz")
def healthz() -> Response:
    """The process answers."""
    return _uncached(jsonify(status="ok"))


@blueprint.get("/readyz")
def readyz() -> Response:
    """200 when everything the console needs is there, else 503; the body says what is missing."""
    checks = {"postgresql": _check(_postgresql), "redis": _check(_redis)}
    for name, look in (("migrations", _migrations), ("scheduler", _scheduler)):
        # Both are asked of PostgreSQL: without it the answer would only come later.
        checks[name] = _check(look) if checks["postgresql"]["ok"] else {"ok": False, "error": "unknown"}
    ready = all(check["ok"] for check in checks.values())
    answer = jsonify(status="ready" if ready else "not ready", checks=checks)
    answer.status_code = 200 if ready else 503
    return _uncached(answer)


@blueprint.get("/metrics")
def metrics() -> Response:
    """Prometheus text: the requests of this process (of all, with PROMETHEUS_MULTIPROC_DIR), the backlog,
    the heartbeats."""
    registry = CollectorRegistry()
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        MultiProcessCollector(registry)
        requests = registry
    else:
        requests = REGISTRY
    state = CollectorRegistry()
    state.register(StateCollector())
    return _uncached(
        Response(generate_latest(requests) + generate_latest(state), content_type=CONTENT_TYPE_LATEST)
    )


class StateCollector:
    """What the database and Redis say at the moment of the scrape."""

    def collect(self) -> Any:
        up = GaugeMetricFamily("crewdeck_up", "Whether a part answers", labels=["part"])
        waiting = GaugeMetricFamily("crewdeck_backlog", "Rows that are due and wait", labels=["kind"])
        heard = GaugeMetricFamily(
            "crewdeck_heartbeat_age_seconds", "Seconds since the last heartbeat", labels=["kind"]
        )
        notices = GaugeMetricFamily(
            "crewdeck_notices_last_hour",
            "Notices queued within the last hour, by what became of them",
            labels=["status", "channel"],
        )
        silence = GaugeMetricFamily(
            "crewdeck_bot_silence_seconds", "How long the Bot API still wants to hear nothing"
        )
        up.add_metric(["redis"], float(_check(_redis)["ok"]))
        try:
            with db.engine.connect() as connection:
                for kind, count in backlog.counts(connection).items():
                    waiting.add_metric([kind], count)
                for kind, age in heartbeats.ages_seconds(connection).items():
                    heard.add_metric([kind], age)
                for status, channel, count in backlog.notices_last_hour(connection):
                    notices.add_metric([status, channel], count)
                silence.add_metric([], backlog.bot_silence_seconds(connection))
            up.add_metric(["postgresql"], 1.0)
        except Exception:  # noqa: BLE001 - a scrape reports what is away, it does not fail with it
            current_app.logger.warning("metrics without PostgreSQL")
            up.add_metric(["postgresql"], 0.0)
        yield from (up, waiting, heard, notices, silence)


def _check(look: Any) -> dict[str, Any]:
    started = time.monotonic()
    try:
        facts = look()
    except Exception as error:  # noqa: BLE001 - whatever is wrong, the answer is "not ready"
        # The class only: messages of drivers hold addresses and names.
        current_app.logger.warning("not ready: %s", error)
        return {"ok": False, "error": type(error).__name__}
    return {"ok": True, "ms": round((time.monotonic() - started) * 1000, 1), **facts}


def _postgresql() -> dict[str, Any]:
    with db.engine.connect() as connection:
        connection.scalar(sa.select(1))
    return {}


def _redis() -> dict[str, Any]:
    doorbell.redis().ping()
    return {}


def _migrations() -> dict[str, Any]:
    with db.engine.connect() as connection:
        at = {row[0] for row in connection.execute(sa.text("SELECT version_num FROM alembic_version"))}
    return {"ok": at == _heads(), "at": sorted(at), "expected": sorted(_heads())}


def _scheduler() -> dict[str, Any]:
    with db.engine.connect() as connection:
        age = heartbeats.ages_seconds(connection).get(heartbeats.SCHEDULER)
    return {
        "ok": age is not None and age < SCHEDULER_LATE_SECONDS,
        "age_seconds": None if age is None else round(age, 1),
    }


@cache
def _heads() -> frozenset[str]:
    """The newest migrations of this code; there is one, unless two branches met."""
    return frozenset(ScriptDirectory(str(ROOT / "migrations")).get_heads())


def _start_clock() -> None:
    g.request_started = time.monotonic()


def _count(response: Response) -> Response:
    # Addresses that do not exist share one label: a scanner must not fill the memory.
    endpoint = request.endpoint or "none"
    REQUESTS.labels(request.method, endpoint, response.status_code).inc()
    if "request_started" in g:
        SECONDS.labels(endpoint).observe(time.monotonic() - g.request_started)
    return response


def _uncached(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    return response
