"""What a trigger and its function are to `console.models`: a name, and the SQL that makes it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Function:
    """A trigger function: its qualified name without parentheses, and its CREATE statement."""

    name: str
    sql: str


@dataclass(frozen=True)
class Trigger:
    """A trigger: its name, its qualified table, and its CREATE statement."""

    name: str
    table: str
    sql: str
