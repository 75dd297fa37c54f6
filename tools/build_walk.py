"""Compile the walk of the auto-seat (console/services/seating/walk.c) to WebAssembly.

Run by hand when walk.c changes, then commit both; the console itself needs no compiler:

    pip install ziglang==0.17.1 && python tools/build_walk.py

The module names the source it was made from, and a test compares the two. The same version of the compiler
makes the same bytes.
"""

import hashlib
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "console" / "services" / "seating" / "walk.c"
TARGET = SOURCE.with_suffix(".wasm")
#: Nothing but the processor: no library, no system.
FLAGS = ["--target=wasm32-freestanding", "-nostdlib", "-Wl,--no-entry", "-Wl,--strip-all", "-O3"]
STRICT = ["-Wall", "-Wextra", "-Werror"]


def stamp(source: bytes) -> bytes:
    """A custom section of WebAssembly named `source`: the SHA-256 of what was compiled."""
    content = b"\x06source" + hashlib.sha256(source).digest()
    return b"\x00" + bytes([len(content)]) + content


def main() -> None:
    command = [sys.executable, "-m", "ziglang", "cc", *FLAGS, *STRICT, "-o", str(TARGET), str(SOURCE)]
    subprocess.run(command, check=True)
    TARGET.write_bytes(TARGET.read_bytes() + stamp(SOURCE.read_bytes()))
    TARGET.chmod(0o644)
    print(f"{TARGET.name}: {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
