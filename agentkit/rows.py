"""What a query returns: materialised, the same from every store."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Rows:
    """The rows of a query, already fetched.

    Args:
        columns: the columns' names.
        rows: one tuple a row.
    """

    columns: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]  # SQL values

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)
