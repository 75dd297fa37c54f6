"""Child processes that die with their parent, and ending the ones an earlier parent left behind."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with_parent(how: signal.Signals, parent_pid: int) -> None:
    """Has the kernel send this process `how` when its parent ends. To be called after a change of user.

    The kernel watches the *thread* that forked: children are started from threads that live on.
    """
    if _LIBC is None:
        return
    _LIBC.prctl(PR_SET_PDEATHSIG, how)
    if os.getppid() != parent_pid:
        # The parent ended before the line above.
        os.kill(os.getpid(), how)


def spawn(
    command: Sequence[str | Path],
    *,
    output: IO[bytes] | int | None = None,
    errors: IO[bytes] | None = None,
    env: Mapping[str, str] | None = None,
    user: str | None = None,
    dies_by: signal.Signals = signal.SIGTERM,
    pass_fds: Sequence[int] = (),
    cwd: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Starts `command` in a session of its own, so that Ctrl-C reaches only the parent.

    Its errors go where its output goes, unless `errors` says where.
    """
    parent = os.getpid()
    as_user: dict[str, Any] = {"user": user, "group": user, "extra_groups": []} if user else {}
    return subprocess.Popen(
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors or (subprocess.STDOUT if output is not None else None),
        env=None if env is None else dict(env),
        cwd=cwd,
        start_new_session=True,
        # Uploads, messages and data are nobody else's business on this machine.
        umask=0o077,
        pass_fds=tuple(pass_fds),
        preexec_fn=lambda: die_with_parent(dies_by, parent),  # noqa: PLW1509 - the parent has one thread
        **as_user,
    )


def stop(process: subprocess.Popen[bytes], how: signal.Signals, patience_seconds: float) -> None:
    """Asks with `how`, then kills, the process and whatever it left in its group. Returns when it is gone."""
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            _kill_group(process.pid)
            process.wait()
    _kill_group(process.pid)


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def started_ticks(pid: int) -> int | None:
    """When the process started, in clock ticks since boot; None when it is gone. With the pid it is an
    identity."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The command, in parentheses, may itself hold spaces and parentheses.
    fields = stat.rsplit(")", 1)[1].split()
    return None if fields[0] == "Z" else int(fields[19])


def end(pid: int, ticks: int | None, how: signal.Signals, patience_seconds: float) -> bool:
    """Ends a process that is not our child, if it still is the one that started at `ticks`.

    Returns whether there was one.
    """
    if ticks is None or started_ticks(pid) != ticks:
        return False
    with suppress(ProcessLookupError):
        os.kill(pid, how)
        deadline = time.monotonic() + patience_seconds
        while started_ticks(pid) == ticks:
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
                deadline += patience_seconds
            time.sleep(0.02)
    return True
