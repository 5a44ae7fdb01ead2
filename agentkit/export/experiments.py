"""A run over a dataset's item, as an experiment of that dataset in Langfuse.

Since version 5 of its SDK, Langfuse has no call that records a dataset's run: it is what the spans say that name the
dataset, the item and the experiment.
"""

import json
from hashlib import sha256
from typing import Any

from agentkit.events import Event, RunStarted
from agentkit.export.content import Content
from agentkit.export.ids import span_id

DATASET = "langfuse-dataset"
"""What a run's source is called that is an item of a dataset in Langfuse."""

ENVIRONMENT = "sdk-experiment"
"""Where Langfuse's SDK puts its experiments, so that they are not counted as production."""


def experiment_attributes(begun: Event, *, content: Content) -> dict[str, str]:
    """What links a trace's spans with the item that its run was begun for; nothing for a run of no dataset.

    Args:
        begun: the first event of the run at the top.
        content: how much of what the dataset holds is said again: the expected output and the item's metadata.

    Returns:
        Attributes for every span of the trace: the server files each by itself.
    """
    started = begun.body
    assert isinstance(started, RunStarted), "a run's first event is run_started"
    source: dict[str, Any] = started.config.get("map", {}).get("source") or {}
    if source.get("kind") != DATASET:
        return {}
    run_name = source.get("run") or f"{begun.name} {started.definition_sha256[:8]}"
    said = {
        "id": experiment_id(source["project"], source["dataset"], run_name),
        "name": run_name,
        "dataset.id": source["dataset"],
        "item.id": source["item"],
        "item.version": source.get("version"),
        "item.root_observation_id": format(span_id(begun.run_id, begun.seq), "016x"),
        "item.expected_output": content.text(source.get("expected_output")),
        "item.metadata": content.text(source.get("metadata")),
    }
    found = {f"langfuse.experiment.{key}": value for key, value in said.items() if value is not None}
    return {"langfuse.environment": ENVIRONMENT, **found}


def experiment_id(project: str, dataset: str, run_name: str) -> str:
    """The id that Langfuse's server and its SDK derive for an experiment: the same name is the same experiment."""
    parts = ["langfuse-experiment-v1", project, dataset, run_name]
    payload = json.dumps(parts, separators=(",", ":"), ensure_ascii=False)
    return sha256(payload.encode()).hexdigest()[:16]
