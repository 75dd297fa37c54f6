"""A message to an event's people as tasks: queued to all of them in one statement, withdrawn in batches."""

from typing import Any
from uuid import UUID

from console.db import retrying, transaction
from console.services import broadcasts, tasks
from console.services.tasks import Claim

KIND, WITHDRAWAL = broadcasts.KIND, broadcasts.WITHDRAWAL
#: Each looks past what the ones before have withdrawn: the fewer, the less of that.
BATCH = 2000


def run(claim: Claim, _signs: Any) -> dict[str, Any]:
    """Does the task: both the queueing and its progress, or neither. Asked to stop, it queues nobody."""
    broadcast_id = UUID(claim.args["broadcast_id"])

    def queue() -> int:
        with transaction():
            queued = broadcasts.queue(broadcast_id)
            tasks.step(claim, done=queued, total=queued)
            return queued

    return {"queued": retrying(queue), "broadcast": str(broadcast_id), "event_id": claim.args["event_id"]}


def withdraw(claim: Claim, _signs: Any) -> dict[str, Any]:
    """Withdraws what has not gone out of a cancelled message."""
    broadcast_id, done = UUID(claim.args["broadcast_id"]), claim.done

    def batch() -> int:
        with transaction():
            withdrawn = broadcasts.withdraw(broadcast_id, BATCH)
            tasks.step(claim, done=done + withdrawn)
            return withdrawn

    while withdrawn := retrying(batch):
        done += withdrawn
    return {"withdrawn": done, "broadcast": str(broadcast_id), "event_id": claim.args["event_id"]}
