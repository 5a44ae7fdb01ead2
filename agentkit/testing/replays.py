"""Recorded runs for the tests of a promoted pipeline: each done again as it was, and with one thing not as it was."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agentkit.promote.kept import KeptRun
from agentkit.promote.mutations import Choice, mutations, noticed
from agentkit.promote.replay import Replayed, compare, replay
from agentkit.promote.runs_file import read

_SAID = 5
"""So many of the things that went wrong are said."""


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """A recorded run that a pipeline is compared with; no tool and no model is called.

    Args:
        run: the run.
        choices: the lists that the pipeline chooses from.
        others: further runs.
    """

    run: KeptRun
    choices: Sequence[Choice] = ()
    others: Sequence[KeptRun] = field(default=(), repr=False)

    def __str__(self) -> str:
        return self.run.run_id

    def replay(self, pipeline: Any) -> Replayed:
        """What a pipeline does on the run: its calls in order, and how it ends.

        Args:
            pipeline: an `ak.Pipeline`.
        """
        return replay(pipeline, self.run)

    def assert_same(self, pipeline: Any) -> None:
        """A pipeline makes the same calls and ends the same; where the run is known not to be for it, it stops.

        Args:
            pipeline: an `ak.Pipeline`.

        Raises:
            AssertionError: it does something else; the message says what.
        """
        outcome, why = compare(self.run, self.replay(pipeline))
        if self.run.expected == "equal":
            assert outcome == "equal", f"run {self.run.run_id}: {outcome}: {why}"
        else:
            assert outcome not in {"equal", "different"}, f"run {self.run.run_id} was to stop it: {outcome}: {why}"

    def assert_guarded(self, pipeline: Any) -> None:
        """A pipeline that meets something that is not as it was writes nothing else than the run did.

        Each field of each result has another name, each call fails, and each list that it chooses from has one element
        more: one thing at a time.

        Args:
            pipeline: an `ak.Pipeline`.

        Raises:
            AssertionError: it wrote something else, or ended as if nothing was; the message says for which changes.
        """
        wrong: list[str] = []
        for mutation in mutations(self.run, self.choices, self.others):
            why = noticed(mutation, replay(pipeline, mutation.mutated))
            if why is not None:
                wrong.append(f"{mutation}: {why}")
        more = f"\n… and {len(wrong) - _SAID} more" if len(wrong) > _SAID else ""
        assert not wrong, f"run {self.run.run_id}, changed:\n" + "\n".join(wrong[:_SAID]) + more


def recorded_runs(test: str, name: str) -> list[RecordedRun]:
    """The runs that were kept beside a promoted pipeline's test.

    Args:
        test: the test's own `__file__`.
        name: the file's name, for example "refund.runs.json".

    Raises:
        PromotionError: the file cannot be read.
    """
    found = read(Path(test).with_name(name))
    return [RecordedRun(run, found.choices, found.runs) for run in found.runs]
