"""The items of a batch, read one at a time, each with a key by which a later call finds its run."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from agentkit.definition import Definition
from agentkit.errors import ConfigError, EncodingError
from agentkit.ids import digest
from agentkit.jsonvalue import JsonValue, as_json, canonical


@dataclass(frozen=True, slots=True)
class FromSource:
    """What an iterable may give instead of an item that is to be found again where it came from: a dataset's.

    Args:
        given: the item.
        source: recorded with its run, JSON: where it came from, for whoever tells that place what became of it.
    """

    given: Any  # as `run` takes it
    source: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Item:
    """One item.

    Args:
        index: its place, from 0.
        key: what its runs are found by: the same in every call with the same item and the same definition.
        given: the run's input.
        source: where it came from, where it says so.
        error: why it cannot be begun: it is not of the declared type.
    """

    index: int
    key: str
    given: JsonValue = None
    source: JsonValue = None
    error: str | None = None

    @property
    def recorded(self) -> dict[str, JsonValue]:
        """What its run records: how it is found, and where it came from."""
        found: dict[str, JsonValue] = {"item": self.key, "index": self.index}
        return found if self.source is None else {**found, "source": self.source}


def read_items(items: Iterable[Any], definition: Definition, read: Callable[[Any], JsonValue]) -> Iterator[Item]:
    """Read the items lazily; one that is of the wrong type is an item with an error.

    Of equal items each has its own key. Secrets are taken out first, as in the log: no digest of one is recorded.

    Args:
        items: whatever can be iterated over.
        definition: what is run for each.
        read: makes a run's input of an item.
    """
    seen: dict[int, int] = {}  # two that share 64 bits share a count, and still have different keys
    for index, item in enumerate(items):
        try:
            given = read(item.given if isinstance(item, FromSource) else item)
            source = as_json(item.source, "source") if isinstance(item, FromSource) else None
        except (ConfigError, EncodingError) as error:
            yield Item(index, "", error=f"{type(error).__name__}: {error}")
            continue
        what = _without_secrets(given, definition)
        source = _without_secrets(source, definition)
        sha256 = digest(what if source is None else [what, source])
        short = int(sha256[:16], 16)
        seen[short] = occurrence = seen.get(short, 0) + 1
        yield Item(index, digest([definition.name, definition.sha256, sha256, occurrence]), given, source)


def _without_secrets(value: JsonValue, definition: Definition) -> JsonValue:
    return definition.redactor.value(value) if definition.redactor.suspects(canonical(value)) else value
