"""The world that a family's tools work on: records to read, and the writes that were done."""

import random
import threading
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

import agentkit as ak

_JSON: TypeAdapter[Any] = TypeAdapter(Any)


@dataclass(frozen=True)
class Write:
    """One call that changed the world; its arguments are JSON."""

    tool: str
    arguments: dict[str, Any]


@dataclass
class World:
    """Records by table and key, and what was written.

    Args:
        tables: what the reads find.
        numbers: the number that the next write of each tool is filed under.
        fails: how likely the first read of each record fails.
        seed: which of them do.
    """

    tables: dict[str, dict[Any, Any]]
    numbers: dict[str, int] = field(default_factory=dict)
    fails: float = 0.0
    seed: int = 0
    writes: list[Write] = field(default_factory=list)
    reads: int = 0

    def __post_init__(self) -> None:
        self._failed: set[str] = set()
        self._lock = threading.Lock()

    def read(self, table: str, *key: Any) -> Any:
        """The record under a key; raises where there is none, and the first time where the service is busy."""
        name = f"{table} {key}"
        with self._lock:
            self.reads += 1
            if name not in self._failed and random.Random(f"{self.seed} {name}").random() < self.fails:
                self._failed.add(name)
                raise ak.ToolError(f"the service for {table} is busy", retryable=True)
        records, wanted = self.tables[table], key[0] if len(key) == 1 else key
        if wanted not in records:
            raise ak.ToolError(f"there is no such record in {table}: {wanted}")
        return records[wanted]

    def write(self, tool: str, **arguments: Any) -> int:
        """Record a write; the number it is filed under."""
        with self._lock:
            self.writes.append(Write(tool, _JSON.dump_python(arguments, mode="json")))
            number = self.numbers.get(tool, 1)
            self.numbers[tool] = number + 1
            return number
