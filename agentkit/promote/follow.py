"""From what a pipeline or an agent is to all that its source needs: names followed through a user's statements."""

import ast
import builtins
import importlib
import re
import sys
import types
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from agentkit.functions.code_names import changed_names
from agentkit.pipeline import Pipeline
from agentkit.pipeline.declared import Declared
from agentkit.promote.changed import why_changed
from agentkit.promote.imports import Import
from agentkit.promote.names import uses
from agentkit.promote.refusals import of_history, why_live, why_no_source
from agentkit.promote.secrecy import why_secret
from agentkit.promote.source_of import Sources, Statement, without_decorators
from agentkit.redact import Redactor
from agentkit.text import one_line

_OF_A_PROMPT = frozenset({"get_ipython", "display", "_"})
"""What a notebook, a doctest or a prompt puts among the builtins: a module finds none of it."""
_GIVEN = frozenset({"__name__", "__doc__", "__builtins__", "__spec__", "__package__", "__annotations__"})
"""Names that every module has."""

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(frozen=True)
class Asker:
    """Who needs a name.

    Args:
        who: the step or the agent, in words.
        through: the names by which it does.
    """

    who: str
    through: tuple[str, ...] = ()

    def needs(self, name: str | None, place: str) -> str:
        """The beginning of a sentence about a name that it needs, or about itself."""
        through = f"through {', '.join(f'`{one}`' for one in self.through)}" if self.through else ""
        aside = "; ".join(part for part in (through, place) if part)
        return f"{self.who}{f' needs `{name}`' if name else ''}{f' ({aside})' if aside else ''}"

    def by(self, name: str) -> "Asker":
        """The same, who needs something through a name."""
        return Asker(self.who, (*self.through, name))


@dataclass
class Followed:
    """What a module is made of.

    Args:
        sources: where it is taken from.
        redactor: knows what is secret.
        statements: what is needed, in the order in which it was found.
        imports: what is imported.
        problems: what cannot be written, a sentence each.
        pipelines: those that belong to it; a function that is a step of another one too is written without that.
        met: pipelines that a statement uses.
    """

    sources: Sources
    redactor: Redactor
    statements: list[Statement] = field(default_factory=list[Statement])
    imports: set[Import] = field(default_factory=set[Import])
    problems: list[str] = field(default_factory=list[str])
    pipelines: list[Pipeline] = field(default_factory=list[Pipeline])
    met: list[Pipeline] = field(default_factory=list[Pipeline])
    _known: set[str] = field(default_factory=set[str])
    _owners: dict[str, Statement] = field(default_factory=dict[str, Statement])
    _taken: dict[Statement, Statement] = field(default_factory=dict[Statement, Statement])
    _open: "deque[tuple[Statement, Asker]]" = field(default_factory=deque[tuple[Statement, Asker]])

    def need(self, name: str, asker: Asker) -> None:
        """A name that is needed, and all that it needs in turn.

        Args:
            name: the name.
            asker: who needs it.
        """
        self._name(name, None, asker)
        self._go_on()

    def add_step(self, step: Declared, statement: Statement, asker: Asker) -> None:
        """A step that is needed, and all that it needs.

        Args:
            step: the step.
            statement: what declared it.
            asker: the step, in words.
        """
        if isinstance(statement.node, ast.For | ast.While | ast.AsyncFor):
            self.refuse(asker, None, statement, "a loop declares it; write a statement of its own for each step")
            return
        for value in (step.work, step.when, step.options.approve, step.on_reject):
            if (why := why_live(value)) is not None:
                self.refuse(asker, None, statement, why)
        self._open.append((statement, asker))
        self._go_on()

    def written(self, statement: Statement) -> Statement | None:
        """A statement as it is written: without decorators of other pipelines; None where it is not needed."""
        return self._taken.get(statement)

    def _go_on(self) -> None:
        while self._open:
            statement, asker = self._open.popleft()
            if statement not in self._taken:
                self._taken[statement] = trimmed = self._trimmed(statement)
                self._take(trimmed, asker)

    def _take(self, statement: Statement, asker: Asker) -> None:
        self.statements.append(statement)
        for bound in statement.binds - {"_"}:
            other = self._owners.setdefault(bound, statement)
            if other is not statement:
                self.refuse(
                    asker, None, statement, f"`{bound}` is the name of something else at {other.place}; rename one"
                )
        if (why := why_secret(statement, self.redactor)) is not None:
            self.refuse(asker, None, statement, why)
        for used in uses(statement.node):
            self._name(used, statement, asker)

    def _trimmed(self, statement: Statement) -> Statement:
        """A function's statement without the decorators that make it a step of another pipeline."""

        def is_other(decorator: ast.expr) -> bool:
            made = self.sources.names.get(ast.unparse(decorator).partition(".step")[0])
            return isinstance(made, Pipeline) and not any(made is one for one in self.pipelines)

        return without_decorators(statement, is_other)

    def refuse(self, asker: Asker, name: str | None, statement: Statement | None, why: str) -> None:
        """Say that something cannot be written, who needs it, and what to do."""
        problem = self.redactor.text(f"{asker.needs(name, statement.place if statement else '')}: {why}")
        if problem not in self.problems:
            self.problems.append(problem)

    def _name(self, name: str, user: Statement | None, asker: Asker) -> None:
        """A name that a statement uses."""
        if name in self._known or name in _GIVEN:
            return
        names = self.sources.names
        found = self.sources.binding(name)
        if found is None and name not in names and hasattr(builtins, name) and name not in _OF_A_PROMPT:
            return
        self._known.add(name)
        if found is None:
            self._unwritten(name, user, asker)
        elif isinstance(found.node, ast.Import | ast.ImportFrom):
            self._import(name, found.node)
        elif name not in names:
            self._typing_only(name, found, user, asker)
        else:
            self._statement(name, found, user, asker)

    def _statement(self, name: str, found: Statement, user: Statement | None, asker: Asker) -> None:
        value = self.sources.names[name]
        if isinstance(value, Pipeline):
            self.met.append(value)
        own = name in uses(found.node) and not isinstance(found.node, ast.FunctionDef | ast.ClassDef)
        again = "it is made of the value that it had before; write its value as one statement" if own else None
        why = (
            why_no_source(found)
            or again
            or why_live(value)
            or why_changed(found, name, self.sources.names, self.redactor)
            or self._why_written_into(name, found)
        )
        if why is not None:
            self.refuse(asker, name, found, why)
        elif found is not user:
            self._open += [(one, asker.by(name)) for one in (found, *self._additions(name, found))]

    def _why_written_into(self, name: str, found: Statement) -> str | None:
        """Why a value is more than its statement gives: a later statement wrote into it."""
        if isinstance(found.node, _DEFINITIONS) or isinstance(self.sources.names[name], Pipeline):
            return None
        executed = [one for one in self.sources.after(found) if not isinstance(one.node, _DEFINITIONS)]
        later = next((one for one in executed if name in changed_names(one.text)), None)
        if later is None:
            return None
        return f"`{one_line(ast.unparse(later.node), 60)}` ({later.place}) changes it; write its value as one statement"

    def _additions(self, name: str, found: Statement) -> list[Statement]:
        """What later statements add to a function or a class: a registration, `model_rebuild()`, an attribute."""
        if not isinstance(found.node, _DEFINITIONS):
            return []
        added = [one for one in self.sources.after(found) if name in _added_to(one.node)]
        return list({ast.dump(one.node): one for one in added}.values())  # the newest of the same

    def _unwritten(self, name: str, user: Statement | None, asker: Asker) -> None:
        """A name that no statement gives: a star import's, a notebook's own, or one that is not there."""
        value = self.sources.names.get(name, getattr(builtins, name, None))
        if name == "__file__":
            why = "a module's is another file; give the path as an input of the pipeline"
        elif name == "get_ipython" or of_history(name):
            why = "only a notebook has it; write in Python what it is needed for"
        elif (place := _importable(name, value)) is not None:
            self.imports.add(place)
            return
        elif user is not None and name in uses(user.node).only_quoted:
            return
        elif name not in self.sources.names:
            why = "nothing defines it; define it, or take it out"
        else:
            why = f"no statement of {self.sources.title} gives it its value; write one, or make it a parameter"
        self.refuse(asker, name, None, why)

    def _import(self, name: str, node: ast.Import | ast.ImportFrom) -> None:
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            return
        for one in self._imports_of(node):
            if name in {one.alias, one.name, one.module} and (one.alias or one.name or one.module) == name:
                self.imports.add(one)
            elif one.name is None and one.alias is None and one.module.partition(".")[0] == name:
                self.imports |= set(self._below(name))

    def _below(self, root: str) -> list[Import]:
        """The imports `import root.…`, as many as there are: which of them is used, `used_imports` tells."""
        nodes = [one.node for one in self.sources.statements if root in one.binds]
        aliases = [alias for node in nodes if isinstance(node, ast.Import) for alias in node.names]
        return [Import(one.name) for one in aliases if one.asname is None and one.name.partition(".")[0] == root]

    def _imports_of(self, node: ast.Import | ast.ImportFrom) -> list[Import]:
        if isinstance(node, ast.Import):
            return [Import(one.name, None, one.asname if one.asname != one.name else None) for one in node.names]
        module = node.module or ""
        if node.level:  # relative to the package of where it stands
            package = str(self.sources.names.get("__package__") or "").split(".")
            module = ".".join(part for part in (*package[: len(package) - node.level + 1], module) if part)
        return [Import(module, one.name, one.asname if one.asname != one.name else None) for one in node.names]

    def _typing_only(self, name: str, found: Statement, user: Statement | None, asker: Asker) -> None:
        """A name that was bound and is not there: what `if TYPE_CHECKING` imports, or what was deleted."""
        if isinstance(found.node, ast.If) and ast.unparse(found.node.test).endswith("TYPE_CHECKING"):
            for node in found.node.body:
                for one in self._imports_of(node) if isinstance(node, ast.Import | ast.ImportFrom) else ():
                    if name in {one.alias, one.name, one.module}:
                        self.imports.add(Import(one.module, one.name, one.alias, typing_only=True))
        elif user is None or name not in uses(user.node).only_quoted:
            self.refuse(asker, name, found, "it is not there any more; execute its cell again")

    @property
    def used_imports(self) -> set[Import]:
        """The imports without those of `import a.b` that only share their `a` with one that is used."""
        text = "\n".join(ast.unparse(one.node) for one in self.statements)
        dotted = {one for one in self.imports if one.name is None and one.alias is None}
        used = {one for one in dotted if re.search(rf"\b{re.escape(one.module)}\b", text)}
        roots = {one.module.partition(".")[0] for one in used}
        return (self.imports - dotted) | used | {one for one in dotted if one.module.partition(".")[0] not in roots}


def _added_to(node: ast.stmt) -> set[str]:
    """The names whose values a statement adds something to."""
    match node:
        case ast.FunctionDef(decorator_list=decorators) | ast.AsyncFunctionDef(decorator_list=decorators):
            called = [one.func if isinstance(one, ast.Call) else one for one in decorators]
            return {
                one.value.id for one in called if isinstance(one, ast.Attribute) and isinstance(one.value, ast.Name)
            }
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="model_rebuild" | "register"))):
            return {name}
        case ast.Assign(targets=[ast.Attribute(value=ast.Name(id=name))]):
            return {name}
        case _:
            return set()


def _importable(name: str, value: Any) -> Import | None:
    """The module that has a value, where another process finds it there too."""
    if isinstance(value, types.ModuleType):
        return Import(value.__name__, None, name if value.__name__ != name else None)
    module, own = getattr(value, "__module__", None), getattr(value, "__name__", name)
    if not isinstance(module, str) or module in {"__main__", "builtins"} or not isinstance(own, str):
        return None
    if module.startswith("IPython.core.display_functions"):
        module = "IPython.display"
    try:
        held = getattr(sys.modules.get(module) or importlib.import_module(module), own, None)
    except ImportError:
        return None
    return Import(module, own, name if own != name else None) if held is value else None
