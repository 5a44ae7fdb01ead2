"""What comes of recorded runs: a pipeline with its tests, or the reasons why there is none."""

import textwrap
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from agentkit import registry
from agentkit.errors import ConfigError, PromotionError
from agentkit.promote import files
from agentkit.promote.code import Module, write_module
from agentkit.promote.display import Shown, as_html, as_text
from agentkit.promote.flow import arguments_of
from agentkit.promote.kept import KeptRun, kept_run
from agentkit.promote.left_out import LeaveOneOut, leave_one_out
from agentkit.promote.loading import load_module, load_plan
from agentkit.promote.mutations import choices_of
from agentkit.promote.plan import Plan
from agentkit.promote.replay import compare, replay
from agentkit.promote.runs_file import RunsFile, chosen
from agentkit.promote.shadow import Shadow, shadow
from agentkit.promote.tidy import tidy
from agentkit.promote.variants import Selection, Variant, table
from agentkit.promote.writing import first_sentence
from agentkit.rows import Rows

_WIDTH = 100  # characters of a docstring's line
_SHOWN_SECONDS = 2.0
"""So long a display may take for leave-one-out where nobody asked for it before, beside the one that it is in."""
_SHOWN_RUNS = 100
"""Of more runs than that it is not done unasked: one may take seconds, and says little."""


class Promotion:
    """What an agent's recorded runs give: a readable pipeline, or an honest refusal.

    Args:
        owner: the agent.
        selection: which runs are examples.
        variants: the paths that they took.
        plan: the pipeline; None where it is refused.
        refused: why there is none; empty where there is one.
    """

    def __init__(
        self,
        owner: Any,
        selection: Selection,
        variants: Sequence[Variant],
        plan: Plan | None,
        refused: Sequence[str],
    ) -> None:
        self.agent = owner
        self.selection = selection
        self.plan = plan
        self.refused = list(refused)
        self.left_out = dict(selection.left_out)
        self._variants = list(variants)
        self._module: Module | None = None
        self._one_out: LeaveOneOut | None = None

    @property
    def variants(self) -> Rows:
        """The paths that the runs took, the most frequent first."""
        return table(self._variants, self.selection.seen, len(self.selection.traces))

    @property
    def name(self) -> str:
        """What the pipeline is called in the log."""
        return f"{self.agent.name}{'-' if '-' in self.agent.name else '_'}pipeline"

    @property
    def source(self) -> str:
        """The module.

        Raises:
            ConfigError: there is none; the message has the reasons.
        """
        return self._written().source

    def load(self, model: Any = None) -> Any:
        """The pipeline, made here and now.

        Args:
            model: for the steps that ask one: a name or a `Model`; the agent's own when left out.

        Returns:
            An `ak.Pipeline`.

        Raises:
            ConfigError: the runs were refused; the message has the reasons.
        """
        return load_module(self._written(), self.name, model)

    # on disk ---------------------------------------------------------------------------------------------------------

    def write(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the module, its tests (`test_<module>.py`) and the runs that they replay (`<module>.runs.json`).

        Where the files are there already, what a person edited stays: block by block (functions, classes, values,
        imports), as long as the runs give the same as before for it. Every kept run is replayed first. Where anything
        is wrong nothing is written.

        Args:
            path: the module's file; its folder is made where there is none.
            overwrite: what is there is replaced, a person's edits too.

        Returns:
            The path.

        Raises:
            ConfigError: the runs were refused; the message has the reasons.
            PromotionError: the agent or a tool is a notebook's, a file is somebody's, an edit conflicts with what the
                runs give now (each with both versions), or the pipeline does not do what a run did.
        """
        where = files.Files.beside(path)
        files.write(self._texts(where, overwrite=overwrite))
        return where.module

    def check(self, path: str | Path) -> list[Path]:
        """Which files `write` would change; none where all is as it would be written. Nothing is written.

        Args:
            path: the module's file.

        Raises:
            ConfigError: the runs were refused.
            PromotionError: `write` would raise it.
        """
        contents = self._texts(files.Files.beside(path), overwrite=False)
        return [one for one, text in contents.items() if not one.exists() or one.read_text("utf-8") != text]

    def test(self, path: str | Path, *, timeout: float = 300.0) -> files.Tested:
        """Run the tests that were written, with pytest, in a process of their own.

        Args:
            path: the module's file, as it was given to `write`.
            timeout: seconds that they may take.

        Returns:
            True where all pass; it shows what pytest said.

        Raises:
            PromotionError: nothing was written there, pytest is not installed, or the tests do not end.
        """
        return files.run_tests(files.Files.beside(path), timeout)

    def leave_one_out(self, *, sample: int = 20, seconds: float | None = None) -> LeaveOneOut:
        """Make the pipeline of all runs but one, and do it on that one; for each run, or for a sample.

        Args:
            sample: how many runs are left out at most, one at a time.
            seconds: no further one is begun after so long; None is no limit.

        Returns:
            How many came out equal, stopped, or would have written something else, and what that proves.
        """
        self._one_out = leave_one_out(self.agent, self.selection.traces, sample=sample, seconds=seconds)
        return self._one_out

    def shadow(self, runs: Iterable[Any], *, deps: Any = None, log: Any = None, concurrency: int = 8) -> Shadow:
        """Run the pipeline in the shadow of its agent: it reads, and what it would write is compared with what was.

        Args:
            runs: recorded runs of the agent, or their ids: best those that it was not made of.
            deps: reaches steps as `ctx.deps`.
            log: where the runs are, where ids are given; the default log when left out.
            concurrency: how many are run at one time.

        Returns:
            What was compared, and what that proves. Nothing was written.
        """
        return shadow(self.load(), runs, deps=deps, log=log, concurrency=concurrency)

    # shown -----------------------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        return as_text(self._shown(self._one_out))

    def _repr_mimebundle_(self, **_options: Any) -> dict[str, str]:  # Jupyter passes include and exclude
        if self.plan is not None and self._one_out is None and len(self.selection.traces) <= _SHOWN_RUNS:
            self.leave_one_out(sample=10, seconds=_SHOWN_SECONDS)
        return {"text/plain": repr(self), "text/html": as_html(self._shown(self._one_out))}

    def _ipython_display_(self) -> None:
        show: Any = registry.load("IPython.display:display")  # which has no types
        show(self._repr_mimebundle_(), raw=True)
        if self.plan is not None:
            with suppress(Exception):  # without widgets there is the document
                registry.load(registry.DISPLAYS["promotion"])(self)

    def _shown(self, one_out: LeaveOneOut | None) -> Shown:
        plan = self.plan
        shown = Shown(self.agent.name, self.name, self.refused, (), self.left_out, self.variants)
        if plan is None:
            return shown
        graph = load_plan(plan, self.agent, f"{self.name} shown").graph.graph
        return replace(
            shown,
            doubts=plan.doubts,
            arguments=arguments_of(plan),
            graph=replace(graph, name=self.name),
            source=self.source,
            one_out=one_out,
        )

    # inside ----------------------------------------------------------------------------------------------------------

    def kept_runs(self) -> list[KeptRun]:
        """The runs that are kept for the tests, of each variant in turn; what the pipeline makes of each is known.

        Raises:
            ConfigError: the runs were refused.
            PromotionError: the pipeline does something else than one of them.
        """
        plan = self._planned()
        pipeline, agent = load_plan(plan, self.agent, f"{self.name} replayed"), self.agent.definition
        found = chosen(map(partial(kept_run, agent, plan), variant.traces) for variant in self._variants)
        kept: list[KeptRun] = []
        wrong: list[str] = []
        for run in found:
            done = replay(pipeline, run)
            outcome, why = compare(run, done)
            if outcome == "equal":
                needed = [
                    call for call in run.calls if any(call.is_for(made.tool, made.arguments) for made in done.calls)
                ]
                kept.append(replace(run, calls=tuple(needed)))
            elif outcome == "different":
                wrong.append(f"run {run.run_id}: {why}")
            else:
                kept.append(replace(run, expected="stops"))
        if wrong:
            raise PromotionError(
                "nothing was written: the pipeline does something else than the runs it is made of", wrong
            )
        return kept

    def _texts(self, where: files.Files, *, overwrite: bool) -> dict[Path, str]:
        module, plan = self._written(), self._planned()
        if module.bare:
            raise PromotionError(_notebook_only(self.agent.name, list(module.bare)))
        runs = RunsFile(
            agent=self.agent.name,
            pipeline=self.name,
            seen=len(plan.runs),
            runs=self.kept_runs(),
            choices=choices_of(plan),
        )
        return files.texts(where, module.source, runs, overwrite=overwrite)

    def _planned(self) -> Plan:
        if self.plan is None:
            raise ConfigError("nothing is promoted: " + "; ".join(self.refused))
        return self.plan

    def _written(self) -> Module:
        plan = self._planned()
        if self._module is None:
            raw = write_module(plan, self.agent.definition, self.agent, name=self.name, heading=self._heading(plan))
            self._module = Module(tidy(raw.source, Path.cwd() / "promoted.py"), raw.bare)
        return self._module

    def _heading(self, plan: Plan) -> str:
        said = first_sentence(self.agent.definition.instructions) or f"What the agent {self.agent.name} does."
        made = (
            f"A pipeline that agentkit made from {len(plan.runs)} of {self.selection.seen} recorded runs of the agent "
            f"{self.agent.name}. Edit it as you like: promoting again keeps what you changed."
        )
        lines = [said, "", *textwrap.wrap(made, _WIDTH)]
        if plan.doubts:
            lines += ["", "What the runs showed:", "", *(line for doubt in plan.doubts for line in _bullet(doubt))]
        return "\n".join(lines) + "\n"


def _bullet(doubt: str) -> list[str]:
    return textwrap.wrap(f"- {doubt}.", _WIDTH, subsequent_indent="  ", break_long_words=False)


def _notebook_only(agent: str, names: Sequence[str]) -> str:
    listed = ", ".join(f"`{name}`" for name in names)
    verb = "lives" if len(names) == 1 else "live"
    return (
        f"nothing was written: {listed} {verb} in a notebook or a script, and a module cannot import it from there. "
        f'Write the agent as a module first, ak.promote({agent}, to="module").write("{agent}_agent.py"), import it '
        "from there and promote that one"
    )
