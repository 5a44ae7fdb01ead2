"""Two runs side by side: where they part, what each cost, and that nothing in them acts on who looks."""

import json
import re

import pytest
from small_agents import SOON, lookup, paused
from typer.testing import CliRunner

import agentkit as ak
from agentkit.cli.app import app
from agentkit.testing import FunctionModel, call

HOSTILE = "<script>window.hacked=1</script><img src=x onerror=alert(1)>\x1b[31m"


def played(*turns):
    return FunctionModel(lambda request: turns[sum(message.role == "assistant" for message in request.messages)])


def agent(*turns, tools=(lookup,), **options):
    return ak.Agent("reader", played(*turns), tools=list(tools), **options)


def ran(log, *turns, text="go", **options):
    run = agent(*turns, **options).run(text, log=log)
    run.result(SOON)
    return run


PLUGGY, TQDM = call("lookup", what="pluggy"), call("lookup", what="tqdm")


def test_runs_that_do_the_same_are_the_same(log):
    """Ids, times and costs are no difference; what each cost is there all the same."""
    both = ak.compare(ran(log, PLUGGY, "done"), ran(log, PLUGGY, "done"))
    assert both.same
    assert both.parts_at is None
    assert [pair.path for pair in both.pairs] == ["model/1", "tool/lookup/1", "model/2"]
    assert "did the same" in str(both)
    assert both.a.usage.input_tokens == both.b.usage.input_tokens > 0


def test_an_agent_parts_where_it_called_something_else(log):
    """The first step that differs, and how: the arguments' field with both values."""
    both = ak.compare(ran(log, PLUGGY, "done"), ran(log, TQDM, "done"))
    assert both.parts_at == "model/1"
    assert [str(one) for one in both.details] == ["calls[0].arguments.what: 'pluggy' → 'tqdm'"]
    assert both.pairs[1].differs == ("arguments", "result")
    assert both.pairs[2].differs == ("prompt",)


def test_another_input_is_where_they_part(log):
    """They differ from the beginning, though they did the same."""
    both = ak.compare(ran(log, "done", text="go"), ran(log, "done", text="stop"))
    assert both.parts_at == "the beginning"
    assert str(both.began[0]) == "input: 'go' → 'stop'"
    assert "prompt" in both.pairs[0].differs


def test_another_definition_is_where_they_part(log):
    """Instructions and tools are told apart."""
    one = ran(log, "done", instructions="Be brief.")
    other = ran(log, "done", instructions="Be long.", tools=())
    began = {difference.where.partition(".")[0] for difference in ak.compare(one, other).began}
    assert began == {"instructions", "tools", "code"}


def test_the_same_work_and_another_end(log):
    """A result that is not the same is a difference of its step."""
    both = ak.compare(ran(log, "yes"), ran(log, "no"))
    assert both.parts_at == "model/1"
    assert [one.where for one in both.ended] == ["output"]


def test_a_longer_run_has_steps_of_its_own(log):
    """Steps that only one has stand where they come."""
    both = ak.compare(ran(log, PLUGGY, "done"), ran(log, PLUGGY, TQDM, "done"))
    assert both.parts_at == "model/2"
    assert [(pair.path, pair.a is None) for pair in both.pairs if pair.a is None or pair.b is None] == [
        ("tool/lookup/2", True),
        ("model/3", True),
    ]
    assert "only b" in str(both)


def test_what_a_provider_makes_up_is_no_difference(log):
    """Ids of calls are other ones each time; the prompts that hold them are the same."""

    def turn(number):
        return call("lookup", what="pluggy").model_copy(update={"id": f"call_{number}"})

    assert ak.compare(ran(log, turn(1), "done"), ran(log, turn(2), "done")).same


def test_what_a_person_decided_is_a_difference(log):
    """Approved here and rejected there."""

    @ak.tool(writes=True, approve=True)
    def pay(amount: float) -> dict[str, float]:
        """Pay an amount of dollars to the customer. Returns what was paid.

        Args:
            amount: dollars to be paid out.
        """
        return {"paid": amount}

    runs = []
    for verdict in ("approve", "reject"):
        run = agent(call("pay", amount=5.0), "done", tools=[pay]).run("go", log=log)
        paused(run)
        getattr(run, verdict)()
        run.result(SOON)
        runs.append(run)
    both = ak.compare(*runs)
    assert both.parts_at == "tool/pay/1"
    assert both.first.differs == ("person", "outcome", "error", "result")


def pipeline():
    made = ak.Pipeline("squares", input={"numbers": list[int]}, model=FunctionModel(lambda _request: "fine"))

    @made.step(each="numbers")
    def square(number: int) -> int:
        return number * number

    @made.step(when=lambda square: sum(square) > 10)
    def tell(square: list[int], ctx: ak.Context) -> str:
        return ctx.ask(f"What of {square}?")

    return made


def of_pipeline(log, *numbers):
    run = pipeline().run(numbers=list(numbers), log=log)
    run.result(SOON)
    return run


def test_a_pipeline_parts_at_the_item_that_differs(log):
    """Not at the step that holds it; what the item was given is named by its source."""
    both = ak.compare(of_pipeline(log, 1, 2), of_pipeline(log, 1, 5))
    assert both.first.path == "square[1]"
    assert [str(one) for one in both.details] == ["numbers[1]: 2 → 5", "result: 4 → 25"]
    assert {pair.path: pair.differs for pair in both.pairs}["tell"] != ()


def test_questions_of_steps_are_told_apart(log):
    """The model was asked something else: the question shows the words where it differs."""
    both = ak.compare(of_pipeline(log, 3, 4), of_pipeline(log, 4, 3))
    differs = {pair.path: pair.differs for pair in both.pairs}
    assert differs["tell/ask/1"] == ("question",)
    assert differs["tell/ask/1/model/1"] == ()


def test_a_fork_is_held_against_its_parent(log):
    """Alone, it is compared with the run that it was forked from; what it took from there says so."""
    parent = of_pipeline(log, 3, 4)
    fork = parent.fork(at="tell")
    fork.result(SOON)
    both = ak.compare(fork)
    assert (both.a.run_id, both.b.run_id) == (parent.run_id, fork.run_id)
    assert both.same
    shared = {pair.path for pair in both.pairs if pair.shared}
    assert shared == {"square", "square[0]", "square[1]"}
    assert "b is a fork of a" in str(both)
    assert both.b.usage.model_calls == 1


def test_an_agents_fork_parts_behind_what_it_shares(log):
    """The steps before the fork are the parent's own, with the same prompts."""
    parent = ran(log, PLUGGY, TQDM, "done")
    seq = next(event.seq for event in parent.events() if event.type == "tool_succeeded")
    fork = parent.fork(at=seq, agent=agent(PLUGGY, "short"))
    fork.result(SOON)
    both = ak.compare(fork)
    assert both.parts_at == "model/2"
    assert [pair.path for pair in both.pairs if pair.shared] == ["model/1", "tool/lookup/1"]
    assert [pair.path for pair in both.pairs if pair.b is None] == ["tool/lookup/2", "model/3"]


def test_a_run_that_is_no_fork_has_nothing_to_be_held_against(log):
    """Which it says, with what to type."""
    with pytest.raises(ak.ConfigError, match=r"no fork: .* compare\(a, b\)"):
        ak.compare(ran(log, "done"))


def test_runs_are_named_by_their_ids(log):
    """Or by the beginning of them."""
    one, other = ran(log, "yes"), ran(log, "no")
    assert ak.compare(one.run_id, other.run_id, log=log).parts_at == "model/1"


def test_a_run_that_goes_on_is_compared_as_it_is(log):
    """What has not ended is shown as far as it is."""

    @ak.tool(approve=True)
    def look(what: str) -> dict[str, str]:
        """Look at something that a person allows. Returns what was seen.

        Args:
            what: the name of what is looked at.
        """
        return {"seen": what}

    waits = agent(call("look", what="x"), "done", tools=[look]).run("go", log=log)
    paused(waits)
    both = ak.compare(ran(log, PLUGGY, "done"), waits)
    assert both.b.seconds is None
    assert "not ended" in str(both)


def test_the_steps_are_rows_for_a_frame(log):
    """One a step, with what each cost in both runs."""
    rows = ak.compare(ran(log, PLUGGY, "done"), ran(log, PLUGGY, TQDM, "done")).rows
    assert len(rows) == 5
    last = rows.dicts()[-1]
    assert (last["step"], last["same"], last["seconds_a"], last["tokens_b"] > 0) == ("model/3", False, None, True)


def test_a_long_run_is_shown_where_it_parts(log):
    """Not all of its steps: those around the first that differs, and how many are left out."""
    one, other = of_pipeline(log, *range(200)), of_pipeline(log, *range(150), -1, *range(151, 200))
    both = ak.compare(one, other)
    text = str(both)
    assert "square[150]" in text
    assert "square[10]" not in text
    assert len(text.splitlines()) < 80
    assert len(both._repr_mimebundle_()["text/html"]) < 30_000


def test_hostile_words_stay_words(log):
    """In names, arguments, results and answers: no markup in the HTML, no escape in the text."""

    @ak.tool
    def echo(text: str) -> dict[str, str]:
        """Give back the text that was given, as it is. Returns the text.

        Args:
            text: any text to be given back.
        """
        return {HOSTILE: text}

    runs = [
        ran(log, call("echo", text=HOSTILE + end), HOSTILE + end, tools=[echo], text=HOSTILE + end)
        for end in ("a", "b")
    ]
    both = ak.compare(*runs)
    bundle = both._repr_mimebundle_()
    assert not re.search(r"<(script|img)", bundle["text/html"])
    assert "\x1b" not in bundle["text/plain"] + repr(both.details)


def test_the_command_line_compares(tmp_path):
    """`agentkit compare A B` prints it; `--json` is for programs."""
    log = ak.open_log(tmp_path / ".agentkit")
    one, other = ran(log, "yes"), ran(log, "no")
    place = ["--log", str(tmp_path / ".agentkit")]
    printed = CliRunner().invoke(app, ["compare", one.run_id, other.run_id, *place])
    assert "They part at model/1: answer." in printed.output
    data = json.loads(CliRunner().invoke(app, ["compare", one.run_id, other.run_id, "--json", *place]).stdout)
    assert data["parts_at"] == "model/1"
    assert data["steps"][0]["differs"] == "answer"
    log.close()
