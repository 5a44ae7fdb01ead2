"""Datasets that are kept in Langfuse, as the items of `map`: each run is found there beside its item.

A run records where its input came from; the exporter says it (`experiments`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from agentkit.batch import FromSource
from agentkit.export.experiments import DATASET
from agentkit.export.langfuse_api import ask, required_access

if TYPE_CHECKING:
    from langfuse.api import Dataset as Described
    from langfuse.api import DatasetItem as Listed
    from langfuse.api import LangfuseAPI

PAGE = 50
"""Items fetched at a time; the SDK's own default."""


@dataclass(frozen=True)
class DatasetItem(FromSource):
    """One item of a dataset.

    Args:
        id: Langfuse's.
        expected_output: what a good run ends with, where the dataset says so; JSON.
        metadata: whatever the dataset keeps with it; JSON.
    """

    id: str
    expected_output: Any
    metadata: Any

    @property
    def input(self) -> Any:
        """What a run is given; JSON."""
        return self.given


class LangfuseDataset:
    """A dataset's items, as they were when it was read. `agent.map(dataset)` begins a run for each.

    Args:
        name: the dataset's name.
        items: its items.
        url: where it is seen.
    """

    def __init__(self, name: str, items: list[DatasetItem], url: str) -> None:
        self.name = name
        self.items = items
        self.url = url

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[DatasetItem]:
        return iter(self.items)

    def __repr__(self) -> str:
        return f"LangfuseDataset({self.name!r}, {len(self)} items, {self.url})"


def langfuse_dataset(name: str, *, run: str | None = None, version: datetime | None = None) -> LangfuseDataset:
    """Read a dataset that is kept in Langfuse, to map an agent or a pipeline over it.

    The runs appear there as an experiment of the dataset, each beside its item and the output that was expected, once
    they are exported to Langfuse. Mapped again under the same name, what is done is found and not done again.

    Args:
        name: the dataset's name there.
        run: what the experiment is called; by default the agent's name and the beginning of its definition's digest,
            so that a changed agent is another experiment.
        version: the items as they were at this time (UTC).

    Returns:
        The dataset.

    Raises:
        ConfigError: no keys in the environment, or there is no such dataset.
        ServerUnavailable: the server cannot be reached.

    Example:
        >>> batch = agent.map(ak.langfuse_dataset("refunds", run="shorter prompt"))  # doctest: +SKIP
    """
    project = required_access()
    described, listed = ask(project, f"Langfuse's dataset {name!r}", lambda client: _read(client, name, version))
    source = {
        "kind": DATASET,
        "project": described.project_id,
        "dataset": described.id,
        "name": described.name,
        "run": run,
        "version": _as_langfuse_writes(version) if version is not None else None,
    }
    items = [_item(item, source) for item in listed if item.status != "ARCHIVED"]
    return LangfuseDataset(name, items, f"{project.url}/project/{described.project_id}/datasets/{described.id}")


def _read(client: "LangfuseAPI", name: str, version: datetime | None) -> "tuple[Described, list[Listed]]":
    from urllib.parse import quote

    described = client.datasets.get(dataset_name=quote(name, safe=""))  # one in a folder has a slash in its name
    items: list[Listed] = []
    page = 1
    while True:
        found = client.dataset_items.list(dataset_name=name, page=page, limit=PAGE, version=version)
        items += found.data
        if found.meta.total_pages <= page:
            return described, items
        page += 1


def _item(item: "Listed", source: Mapping[str, Any]) -> DatasetItem:
    known = {**source, "item": item.id, "expected_output": item.expected_output, "metadata": item.metadata}
    return DatasetItem(
        given=item.input,
        source={key: value for key, value in known.items() if value is not None},
        id=item.id,
        expected_output=item.expected_output,
        metadata=item.metadata,
    )


def _as_langfuse_writes(moment: datetime) -> str:
    from langfuse.api.core.datetime_utils import serialize_datetime

    return serialize_datetime(moment)
