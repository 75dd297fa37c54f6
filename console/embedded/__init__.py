"""The embedded console: PostgreSQL and Redis from Python wheels, and everything `make run` starts."""


class CannotStart(Exception):
    """Why the console cannot start here; the message is one line that says what to do."""
