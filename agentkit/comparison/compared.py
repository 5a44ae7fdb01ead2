"""Two runs held against each other, as values; how they are shown is in `text` and `html`."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from agentkit.comparison import html, text
from agentkit.comparison.difference import Difference, differences
from agentkit.comparison.facts import Step, beginning, end, plain, steps
from agentkit.errors import AgentKitError, ConfigError
from agentkit.log import Log, open_log
from agentkit.messages import Usage
from agentkit.rows import Rows
from agentkit.runner.prompt import rebuild_prompt
from agentkit.runner.run import Run
from agentkit.state import State

BEGINNING = "the beginning"
END = "the end"


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two runs as a whole.

    Args:
        run_id: its id.
        name: the agent's or the pipeline's.
        status: its recorded status.
        usage: what it used, its child runs' use included; of a fork only what it did itself.
        seconds: from its beginning to its end, waiting included; None where it has not ended.
        steps: how many steps it began.
        attempts: how often they were tried in all.
    """

    run_id: str
    name: str
    status: str
    usage: Usage
    seconds: float | None
    steps: int
    attempts: int


@dataclass(frozen=True, slots=True)
class Pair:
    """One step in both runs.

    Args:
        path: the step's path.
        a: what the first run did there; None where it was not there.
        b: what the second did.
        differs: what is not the same, for example ("arguments", "result"); empty where all is.
        shared: the second run is a fork, and took it from the first.
    """

    path: str
    a: Step | None
    b: Step | None
    differs: tuple[str, ...]
    shared: bool = False

    @property
    def same(self) -> bool:
        """Whether both runs did the same there."""
        return self.a is not None and self.b is not None and not self.differs


@dataclass(frozen=True, repr=False)
class Comparison:
    """Two runs side by side. It prints as text, and is a table in a notebook.

    Args:
        a: the first run.
        b: the second.
        pairs: every step of either.
        began: how what they began with differs: the input, the definition.
        details: how the first step that differs does.
        ended: how their ends differ.
    """

    a: Side
    b: Side
    pairs: tuple[Pair, ...]
    began: tuple[Difference, ...]
    details: tuple[Difference, ...]
    ended: tuple[Difference, ...]

    @property
    def first(self) -> Pair | None:
        """The first step that is not the same in both."""
        return next((pair for pair in self.pairs if not pair.same), None)

    @property
    def parts_at(self) -> str | None:
        """Where they part: "the beginning", a step's path, "the end"; None where they do the same."""
        if self.began:
            return BEGINNING
        if self.first is not None:
            return self.first.path
        return END if self.ended else None

    @property
    def same(self) -> bool:
        """Whether both began with the same and did the same, whatever it cost."""
        return self.parts_at is None

    @property
    def rows(self) -> Rows:
        """One row a step, for a frame: what differs, and what it cost in each run."""
        columns = ("step", "kind", "name", "same", "differs", *(f"{name}_{side}" for side in "ab" for name in _COSTS))
        return Rows(columns, [_row(pair) for pair in self.pairs])

    def __str__(self) -> str:
        return text.lines(self)

    def __repr__(self) -> str:
        return text.lines(self)

    def _repr_mimebundle_(self, **_options: Any) -> dict[str, str]:  # Jupyter passes include and exclude
        return {"text/plain": text.lines(self), "text/html": html.table(self)}


_COSTS = ("seconds", "tokens", "usd", "attempts")


def _row(pair: Pair) -> tuple[Any, ...]:
    some = pair.a or pair.b
    assert some is not None, "a pair is of at least one run"
    costs: list[Any] = []
    for step in (pair.a, pair.b):
        used = step.usage if step is not None else Usage()
        tokens = used.input_tokens + used.output_tokens
        costs += [None] * len(_COSTS) if step is None else [step.seconds, tokens, used.cost_usd, step.attempts]
    return (pair.path, some.kind, some.name, pair.same, ", ".join(pair.differs), *costs)


def compare(a: Run | str, b: Run | str | None = None, *, log: Log | None = None) -> Comparison:
    """Hold two runs against each other: where they part, and what each cost.

    Args:
        a: a run, or the beginning of its id.
        b: another; left out, `a` is a fork, and is held against the run that it was forked from.
        log: where the ids are; the default log when left out.

    Returns:
        The comparison: `print` it, or let a cell end with it. `.parts_at`, `.pairs` and `.rows` hold it as values.

    Raises:
        RunNotFound: there is no such run.
        ConfigError: `b` is left out, and `a` is no fork.
    """
    first = _run(a, log)
    if b is not None:
        return _compared(first, _run(b, log))
    origin = first.state.origin
    if origin is None or origin.kind != "fork":
        raise ConfigError(f"run {first.run_id} is no fork: say which run to compare it with, compare(a, b)")
    return _compared(Run(first.store, origin.run_id), first)


def _run(run: Run | str, log: Log | None) -> Run:
    return run if isinstance(run, Run) else (log or open_log()).run(run)


def _compared(a: Run, b: Run) -> Comparison:
    one, other = a.state, b.state
    mine, theirs = steps(one), steps(other)
    is_fork = other.origin is not None and other.origin.run_id == one.run_id
    pairs = tuple(_pair(path, mine.get(path), theirs.get(path), is_fork) for path in _merged(mine, theirs))
    first = next((pair for pair in pairs if not pair.same), None)
    return Comparison(
        _side(one, mine),
        _side(other, theirs),
        pairs,
        tuple(_all(beginning(one), beginning(other))),
        tuple(_details(first, a, b, one, other)) if first is not None else (),
        tuple(_all(end(one), end(other))),
    )


def _side(state: State, found: Mapping[str, Step]) -> Side:
    seconds = (state.ended_at - state.started_at).total_seconds() if state.ended_at is not None else None
    usage = state.usage + state.child_usage
    attempts = sum(step.attempts for step in found.values())
    return Side(state.run_id, state.name, state.status, usage, seconds, len(found), attempts)


def _pair(path: str, a: Step | None, b: Step | None, is_fork: bool) -> Pair:
    if a is None or b is None:
        return Pair(path, a, b, ())
    labels = [label for label in dict.fromkeys([*a.facts, *b.facts]) if a.facts.get(label) != b.facts.get(label)]
    shared = is_fork and a.started is not None and a.started == b.started and not labels
    return Pair(path, a, b, tuple(labels), shared)


def _merged(a: Mapping[str, Step], b: Mapping[str, Step]) -> Iterator[str]:
    """The steps of both in the first's order, the second's own behind what they follow there."""
    after: dict[str | None, list[str]] = {}
    last = None
    for path in b:
        if path in a:
            last = path
        else:
            after.setdefault(last, []).append(path)
    yield from after.get(None, ())
    for path in a:
        yield path
        yield from after.get(path, ())


def _all(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Difference]:
    for label in dict.fromkeys([*a, *b]):
        yield from differences(label, a.get(label), b.get(label))


def _details(pair: Pair, a: Run, b: Run, one: State, other: State) -> Iterator[Difference]:
    if pair.a is None or pair.b is None:
        return
    for label in pair.differs:
        if label in {"prompt", "question"}:
            yield from _all(_prompt(a, pair.path), _prompt(b, pair.path))
        elif label == "inputs":
            yield from _all(_inputs(one, pair.path), _inputs(other, pair.path))
        else:
            yield from differences(label, pair.a.facts.get(label), pair.b.facts.get(label))


def _prompt(run: Run, path: str) -> dict[str, Any]:
    """What a model was told there, without ids; what the log cannot give is left out."""
    with suppress(AgentKitError):
        request = rebuild_prompt(run.store, run.run_id, path).request
        return {"instructions": request.instructions, "prompt": [plain(message) for message in request.messages]}
    return {}


def _inputs(state: State, path: str) -> dict[str, Any]:
    """What a pipeline's step took: inputs of the run, and results of the steps before it."""
    facts: dict[str, Any] = state.config.get("steps", {}).get(path.partition("[")[0], {})
    sources = [*facts.get("needs", {}).values(), *facts.get("each", {}).values()]
    given = cast("dict[str, Any]", state.input)
    return {
        source: state.calls[source].result if source in state.calls else given.get(source)
        for source in dict.fromkeys(sources)
    }
