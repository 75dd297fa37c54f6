"""`make bench`: every benchmark on the same servers, and one table."""

import importlib
import sys
import time
from pathlib import Path
from types import ModuleType

from bench import measure


def benchmarks() -> list[ModuleType]:
    """The modules of this package that measure something, by name; the others only serve them."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py"))
    modules = (importlib.import_module(f"bench.{name}") for name in names)
    return [module for module in modules if hasattr(module, "measure_all")]


def main() -> int:
    """Exit status 1 when a target is missed."""
    lines = []
    started = time.monotonic()
    with measure.servers() as running:
        for benchmark in benchmarks():
            measure.say(benchmark.__name__.removeprefix("bench."))
            lines += benchmark.measure_all(running)
    met = measure.table(lines)
    print(f"{time.monotonic() - started:.0f} s")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
