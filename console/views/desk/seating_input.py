"""What the script of the board sends, value by value: what it would not write is no request of ours."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from flask import abort, request

from console.states import CrewType

T = TypeVar("T")

#: Fits PostgreSQL's bigint, and every number a script sends.
NUMBER_MAX = 2**53
TEXT_MAX = 500
IDS_MAX = 5000


@dataclass(frozen=True)
class Body:
    """A JSON object; whatever is missing or of another kind answers 400."""

    values: dict[str, Any]

    @classmethod
    def of_request(cls) -> "Body":
        return cls.of(request.get_json(silent=True))

    @classmethod
    def of(cls, values: Any) -> "Body":
        if not isinstance(values, dict):
            abort(400)
        return cls(values)

    def rows(self, name: str, most: int) -> list["Body"]:
        return [Body.of(value) for value in self._list(name, most)]

    def texts(self, name: str, most: int) -> list[str]:
        return [_text(value) for value in self._list(name, most)]

    def ids(self, name: str) -> list[UUID]:
        return [_id(value) for value in self._list(name, IDS_MAX, least=0)]

    def id(self, name: str) -> UUID:
        return _id(self.values.get(name))

    def id_or_none(self, name: str) -> UUID | None:
        return self._or_none(name, _id)

    def number(self, name: str) -> int:
        return _number(self.values.get(name))

    def number_or_none(self, name: str) -> int | None:
        return self._or_none(name, _number)

    def text_or_none(self, name: str) -> str | None:
        return self._or_none(name, _text)

    def seat(self) -> int | None:
        """A seat that may exist; whether it does, the crew knows."""
        seat = self.number_or_none("seat")
        if seat is not None and not 1 <= seat < 2**31:
            abort(400)
        return seat

    def flag(self, name: str) -> bool:
        value = self.values.get(name)
        if not isinstance(value, bool):
            abort(400)
        return value

    def crew_type(self) -> CrewType:
        try:
            return CrewType[_text(self.values.get("type"))]
        except KeyError:
            abort(400)

    def _list(self, name: str, most: int, least: int = 1) -> list[Any]:
        values = self.values.get(name)
        if not isinstance(values, list) or not least <= len(values) <= most:
            abort(400)
        return values

    def _or_none(self, name: str, read: Callable[[Any], T]) -> T | None:
        value = self.values.get(name)
        return None if value is None else read(value)


def _id(value: Any) -> UUID:
    try:
        return UUID(value)
    except (ValueError, TypeError, AttributeError):
        abort(400)


def _number(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < NUMBER_MAX:
        abort(400)
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > TEXT_MAX or "\0" in value:
        abort(400)
    return value
