"""A pipeline, or an agent with its tools, that was written in a notebook as a module that stands alone."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentkit.agent import Agent
from agentkit.errors import PromotionError
from agentkit.pipeline import Pipeline
from agentkit.promote.facts import facts
from agentkit.promote.follow import Asker, Followed
from agentkit.promote.highlight import highlighted
from agentkit.promote.layout import edited, lay_out
from agentkit.promote.order import Steps, in_order
from agentkit.promote.proof import prove
from agentkit.promote.source_of import Sources, Statement, sources_of


@dataclass(frozen=True, repr=False)
class PromotedModule:
    """A module's source; in a notebook it shows itself with colours.

    Args:
        source: the text.
        name: what the module calls the pipeline or the agent.
        owner: what was promoted.
    """

    source: str
    name: str
    owner: Pipeline | Agent

    def write(self, path: str | Path, *, overwrite: bool = False, timeout: float = 60.0) -> Path:
        """Write the module, once it has been shown to stand alone.

        It is executed first in a process of its own, without this one's names and without a network, and what it
        defines is compared with what was promoted. Where that fails nothing is written, and a file that is there stays.

        Args:
            path: the file; its folder is made where there is none.
            overwrite: also a file that somebody edited since it was written, or that agentkit did not write.
            timeout: seconds that importing it may take.

        Returns:
            The path.

        Raises:
            PromotionError: the file is somebody's, the module cannot be executed, or it defines something else.
        """
        path = Path(path).expanduser()
        if path.suffix != ".py" or not path.stem.isidentifier():
            raise PromotionError(f"{str(path)!r} is no module's file; give one such as 'pipelines/{self.name}.py'")
        if path.exists() and not overwrite and (why := edited(path.read_text("utf-8", "replace"))) is not None:
            raise PromotionError(
                f"{path} was not written: it is there, and {why}; write(…, overwrite=True) replaces it"
            )
        definition = self.owner.definition
        prove(self.source, path, self.name, facts(definition), timeout, definition.redactor)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            temporary.write_text(self.source, "utf-8")
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        return path

    def __str__(self) -> str:
        return self.source

    __repr__ = __str__

    def _repr_mimebundle_(self, **_options: Any) -> dict[str, str]:  # Jupyter passes include and exclude
        return {"text/plain": self.source, "text/html": highlighted(self.source)}


def promote_module(owner: Pipeline | Agent) -> PromotedModule:
    """The source of a pipeline or an agent, and of what it needs, as one module.

    Args:
        owner: defined in a notebook's cells, a script or a module.

    Raises:
        PipelineError: its steps do not fit together.
        PromotionError: what cannot be written: each object, what needs it, and what to do.
    """
    definition = owner.definition
    what = f"the {definition.kind} {owner.name!r}"
    sources = sources_of(_home(owner, what))
    name = _name(owner, sources, what)
    followed, steps = _followed(owner, name, sources, what)
    if followed.problems:
        raise PromotionError(f"{what} cannot become a module:", followed.problems)
    docstring = sources.docstring or f'"""The {definition.kind} {owner.name}."""'
    ordered = in_order(sources, followed.statements, steps)
    source = lay_out(docstring, ordered, followed.used_imports, postponed=sources.postponed)
    return PromotedModule(source, name, owner)


def _home(owner: Pipeline | Agent, what: str) -> str:
    """The module whose names it is made of: the one that has it, and a notebook's where a cell added a step."""
    declared = owner.declared.values() if isinstance(owner, Pipeline) else ()
    places = [step.written.module for step in declared if step.written is not None]
    candidates = [*(place for place in places if place == "__main__"), owner.definition.place, *places, "__main__"]
    for module in candidates:
        if module in sys.modules and any(value is owner for value in vars(sys.modules[module]).values()):
            return module
    named = owner.name if owner.name.isidentifier() else "name"
    raise PromotionError(
        f"{what} cannot become a module: no name outside of a function has it; write {named} = … in a cell, or at the "
        "top of a module"
    )


def _name(owner: Pipeline | Agent, sources: Sources, what: str) -> str:
    """The name that has it, and that a statement gave."""
    names = [name for name, value in sources.names.items() if value is owner]
    for name in names:
        if sources.binding(name) is not None:
            return name
    raise PromotionError(
        f"{what} cannot become a module: no source is kept of what made `{names[0]}`; write it in a file or a cell"
    )


def _followed(owner: Pipeline | Agent, name: str, sources: Sources, what: str) -> tuple[Followed, Steps]:
    """All that it needs, and the statements that declare steps; again as long as other pipelines turn up in it."""
    pipelines = [owner] if isinstance(owner, Pipeline) else []
    while True:
        followed = Followed(sources, owner.definition.redactor, pipelines=pipelines)
        followed.need(name, Asker(what))
        steps = {name: one for pipeline in pipelines for name, one in _steps(pipeline, followed)}
        new = [one for one in followed.met if not any(one is known for known in pipelines)]
        if not new:
            return followed, steps
        pipelines = [*pipelines, new[0]]


def _steps(pipeline: Pipeline, followed: Followed) -> list[tuple[str, list[Statement]]]:
    """What a pipeline is called, and the statements that declare its steps, followed too."""
    found: list[Statement] = []
    for name, step in pipeline.declared.items():
        asker = Asker(f"the step {name!r}")
        if step.written is not None and step.written.module != followed.sources.module:
            continue  # it comes with the import of its pipeline
        statement = followed.sources.declared(step.written, name)
        if statement is None:
            followed.refuse(asker, None, None, "no source is kept of what declared it; write it in a file or a cell")
            continue
        followed.add_step(step, statement, asker)
        found += [one for one in [followed.written(statement)] if one is not None]
    return [(name, found) for name, value in followed.sources.names.items() if value is pipeline]
