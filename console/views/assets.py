"""Static files under an address that changes with their content, so that browsers keep them for good.

The version stands in the path, not in the query: what style sheets and scripts name relative to themselves
then carries it too. An address of another version still finds the file, so that a page from before a
deployment, or from another host, stays whole.
"""

import hashlib
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from flask import Flask, Response, current_app, g, url_for

_VERSIONED = re.compile(r"v-[0-9a-f]{10}/")
FOR_GOOD = "public, max-age=31536000, immutable"
#: Kept, but asked for by its ETag each time.
ASKED_EACH_TIME = "no-cache"


def init_app(app: Flask) -> None:
    """Puts the version into every static address, and serves both kinds."""
    app.url_defaults(_add_version)
    app.view_functions["static"] = static_file
    app.jinja_env.globals["icons"] = icons


def static_file(filename: str) -> Response:
    version = f"v-{_version()}/"
    response = current_app.send_static_file(_VERSIONED.sub("", filename, count=1))
    response.headers["Cache-Control"] = FOR_GOOD if filename.startswith(version) else ASKED_EACH_TIME
    return response


def icons() -> str:
    """The address of the file with all icons: a page names it a hundred times."""
    if "icons" not in g:
        g.icons = url_for("static", filename="icons.svg")
    found: str = g.icons
    return found


def _add_version(endpoint: str, values: dict[str, Any]) -> None:
    if endpoint == "static":
        values["filename"] = f"v-{_version()}/{values['filename']}"


def _version() -> str:
    """Of all static files together. In development it follows every change."""
    if not current_app.config["SETTINGS"].development:
        return _of_folder(str(current_app.static_folder))
    if "static_version" not in g:
        g.static_version = _of_files(_files(str(current_app.static_folder)))
    return g.static_version


@lru_cache(maxsize=1)
def _of_folder(folder: str) -> str:
    return _of_files(_files(folder))


def _files(folder: str) -> tuple[tuple[str, int], ...]:
    return tuple(
        (str(path), path.stat().st_mtime_ns) for path in sorted(Path(folder).rglob("*")) if path.is_file()
    )


@lru_cache(maxsize=4)
def _of_files(files: tuple[tuple[str, int], ...]) -> str:
    """A digest of contents: the hosts of one deployment agree on it whenever their files were written."""
    digest = hashlib.sha256()
    for name, _ in files:
        digest.update(Path(name).read_bytes())
    return digest.hexdigest()[:10]
