"""SQL values as every store gives them: ids and JSON are text, times are in UTC, money is float."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg
    from psycopg.abc import Buffer

_DIGITS = 4000  # Python reads integers of up to 4,300 digits from a text


def register(cursor: "psycopg.Cursor[Any]") -> None:
    """Have a cursor give values as every store does; in arrays and composites too.

    Args:
        cursor: its own adapters are changed, not its connection's.
    """
    from psycopg.adapt import Loader
    from psycopg.types.datetime import TimestamptzLoader
    from psycopg.types.string import TextLoader

    class Time(TimestamptzLoader):
        def load(self, data: "Buffer") -> datetime:
            return super().load(data).astimezone(UTC)

    class Number(Loader):
        def load(self, data: "Buffer") -> int | float:
            text = bytes(data).decode()
            return int(text) if text.lstrip("-").isdigit() and len(text) < _DIGITS else float(text)

    for kind in ("uuid", "json", "jsonb"):
        cursor.adapters.register_loader(kind, TextLoader)
    cursor.adapters.register_loader("timestamptz", Time)
    cursor.adapters.register_loader("numeric", Number)
