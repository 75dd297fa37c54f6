"""Delivers what is due until it is killed: `python -m bench.drain_worker`, set up by its environment.

DRAIN_LEASE_SECONDS shortens the leases, so that who kills it need not wait as long as in earnest.
"""

import logging
import os
import time

from console import create_app, jobs
from console.services import delivery, leases


def main() -> None:
    logging.disable(logging.WARNING)
    leases.LEASE_SECONDS = float(os.environ.get("DRAIN_LEASE_SECONDS", leases.LEASE_SECONDS))
    with create_app(pages=False).app_context():
        # As the worker does before it forks.
        jobs.warm_up()
        print("ready", flush=True)
        while True:
            delivery.drain(time.monotonic() + 3600)
            time.sleep(0.05)


if __name__ == "__main__":
    main()
