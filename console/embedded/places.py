"""Private directories and files, and short enough places for unix sockets."""

import hashlib
import os
import pwd
import shutil
import stat
from pathlib import Path

from console.embedded import CannotStart

#: Bytes of a unix socket's path that the kernel takes.
LONGEST_SOCKET = 107


def make_private(directory: Path, user: str | None = None) -> None:
    """Makes the directory if needed and closes it to everybody but `user` (None: ourselves)."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if user is not None:
        shutil.chown(directory, user, user)
    elif directory.stat().st_uid != os.geteuid():
        raise CannotStart(
            f"{directory} belongs to another user: run as that user, or remove it to start afresh"
        )
    directory.chmod(0o700)


def socket_directory(home: Path, socket_name: str, user: str | None = None) -> Path:
    """`home`, or, where a socket's path would be too long, a private directory in the runtime directory."""
    if len(os.fsencode(home / socket_name)) <= LONGEST_SOCKET:
        return home
    # Always the same one for the same home: a later run must find who still listens there.
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
    runtime = Path("/tmp") if user else Path(os.environ.get("XDG_RUNTIME_DIR") or "/tmp")  # noqa: S108
    directory = runtime / f"crewdeck-{digest}"
    try:
        directory.mkdir(mode=0o700)
    except FileExistsError:
        # In /tmp anybody could have made it first.
        found = directory.lstat()
        owners = {os.geteuid(), pwd.getpwnam(user).pw_uid if user else os.geteuid()}
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in owners:
            raise CannotStart(f"{directory} is not ours: remove it, or move the checkout higher up") from None
    make_private(directory, user)
    return directory


def reachable(path: Path) -> bool:
    """Whether any user may go down to `path`."""
    return all(part.stat().st_mode & stat.S_IXOTH for part in [path, *path.parents] if part.exists())


def write_private(path: Path, text: str) -> None:
    """Replaces the file in one step; only we can read it."""
    draft = path.with_name(path.name + ".new")
    draft.touch(mode=0o600)
    draft.chmod(0o600)
    draft.write_text(text)
    draft.replace(path)
