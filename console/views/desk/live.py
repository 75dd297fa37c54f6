"""Pages that follow what others do: `/desk/events/<id>/changes`, `/desk/changes/<desk>`, server-sent events.

A stream takes a thread of the web server, but neither a connection to the database nor a session: it hears
from the process's one listener. Over the limit it answers 503, and the page asks every few seconds instead.
"""

import queue
import select
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from uuid import UUID

from flask import Flask, Response, abort, current_app, request
from flask_admin import expose

from console.changes import NO_EVENT, Changes, Following
from console.db import db
from console.models import Event
from console.views.desk.base import DeskView

#: The desks over all events that follow, by the work that is done there.
FOLLOWED = ("webhooks",)
#: Of the 40 threads of a web process (Procfile), so that enough are left to answer pages. A stream sleeps,
#: and has no connection to the database: it costs a stack.
STREAMS_A_PROCESS = 24
#: So that proxies do not take a quiet stream for a dead one.
HEARTBEAT_SECONDS = 15.0
#: A stream ends after this, and the browser asks anew: with the rights the person has then.
STREAM_SECONDS = 300.0
#: How soon a stream notices that its reader has gone.
LOOK_SECONDS = 1.0
#: What the browser waits before it asks again.
RETRY_MS = 2000


class ChangesView(DeskView):
    """`/desk/events/<id>/changes`: which tables of the event changed, to whoever may see the event."""

    menu_group = ""
    tables = ("event.events",)

    @expose("")
    def index(self, event_id: UUID) -> Response:
        self.found(Event, event_id)
        return _follow(event_id)


class DeskChangesView(DeskView):
    """`/desk/changes/<desk>`: which of its tables changed, to whoever may do the desk's work."""

    menu_group = ""

    @expose("/<desk>")
    def index(self, desk: str) -> Response:
        if desk not in FOLLOWED:
            abort(404)
        self.need(desk)
        return _follow(NO_EVENT)


def _follow(key: UUID) -> Response:
    """The stream of what changes of an event, or of NO_EVENT."""
    stack = ExitStack()
    changes: Changes = current_app.extensions["changes"]
    follower = stack.enter_context(changes.following(key))
    # Nothing below asks the database: what is borrowed from its pool goes back at once.
    db.session.remove()
    if follower is None:
        return Response(status=503, headers={"Retry-After": "5"})
    stream = _Stream(changes, follower, stack, request.environ.get("gunicorn.socket"))
    return Response(stream, mimetype="text/event-stream", headers={"X-Accel-Buffering": "no"})


class _Stream:
    """The body of an answer. The server closes it when it ends, also before the first part was asked for."""

    def __init__(
        self, changes: Changes, follower: Following, stack: ExitStack, peer: socket.socket | None
    ) -> None:
        self._changes = changes
        self._follower = follower
        self._stack = stack
        self._peer = peer

    def __iter__(self) -> Iterator[bytes]:
        ends = time.monotonic() + STREAM_SECONDS
        beat = time.monotonic() + HEARTBEAT_SECONDS
        yield f"retry: {RETRY_MS}\n: following\n\n".encode()
        while time.monotonic() < ends and not self._changes.is_closing and not self._has_left():
            tables = self._heard()
            if tables:
                yield f"data: {' '.join(tables)}\n\n".encode()
            elif time.monotonic() >= beat:
                yield b": still here\n\n"
            else:
                continue
            beat = time.monotonic() + HEARTBEAT_SECONDS

    def _heard(self) -> list[str]:
        """The tables that changed, each once; nothing within a moment is nothing."""
        try:
            tables = [self._follower.get(timeout=LOOK_SECONDS)]
        except queue.Empty:
            return []
        while not self._follower.empty():
            tables.append(self._follower.get_nowait())
        return sorted(set(tables))

    def _has_left(self) -> bool:
        """Whether the browser closed its end: a write would notice only at the second attempt."""
        if self._peer is None:
            return False
        try:
            readable = select.select([self._peer], [], [], 0)[0]
            return bool(readable) and not self._peer.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except (OSError, ValueError):
            return True

    def close(self) -> None:
        self._stack.close()


def init_app(app: Flask) -> None:
    """Makes the process's listener, which connects when the first page follows."""
    url = app.config["SETTINGS"].database_url.replace("postgresql+psycopg:", "postgresql:", 1)
    changes = app.extensions["changes"] = Changes(url, STREAMS_A_PROCESS)
    stop = signal.getsignal(signal.SIGTERM)
    if not callable(stop) or threading.current_thread() is not threading.main_thread():
        return

    def let_go(number: int, frame: Any) -> None:
        # The web server waits for its threads: those that only follow are not worth waiting for.
        changes.is_closing = True
        stop(number, frame)

    signal.signal(signal.SIGTERM, let_go)
