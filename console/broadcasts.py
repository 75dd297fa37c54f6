"""A message to an event's people as a task: a worker queues it to all of them in one statement."""

from typing import Any
from uuid import UUID

from console.db import retrying, transaction
from console.services import broadcasts, tasks
from console.services.tasks import Claim

KIND = broadcasts.KIND


def run(claim: Claim, _signs: Any) -> dict[str, Any]:
    """Does the task: both the queueing and its progress, or neither. Asked to stop, it queues nobody."""
    broadcast_id = UUID(claim.args["broadcast_id"])

    def queue() -> int:
        with transaction():
            queued = broadcasts.queue(broadcast_id)
            tasks.step(claim, done=queued, total=queued)
            return queued

    return {"queued": retrying(queue), "broadcast": str(broadcast_id), "event_id": claim.args["event_id"]}
