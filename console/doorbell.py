"""Redis, and the doorbell: after a commit, a worker is told at once that there is something to do.

PostgreSQL holds the work. When Redis is away, or forgets, the next scheduled run finds it.
"""

from uuid import uuid4

from flask import Flask, current_app
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue
from rq.serializers import JSONSerializer

from console import db as database

QUEUES = ("critical", "default", "bulk")
#: What a worker runs when a bell rings: the job's name is its only argument.
ENTRY = "worker.run_job"


def init_app(app: Flask) -> None:
    app.extensions["redis"] = Redis.from_url(
        app.config["SETTINGS"].redis_url,
        # A page must not hang on a Redis that is away.
        socket_connect_timeout=1,
        socket_timeout=2,
        retry=Retry(NoBackoff(), 0),
    )
    database.doorbell = ring_workers


def redis() -> Redis:
    return current_app.extensions["redis"]


def queue(name: str) -> Queue:
    """The RQ queue `name`; JSON, because a pickle in Redis would be code."""
    return Queue(name, connection=redis(), serializer=JSONSerializer)


def ring_workers(bells: list[str]) -> None:
    """Asks a worker to run each of these jobs now. Raises redis.RedisError when Redis is away.

    A job that still waits on the queue will look after this commit anyway: one bell is enough.
    """
    critical = queue("critical")
    waiting = critical.get_job_ids()
    for name in bells:
        if not any(job_id.startswith(f"{name}-") for job_id in waiting):
            critical.enqueue_call(
                ENTRY, args=(name,), job_id=f"{name}-{uuid4()}", result_ttl=60, failure_ttl=86400
            )
