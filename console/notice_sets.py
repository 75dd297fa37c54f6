"""Sending again or withdrawing all the notices that a filter matched, as a task."""

from collections import Counter
from typing import Any
from uuid import UUID

from console.db import db, retrying, transaction
from console.errors import NotAllowed
from console.models import User
from console.policy import may
from console.services import notice_sets, tasks
from console.services.tasks import Claim
from console.states import Channel

KIND = "notices"
BATCH = 500


def run(claim: Claim, _signs: Any) -> dict[str, Any]:
    """Does the task, in batches over its frozen rows: the result says how many, and why not the others."""
    channel = Channel[claim.args["channel"]] if claim.args.get("channel") else None
    last = int(claim.progress.get("last", 0))
    counts: Counter[str] = Counter(claim.progress.get("counts", {}))

    def batch() -> tuple[int, Counter[str]]:
        with transaction():
            actor = db.session.get(User, claim.actor_user_id, populate_existing=True)
            # Whoever lost the right meanwhile does nothing any more.
            if not may(actor, "notices"):
                raise NotAllowed()
            rows = tasks.next_rows(claim, after=last, limit=BATCH)
            if not rows:
                return last, counts
            ids = [UUID(row.key[0]) for row in rows]
            more = notice_sets.change(
                claim.args["action"], ids, actor_id=claim.actor_user_id, channel=channel
            )
            total = counts + more
            tasks.step(claim, done=total.total(), last=rows[-1].number, counts=dict(total))
            return rows[-1].number, total

    while True:
        number, counts = retrying(batch)
        if number == last:
            return {"counts": dict(counts), "action": claim.args["action"]}
        last = number
