"""`make bench`: every benchmark on the same servers, and one table."""

import importlib
import sys
import time
from pathlib import Path

from bench import measure

NOT_BENCHES = {
    *("__init__", "__main__", "bare_insert", "measure", "rows"),
    *("bot_server", "drain_worker", "export_child", "growth", "seating_instances"),
}


def main() -> int:
    """Exit status 1 when a target is missed."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in NOT_BENCHES)
    lines = []
    started = time.monotonic()
    with measure.servers() as running:
        for name in names:
            measure.say(name)
            lines += importlib.import_module(f"bench.{name}").measure_all(running)
    met = measure.table(lines)
    print(f"{time.monotonic() - started:.0f} s")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
