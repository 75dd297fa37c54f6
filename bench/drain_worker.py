"""Delivers what is due until it is killed: `python -m bench.drain_worker`, set up by its environment."""

import logging
import time

from console import create_app, jobs
from console.services import delivery


def main() -> None:
    logging.disable(logging.WARNING)
    with create_app(pages=False).app_context():
        # As the worker does before it forks.
        jobs.warm_up()
        print("ready", flush=True)
        while True:
            delivery.drain(time.monotonic() + 3600)
            time.sleep(0.05)


if __name__ == "__main__":
    main()
