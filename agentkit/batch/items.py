"""The items of a batch, read one at a time, each with a key by which a later call finds its run."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from agentkit.definition import Definition
from agentkit.errors import ConfigError, EncodingError
from agentkit.ids import digest
from agentkit.jsonvalue import JsonValue, canonical


@dataclass(frozen=True, slots=True)
class Item:
    """One item.

    Args:
        index: its place, from 0.
        key: what its runs are found by: the same in every call with the same item and the same definition.
        given: the run's input.
        error: why it cannot be begun: it is not of the declared type.
    """

    index: int
    key: str
    given: JsonValue = None
    error: str | None = None


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
            given = read(item)
        except (ConfigError, EncodingError) as error:
            yield Item(index, "", error=f"{type(error).__name__}: {error}")
            continue
        what = definition.redactor.value(given) if definition.redactor.suspects(canonical(given)) else given
        sha256 = digest(what)
        short = int(sha256[:16], 16)
        seen[short] = occurrence = seen.get(short, 0) + 1
        yield Item(index, digest([definition.name, definition.sha256, sha256, occurrence]), given)
