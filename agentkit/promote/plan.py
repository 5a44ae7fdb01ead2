"""What a promoted pipeline is, before it is code: its steps, where each argument comes from, what guards it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from agentkit.promote.computed import Each
from agentkit.promote.expressions import Env, Expr, Field
from agentkit.promote.search import Source
from agentkit.promote.ways import Split

BELIEVED = 3
"""So many runs have to have something of which chance may be the reason: a constant, a form, a count."""


@dataclass(frozen=True, slots=True)
class Guard:
    """Something that held in every run: where it does not, the pipeline hands over.

    Args:
        subject: what it is about.
        value: what it was; a pair is the lowest and the highest that a number was.
        runs: in how many runs it held.
    """

    subject: Expr
    value: Any  # JSON
    runs: int


@dataclass(frozen=True, slots=True)
class OneOf:
    """A status, and those that it was in the runs.

    Args:
        subject: what says it.
        values: what it was; sorted.
    """

    subject: Field
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NotEmpty:
    """A list that had elements in every run, and of which something is made that would be 0 of none.

    Args:
        subject: the list.
    """

    subject: Expr


@dataclass(frozen=True, slots=True)
class Counted:
    """A number that in every run said how many elements a list beside it has.

    Args:
        subject: the number.
        items: the list.
    """

    subject: Expr
    items: Expr


@dataclass(frozen=True, slots=True)
class Agreed:
    """Explanations of an argument of a later write: where they differ, nothing has been written yet.

    Args:
        tool: the later write's.
        argument: its name.
        source: the explanations.
    """

    tool: str
    argument: str
    source: Source


@dataclass(frozen=True, slots=True)
class Formed:
    """A text that in every run had the same words around what varies.

    Args:
        subject: the text.
        pattern: a regular expression that all of it matches.
        runs: how many runs there are.
    """

    subject: Expr
    pattern: str
    runs: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """A text that asks for what the runs did: a model has read it.

    Args:
        step: the step that asks the model.
        text: the input.
        pieces: what plain code takes from it.
    """

    step: str
    text: str
    pieces: tuple[str, ...]


Condition: TypeAlias = Guard | OneOf | NotEmpty | Counted | Agreed | Formed | Wanted
"""What has to hold before something is written."""


@dataclass(slots=True)
class PlannedStep:
    """One call of a tool or one question to a model, or one for each element of a list.

    Args:
        name: the step's.
        tool: the tool's name; of a question, that of the tool which the answer is for.
        asks: whether a model is asked: `arguments` are then what it gives.
        writes: whether it changes something.
        arguments: where each comes from.
        over: the list that it is called for each element of; None where it is called once.
        element: what an element is called.
        joined: the names of earlier loops over the same list, whose results of the same element may be used.
        after: steps that came before it in every run and give it nothing.
        guards: what has to hold before it.
        echoes: arguments that a read's result has again, under the same name: the field of the result by the name.
        settled: arguments whose explanations an earlier write's guards have compared.
        edited: in how many runs a person changed an argument, by its name.
        way: the only way on which it is made; None where it always is.
        runs: how many runs it was seen in.
    """

    name: str
    tool: str
    writes: bool
    arguments: dict[str, Source]
    over: Each | None = None
    element: str = "one"
    joined: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    guards: list[Condition] = field(default_factory=list[Condition])
    echoes: dict[str, Expr] = field(default_factory=dict[str, Expr])
    settled: frozenset[str] = frozenset()
    edited: dict[str, int] = field(default_factory=dict[str, int])
    runs: int = 0
    asks: bool = False
    way: str | None = None


@dataclass(slots=True)
class Plan:
    """A promoted pipeline.

    Args:
        inputs: the names of the agent's input's fields; ("text",) where it is a text.
        steps: in an order in which they can run.
        outputs: for each way, where each field of the output comes from; under "" where it has none. The way is ""
            where there is only one.
        splits: what tells the ways apart.
        ways: how many runs went each way; empty where there is only one.
        guards: what has to hold before the ways part, or at the end, where no write has them.
        wanted: inputs in prose of which a model says whether they ask for what the runs did.
        doubts: what a reader should know.
        runs: the runs it was made of.
        envs: in each of them, the values of all names; for checks.
    """

    inputs: tuple[str, ...]
    steps: list[PlannedStep]
    outputs: Mapping[str, Mapping[str, Source]]
    splits: list[Split] = field(default_factory=list[Split])
    ways: dict[str, int] = field(default_factory=dict[str, int])
    guards: list[Condition] = field(default_factory=list[Condition])
    wanted: list[Wanted] = field(default_factory=list[Wanted])
    doubts: list[str] = field(default_factory=list[str])
    runs: tuple[str, ...] = ()
    envs: list[Env] = field(default_factory=list[Env])
