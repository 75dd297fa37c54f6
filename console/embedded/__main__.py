"""`python -m console.embedded run`: what `make run` starts."""

import argparse
import os
import signal
import sys
from pathlib import Path

from console.config import ROOT
from console.embedded import CannotStart
from console.embedded.processes import die_with_parent

SUPPORTED = ((3, 11), (3, 12))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m console.embedded")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="start everything, until Ctrl-C")
    run.add_argument("--var", type=Path, default=ROOT / "var", help="where the data is (default: var/)")
    run.add_argument("--with-parent", action="store_true", help="stop when the parent process ends")
    prepare = commands.add_parser("prepare", help="check, migrate and fill the database; used by `run`")
    prepare.add_argument("--embedded", action="store_true")
    arguments = parser.parse_args()
    if sys.version_info[:2] not in SUPPORTED:
        print(
            f"Python {sys.version_info[0]}.{sys.version_info[1]} is not supported:"
            " use 3.11 or 3.12, for example `make run PYTHON=python3.12`",
            file=sys.stderr,
        )
        return 1
    if arguments.command == "prepare":
        from console.embedded import prepare as preparing  # noqa: PLC0415 - only this one needs the database

        return preparing.main(sys.stdout, embedded=arguments.embedded)
    if arguments.with_parent:
        die_with_parent(signal.SIGTERM, os.getppid())
    from console.embedded.supervisor import Supervisor  # noqa: PLC0415

    try:
        return Supervisor(arguments.var).run()
    except CannotStart as error:
        print(f"Crewdeck cannot start: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
