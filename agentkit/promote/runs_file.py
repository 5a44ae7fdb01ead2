"""The runs that are kept beside generated code, in one JSON file: what its tests replay, and what was generated."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from agentkit.errors import PromotionError
from agentkit.promote.kept import KeptRun
from agentkit.promote.mutations import Choice

FORMAT = 1
MOST_RUNS = 24
"""So many runs are kept: a person reads the file's changes."""
MOST_BYTES = 1_000_000
"""So large the kept runs may be together; one that alone is larger is kept where its variant has no other."""


@dataclass(slots=True)
class RunsFile:
    """What stands beside generated code.

    Args:
        agent: whose runs they are.
        pipeline: the pipeline's name.
        seen: how many runs the code was made of.
        runs: those that are kept.
        choices: the lists that the pipeline chooses from.
        generated: the texts as they were generated last, by file name: a person's edits are told by them.
    """

    agent: str
    pipeline: str
    seen: int
    runs: list[KeptRun] = field(default_factory=list[KeptRun])
    choices: list[Choice] = field(default_factory=list[Choice])
    generated: dict[str, str] = field(default_factory=dict[str, str])

    def text(self) -> str:
        """As it goes to the disk: each call on a line of its own."""
        found = {
            "format": FORMAT,
            "about": f"{len(self.runs)} of the {self.seen} recorded runs of the agent {self.agent} that the pipeline "
            f"{self.pipeline} was made of; written by agentkit, and not to be edited",
            "agent": self.agent,
            "pipeline": self.pipeline,
            "seen": self.seen,
            "choices": [asdict(choice) for choice in self.choices],
            "runs": [run.to_json() for run in self.runs],
            "generated": {name: text.splitlines() for name, text in self.generated.items()},
        }
        return "".join(_lines(found)) + "\n"


def read(path: Path) -> RunsFile:
    """Read the file.

    Raises:
        PromotionError: it cannot be read, or is none of ours.
    """
    try:
        found = json.loads(path.read_text("utf-8"))
        if found["format"] != FORMAT:
            raise PromotionError(
                f"{path} is of format {found['format']}, and this agentkit reads {FORMAT}; write the promotion again"
            )
        return RunsFile(
            agent=found["agent"],
            pipeline=found["pipeline"],
            seen=found["seen"],
            runs=[KeptRun.from_json(run) for run in found["runs"]],
            choices=[Choice(choice["tool"], tuple(choice["path"])) for choice in found["choices"]],
            generated={name: "".join(f"{line}\n" for line in lines) for name, lines in found["generated"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PromotionError(f"{path} cannot be read: {type(error).__name__}: {error}") from error


def chosen(variants: Iterable[Iterable[KeptRun]]) -> list[KeptRun]:
    """The runs to keep: of each variant in turn, as many as fit.

    Args:
        variants: the runs of each, the most frequent variant first.
    """
    found: list[KeptRun] = []
    size = 0
    queues = [iter(runs) for runs in variants]
    first = True
    while queues and len(found) < MOST_RUNS:
        left: list[Iterator[KeptRun]] = []
        for queue in queues:
            run = next(queue, None)
            if run is None:
                continue
            left.append(queue)
            bytes_of = len(json.dumps(run.to_json(), ensure_ascii=False).encode())
            if len(found) < MOST_RUNS and (first or size + bytes_of <= MOST_BYTES):
                found.append(run)
                size += bytes_of
        queues, first = left, False
    return found


def _lines(value: Any, depth: int = 0, before: str = "") -> Iterator[str]:
    """JSON with a line for each call, input and output: a change of one is a change of one line."""
    indent = " " * depth
    if depth < 4 and isinstance(value, dict | list) and value:
        opening, closing = "{}" if isinstance(value, dict) else "[]"
        yield f"{indent}{before}{opening}\n"
        parts: list[tuple[str, Any]] = (
            [(f"{_json(name)}: ", item) for name, item in value.items()]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  JSON
            if isinstance(value, dict)
            else [("", item) for item in value]  # pyright: ignore[reportUnknownVariableType]  JSON
        )
        for place, (name, item) in enumerate(parts):
            *lines, last = _lines(item, depth + 1, name)
            yield from lines
            yield last.rstrip("\n") + (",\n" if place < len(parts) - 1 else "\n")
        yield f"{indent}{closing}"
    else:
        yield f"{indent}{before}{_json(value)}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
