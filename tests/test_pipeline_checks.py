"""What is wrong with a pipeline, as its user reads it: exact messages, all of them at once."""

# ruff: noqa: E501  a message stands on one line, as it is read

import functools
import warnings

import pytest
from pydantic import BaseModel

import agentkit as ak
from agentkit.errors import EncodingError
from agentkit.testing import ScriptedModel


class Facts(BaseModel):
    amount: float


class Order(BaseModel):
    id: str


class Handle:
    """Nothing that JSON can hold."""


def triage(**options):
    return ak.Pipeline("triage", input={"ticket": str, "tickets": list[str]}, **options)


# what does not fit together: said when the pipeline is shown, checked or run ------------------------------------------

WRONG = []


def says(*problems, **options):
    """Declares steps on a pipeline with the inputs `ticket` and `tickets`, and has these problems."""

    def keep(declare):
        WRONG.append(pytest.param(declare, list(problems), options, id=declare.__name__))

    return keep


@says(
    "facts: its parameter 'tickt' is no input and no step; did you mean 'ticket'? (there are: ticket, tickets, order)",
    "order: its parameter 'fcts' is no input and no step; did you mean 'facts'? (there are: ticket, tickets, facts)",
)
def misspelt_names(p):
    @p.step
    def facts(tickt: str) -> Facts: ...
    @p.step
    def order(fcts: Facts) -> Order: ...


@says("facts: its parameter 'language' is no input and no step (there are: ticket, tickets)")
def a_name_like_no_other(p):
    @p.step
    def facts(ticket: str, language: str) -> Facts: ...


@says(
    "facts: its parameter 'ctx' is no input and no step; annotate it as ak.Context (in an `async def` ak.AsyncContext)"
)
def a_context_without_its_annotation(p):
    @p.step
    def facts(ticket: str, ctx) -> Facts: ...


@says("facts: its parameter 'facts' would get its own result; rename the step, or say needs={'facts': …}")
def a_step_that_needs_itself(p):
    @p.step
    def facts(facts: str) -> str: ...


@says("no step can be the first: b needs a, c needs b, a needs c")
def a_cycle(p):
    @p.step
    def a(c: int) -> int: ...
    @p.step
    def b(a: int) -> int: ...
    @p.step
    def c(b: int) -> int: ...


@says(
    "count: its parameter 'ticket' cannot take what the input 'ticket' gives: str is given, and int is wanted",
    "order: its parameter 'count' cannot take what the step 'count' gives: int is given, and Facts is wanted",
    "pay: its parameter 'order' cannot take what the step 'order' gives: Order has no field `amount`, which Facts requires",
    "lines: its parameter 'tickets' cannot take what the input 'tickets' gives: in list[str], `[]`: str is given, and int is wanted",
)
def types_that_do_not_fit(p):
    @p.step
    def count(ticket: int) -> int: ...
    @p.step
    def order(count: Facts) -> Order: ...
    @p.step
    def pay(order: Facts) -> None: ...
    @p.step
    def lines(tickets: list[int]) -> None: ...


@says("facts: its parameter 'text' cannot take what the input 'tickets' gives: str is given, and Facts is wanted")
def an_element_that_does_not_fit(p):
    @p.step(each="tickets")
    def facts(text: Facts) -> Facts: ...


@says(
    "total: its parameter 'facts' cannot take what the step 'facts' gives: in list[Facts], `[]`: Facts is given, and str is wanted"
)
def a_list_of_results_that_does_not_fit(p):
    @p.step(each="tickets")
    def facts(text: str) -> Facts: ...
    @p.step
    def total(facts: list[str]) -> int: ...


@says("facts: each='tickts' is no input and no step; did you mean 'tickets'? (there are: ticket, tickets)")
def each_of_a_misspelt_list(p):
    @p.step(each="tickts")
    def facts(text: str) -> Facts: ...


@says("facts: each='ticket' has to be a list, and the input 'ticket' is str")
def each_of_what_is_no_list(p):
    @p.step(each="ticket")
    def facts(text: str) -> Facts: ...


@says(
    "facts: which parameter gets one element of 'tickets'? ('one' and 'two' could); say it: each=('one', 'tickets')",
    "more: which parameter gets one element of 'tickets'? (each of its parameters is an input or a step); say it: each=('ticket', 'tickets')",
    "none: it takes no parameter, so no element of 'tickets' can reach it",
)
def each_without_its_parameter(p):
    @p.step(each="tickets")
    def facts(one: str, two: str) -> Facts: ...
    @p.step(each="tickets")
    def more(ticket: str) -> Facts: ...
    @p.step(each="tickets")
    def none() -> Facts: ...


@says("facts: each names a parameter 'txt' that it has not; did you mean 'text'?")
def each_for_a_misspelt_parameter(p):
    @p.step(each=("txt", "tickets"))
    def facts(text: str) -> Facts: ...


@says(
    "total: its parameter 'facts' cannot take the ak.Failed that is in the place of a failed item of 'facts' (on_error='collect'); annotate it list[… | ak.Failed]",
    "order: its parameter 'fact' cannot take the ak.Failed that is in the place of a failed item of 'facts' (on_error='collect'); annotate it … | ak.Failed",
)
def failures_that_nobody_takes(p):
    @p.step(each="tickets", on_error="collect")
    def facts(text: str) -> Facts: ...
    @p.step
    def total(facts: list[Facts]) -> float: ...
    @p.step(each="facts")
    def order(fact: Facts) -> Order: ...


@says(
    "facts: needs names a parameter 'txt' that it has not; did you mean 'text'?",
    "facts: its parameter 'text' is no input and no step (there are: ticket, tickets, order)",
    "order: 'fcts', which its parameter 'given' is to get, is no input and no step; did you mean 'facts'? (there are: ticket, tickets, facts)",
)
def needs_that_name_nothing(p):
    @p.step(needs={"txt": "ticket"})
    def facts(text: str) -> Facts: ...
    @p.step(needs={"given": "fcts"})
    def order(given: Facts) -> Order: ...


@says(
    "facts: when: its parameter 'tickt' is no input and no step; did you mean 'ticket'? (there are: ticket, tickets)",
)
def a_condition_on_a_misspelt_name(p):
    @p.step(when=lambda tickt: True)
    def facts(ticket: str) -> Facts: ...


@says("facts: when(): *all has no schema; name each parameter, or take one, for example `all: list[str]`")
def a_condition_on_everything(p):
    @p.step(when=lambda *all: True)
    def facts(ticket: str) -> Facts: ...


@says("facts: when() gets inputs and results, and no context; take 'ctx' out")
def a_condition_with_a_context(p):
    def known(ticket: str, ctx: ak.Context) -> bool: ...

    @p.step(when=known)
    def facts(ticket: str) -> Facts: ...


@says("ticket is the name of an input and of a step; rename one")
def an_input_and_a_step_of_one_name(p):
    @p.step
    def ticket() -> str: ...


@says("output='fact' is no step; did you mean 'facts'? (there are: facts)", output="fact")
def an_output_that_is_misspelt(p):
    @p.step
    def facts(ticket: str) -> Facts: ...


@says("it has no steps; decorate functions with @pipeline.step")
def no_steps(p): ...


@says(
    "shout: its parameter 'text' is no input and no step (there are: ticket, tickets); say what it gets: needs={'text': …}"
)
def a_tool_that_nobody_feeds(p):
    p.step(shout)


@ak.tool
def shout(text: str) -> str:
    """Return the text in capital letters, for a headline."""
    return text.upper()


@says(
    "namer: its parameter 'task' is no input and no step (there are: ticket, tickets); say what it gets: needs={'task': …}"
)
def an_agent_that_nobody_tells_what_to_do(p):
    p.step(ak.Agent("namer", ScriptedModel([])))


@pytest.mark.parametrize(("declare", "problems", "options"), WRONG)
def test_what_does_not_fit_is_said_before_anything_runs(declare, problems, options):
    """Each problem names step and parameter, guesses the typo, says what to type; none is left for later."""
    pipeline = triage(**options)
    declare(pipeline)
    assert pipeline.problems == problems
    with pytest.raises(ak.PipelineError) as raised:
        pipeline.run(ticket="broken", tickets=[], log="memory:")
    assert str(raised.value) == "the pipeline 'triage' cannot run:" + "".join(f"\n  - {said}" for said in problems)


# what is wrong with one step: said where it is written ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cache": True, "writes": True}, "facts: a write cannot be cached: it would not happen; leave cache out"),
        ({"cache": 0}, "facts: cache=0; give True, or the seconds that a result stays good for"),
        ({"cache": "1 h"}, "facts: cache='1 h'; give True, or the seconds that a result stays good for"),
        (
            {"on_error": "collect"},
            "facts: on_error='collect' is for a step that runs for each element of a list: give each=",
        ),
        ({"on_error": "skip"}, "facts: on_error is 'fail' or 'collect', not 'skip'"),
        ({"on_reject": "stop"}, "facts: on_reject is 'fail', 'skip' or a function of the reason, not 'stop'"),
        ({"concurrency": 0}, "facts: concurrency=0; give how many items run at one time, a whole number, 1 or more"),
        (
            {"concurrency": "8"},
            "facts: concurrency='8'; give how many items run at one time, a whole number, 1 or more",
        ),
        (
            {"each": ["tickets"]},
            "facts: each=['tickets']; name the input or the step whose list it is: each='tickets', or each=('ticket', 'tickets') with the parameter that gets an element",
        ),
        ({"needs": ["ticket"]}, "needs=['ticket']; give names, parameter → input or step: needs={'text': 'ticket'}"),
        (
            {"needs": {"text": 5}},
            "facts: needs={'text': 5}; give names, parameter → input or step: needs={'text': 'ticket'}",
        ),
        (
            {"when": True},
            "facts: when=True; give a function of inputs and results, for example when=lambda facts: facts.ok",
        ),
        (
            {"name": "the facts"},
            "'the facts' is no name for a step: others need it by its name, so it has to be one in Python",
        ),
        ({"name": "class"}, "'class' is no name for a step: others need it by its name, so it has to be one in Python"),
        (
            {"writes": True, "retry": ak.Retry(max_attempts=3)},
            "facts(): a plain write is never retried, since its first attempt may have had its effect; leave retry out, or add idempotent=True if the service runs it once for one ctx.idempotency_key",
        ),
        (
            {"idempotent": True},
            "facts(): idempotent=True says that a *write* may run again with the same key; a tool that only reads may always run again: leave it out, or add writes=True",
        ),
        ({"retry": 3}, "facts(): retry=3; give a policy, for example ak.Retry(max_attempts=3)"),
        ({"retry_on": ValueError}, "facts(): retry_on=<class 'ValueError'>; give a tuple of exception classes"),
        ({"timeout": 0}, "facts(): timeout=0; give seconds above 0, or None for no limit"),
        ({"approve": "yes"}, "facts(): approve='yes'; give True, False or a function of the call"),
        (
            {"approve": lambda: True},
            "facts(): approve takes one argument, the call, for example `lambda call: call.args['amount'] > 50`",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_an_option_that_cannot_be_is_refused_at_once(options, message):
    """The message says which value of which step, and what to write instead; nothing was declared."""
    pipeline = triage()

    def facts(ticket: str) -> Facts: ...

    with pytest.raises(ak.ConfigError) as raised:
        pipeline.step(**options)(facts)
    assert str(raised.value) == message
    assert pipeline.drafted() == {}


def args(*tickets: str): ...
def keywords(**tickets: str): ...
def positional(ticket: str, /): ...
def method(self, ticket: str): ...
def opaque(ticket: Handle): ...
def gives(ticket: str) -> Handle: ...
def unknown(ticket: "Tickt"): ...  # noqa: F821
def generator(ticket: str):
    yield ticket


def awaits(ticket: str, ctx: ak.AsyncContext): ...
def both(ticket: str, ctx: ak.Context, context: ak.Context): ...


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (lambda ticket: ticket, "a step without a name: others need it by its name; give name='…'"),
        (functools.partial(opaque), "a step without a name: others need it by its name; give name='…'"),
        ("facts", "'facts' is no step: give a function, an agent, a tool or a pipeline"),
        (Facts, "Facts(): a class is no function; write one that makes and returns it"),
        (args, "args(): *tickets has no schema; name each parameter, or take one, for example `tickets: list[str]`"),
        (
            keywords,
            "keywords(): **tickets has no schema; name each parameter, or take one, for example `tickets: dict[str, str]`",
        ),
        (positional, "positional(): ticket is positional-only, and arguments are given by name; remove the `/`"),
        (
            method,
            "method(): self makes it a method that nothing is bound to; give the bound one, for example `ak.tool(thing.method)`, or a plain function",
        ),
        (
            opaque,
            "opaque(): ticket has the type Handle, which has no JSON schema; take what identifies it, for example `ticket: str`, a pydantic model, a dataclass or a list of them (Unable to generate pydantic-core schema for <class 'test_pipeline_checks.Handle'>)",
        ),
        (
            gives,
            "gives(): the result's type Handle is nothing that JSON can hold; return a pydantic model, a dataclass, a dict or a list (Unable to generate pydantic-core schema for <class 'test_pipeline_checks.Handle'>)",
        ),
        (
            unknown,
            "unknown(): the type of ticket, 'Tickt', cannot be read (name 'Tickt' is not defined); define or import that name at run time, before the function (not under TYPE_CHECKING)",
        ),
        (generator, "generator(): a generator has no single result to log; return a list"),
        (awaits, "awaits(): only an `async def` can await; annotate the context as ak.Context"),
        (both, "both(): ctx and context are both the context; keep one"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_no_step_is_refused_at_once(work, message):
    """The message says what to write instead."""
    with pytest.raises(ak.ConfigError) as raised:
        triage().step(work)
    assert str(raised.value) == message


def inner():
    pipeline = ak.Pipeline("inner", input={"text": str})
    pipeline.step(lambda text: text, name="same")
    return pipeline


def writer():
    put = ak.tool(writes=True, description="Write the text down and return where it is.")(shout.function)
    with warnings.catch_warnings(action="ignore"):  # what the linter says of it is not the matter
        return ak.Agent("writer", ScriptedModel([]), tools=[put])


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (
            lambda: shout,
            {"retry": ak.Retry()},
            "shout is a tool and keeps its own writes, idempotent, approve, retry and timeout; say them where it is made, with @ak.tool",
        ),
        (
            lambda: ak.Agent("namer", ScriptedModel([])),
            {"timeout": 5},
            "namer is an agent; writes, idempotent, retry and timeout are options of its tools",
        ),
        (
            inner,
            {"writes": True},
            "inner is a pipeline; writes, idempotent, retry and timeout are options of its steps",
        ),
        (writer, {"cache": True}, "writer: a write cannot be cached: it would not happen; leave cache out"),
    ],
)
def test_what_is_made_already_keeps_its_options(make, options, message):
    """An option that would be ignored, or cache what an agent writes, is refused."""
    with pytest.raises(ak.ConfigError) as raised:
        triage().step(make(), **options)
    assert str(raised.value) == message


# what is wrong with the pipeline itself, or with what a run is given --------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        *(
            (
                {"input": {name: str}},
                f"triage: an input cannot be named {name!r}: `run({name}=…)` is an option of the run",
            )
            for name in ("log", "deps", "budget", "tags", "session", "user")
        ),
        ({"input": {"the ticket": str}}, "triage: 'the ticket' is no name for an input: steps need it by its name"),
        ({"input": {"class": str}}, "triage: 'class' is no name for an input: steps need it by its name"),
        ({"input": ["ticket"]}, "triage: input=['ticket']; give names and types, for example input={'ticket': str}"),
        ({"input": {"n": (int,)}}, "triage: the input 'n' is (<class 'int'>,); give a type, or (type, default)"),
        (
            {"input": {"n": (int, "a")}},
            "triage: n has the default 'a', which its type does not allow (Input should be a valid integer, unable to parse string as an integer)",
        ),
        (
            {"input": {"n": Handle}},
            "triage: n has the type Handle, which has no JSON schema; take what identifies it, for example `n: str`, a pydantic model, a dataclass or a list of them (Unable to generate pydantic-core schema for <class 'test_pipeline_checks.Handle'>)",
        ),
        ({"output": 5}, "triage: output=5; give the name of the step whose result a run ends with, or a list"),
        ({"output": []}, "triage: output=[]; give the name of the step whose result a run ends with, or a list"),
        ({"model": 5}, "5 is no model: give a name, or an object with `name`, `respond` and `price`"),
    ],
)
def test_a_pipeline_that_cannot_be_is_refused(options, message):
    """At the line that makes it, with what to write instead."""
    with pytest.raises(ak.ConfigError) as raised:
        ak.Pipeline("triage", **options)
    assert str(raised.value) == message


@pytest.mark.parametrize("name", ["", None, 5])
def test_a_pipeline_needs_a_name(name):
    """Its runs are found by it."""
    with pytest.raises(ak.ConfigError) as raised:
        ak.Pipeline(name)
    assert str(raised.value) == "a pipeline needs a name, a text: its runs are found and resumed by it"


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({}, ak.ConfigError, "triage: the input 'amount' is missing (run takes: amount, note)"),
        (
            {"amount": "much"},
            ak.ConfigError,
            "triage: the input 'amount': Input should be a valid integer, unable to parse string as an integer, not 'much' (run takes: amount, note)",
        ),
        (
            {"amuont": 5},
            ak.ConfigError,
            "triage: the input 'amount' is missing; there is no input 'amuont', did you mean 'amount'? (run takes: amount, note)",
        ),
        (
            {"amount": 5, "tag": ["a"]},
            ak.ConfigError,
            "triage: there is no input 'tag', did you mean 'tags'? (run takes: amount, note)",
        ),
        (
            {"amount": 5, "note": Handle()},
            EncodingError,
            "triage: the input note: not a JSON value (Unable to serialize unknown type: <class 'test_pipeline_checks.Handle'>); connections and clients reach steps as ctx.deps, by run(deps=…)",
        ),
    ],
)
def test_a_wrong_input_is_refused_before_a_run_begins(log, given, error, message):
    """The message names the input, the value and what `run` takes; the log stays empty."""
    pipeline = ak.Pipeline("triage", input={"amount": int, "note": (str, "")})
    pipeline.step(lambda amount: amount, name="same")
    with pytest.raises(error) as raised:
        pipeline.run(log=log, **given)
    assert str(raised.value) == message
    assert not list(log.runs())


def test_a_step_that_is_not_there_cannot_be_removed():
    """Who misspells it sees which there are."""
    pipeline = inner()
    with pytest.raises(ak.ConfigError, match="inner has no step 'some'; it has: same"):
        pipeline.remove("some")


# what can only be seen in a run ---------------------------------------------------------------------------------------


def test_a_value_that_the_types_allowed_and_the_parameter_does_not_is_named(log):
    """A step may give None; what cannot take it fails, and the run says which parameter of which step."""
    pipeline = triage()

    @pipeline.step
    def facts(ticket: str) -> Facts | None:
        return None

    @pipeline.step
    def order(facts: Facts) -> Order: ...

    with pytest.raises(ak.RunFailed, match=r"^InvalidArguments: order: facts: Input should be an object"):
        pipeline.run(ticket="", tickets=[], log=log).result(timeout=20)


def test_an_async_step_that_would_wait_is_told_to_await(log):
    """`ak.Context` blocks, which would stop every run: the error says what to write."""
    pipeline = triage()

    @pipeline.step
    async def facts(ticket: str, ctx: ak.Context) -> str:
        return ctx.ask(ticket)

    with pytest.raises(ak.RunFailed, match=r"annotate `ctx: ak.AsyncContext` and write `await ctx.ask\(…\)`"):
        pipeline.run(ticket="", tickets=[], log=log).result(timeout=20)


def test_a_result_that_json_cannot_hold_names_its_field(log):
    """The step fails, not the next one that would read it."""
    pipeline = triage()

    @pipeline.step
    def facts(ticket: str) -> dict:
        return {"amount": float("nan")}

    with pytest.raises(
        ak.RunFailed, match=r"facts: result of facts\.amount: nan is not JSON; None or a text can stand"
    ):
        pipeline.run(ticket="", tickets=[], log=log).result(timeout=20)
