"""Advice: each flaw that only a log shows is found where it was planted, shown by its SQL, and nowhere else."""

import itertools
import json
import subprocess
import sys

import pytest

import agentkit as ak
from agentkit.advice.interval import wilson
from agentkit.testing import FunctionModel, call

RUNS = 12


@ak.tool
def find_order(order_id: str, ctx: ak.Context) -> dict:
    """Look up one order by its number. Returns its customer and its total."""
    return {"customer": {"id": f"C-{order_id[2:]}"}, "total": int(order_id[2:]) * 10}


@ak.tool
def find_customer(customer_id: str, ctx: ak.Context) -> dict:
    """Look up one customer by number. Returns the name."""
    if not customer_id.startswith("C-"):
        raise ak.ToolError(f"invalid: {customer_id}")
    return {"name": f"customer {customer_id}"}


@ak.tool
def roll(sides: int, ctx: ak.Context) -> dict:
    """Roll a die with so many sides. Returns what it shows."""
    return {"shows": next(ctx.deps)}


@ak.tool
def manual(topic: str, ctx: ak.Context) -> str:
    """Read the manual. Returns all of it."""
    return "words " * 3000


@ak.tool(writes=True)
def note_down(text: str, ctx: ak.Context) -> dict:
    """Write a note. Returns its number."""
    return {"note": next(ctx.deps)}


@ak.tool(writes=True)
def set_label(text: str, ctx: ak.Context) -> dict:
    """Set the label of a shelf. Returns the label."""
    return {"label": text}


TOOLS = [find_order, find_customer, roll, manual, note_down, set_label]


def agent_of(name, script, tools=TOOLS):
    """An agent that makes the calls that a function of its run's number says."""

    def said(request):
        number = int(str(request.messages[0].content).rpartition("A-")[2])
        turns = [*script(number), "done"]
        return turns[sum(message.role == "assistant" for message in request.messages)]

    return ak.Agent(name, FunctionModel(said), tools=tools)


def advised(agent, runs=RUNS):
    log = ak.open_log("memory:")
    for number in range(1, runs + 1):
        done(agent.run(f"see to A-{number}", deps=itertools.count(), log=log))
    return ak.advise(agent, log=log), log


def done(run):
    """Have a run end; a person lets everything be done that was done before."""
    try:
        run.result(20)
    except ak.RunPaused:
        run.approve()
        done(run)


def only(advice, rule):
    """The one insight of a rule, whose query gives its rows again."""
    (found,) = [one for one in advice if one.rule == rule]
    return found


def varied(number):
    """What a tidy agent does: not the same each time, each tool now and then, nothing twice, nothing copied."""
    calls = [
        call("find_order", order_id=f"A-{number}"),
        call("find_customer", customer_id=f"C-{number}"),
        call("roll", sides=number),
        call("set_label", text=f"label of A-{number}"),
    ]
    return [calls[(number + at) % 4] for at in range(1 + number % 4)]


@pytest.fixture(scope="module")
def tidy():
    return advised(agent_of("tidy", varied, [find_order, find_customer, roll, set_label]), runs=40)


def test_a_tidy_agent_gets_no_advice(tidy):
    """Nothing is said where nothing is to be said."""
    advice, _log = tidy
    assert list(advice) == []
    assert repr(advice).startswith("tidy, 40 runs: nothing to advise\n")


def test_an_agent_that_does_something_else_each_time_is_not_said_to_be_ready(tidy):
    """Of the newest quarter, too few do the same."""
    advice, log = tidy
    assert "still vary" in advice.readiness.message
    assert [row[3] for row in advice.readiness.rows] == [10, 10, 10, 10]
    assert log.sql(advice.readiness.sql, **advice.readiness.parameters) == advice.readiness.rows


def copying(number):
    """Looks up an order, and then its customer, whose number only the order tells; and never anything else."""
    return [call("find_order", order_id=f"A-{number}"), call("find_customer", customer_id=f"C-{number}")]


@pytest.fixture(scope="module")
def copier():
    return advised(agent_of("copier", copying))


def test_an_argument_that_always_is_an_earlier_result_is_named_with_where_it_comes_from(copier):
    """A model that only copies need not be asked; the query counts each call."""
    found = only(copier[0], "inject")
    assert found.tool == "find_customer"
    assert "find_customer.customer_id always was customer.id of an earlier find_order" in found.message
    assert "12 of 12" in found.message
    assert found.rows.dicts() == [{"calls": 12, "values_": 12, "copied": 12}]


def test_two_tools_of_which_one_always_follows_the_other_are_named(copier):
    """And how often: twelve of twelve is at least three of four."""
    found = only(copier[0], "merge")
    assert found.message.startswith("find_order > find_customer: each was always followed by the next")
    assert "saves a model call each time" in found.message
    assert "76 to 100%" in found.message
    assert {row[:2] for row in found.rows} == {("find_order", "find_customer"), ("find_customer", "")}


def three_in_a_row(number):
    return [*copying(number), call("roll", sides=number)]


def test_three_tools_that_always_go_together_are_named_once():
    """A chain is one thing to say, and a write at its end is none of it: the model decides about that."""
    agent = agent_of("chained", lambda number: [*three_in_a_row(number), call("set_label", text="x")])
    found = only(advised(agent)[0], "merge")
    assert found.message.startswith("find_order > find_customer > roll: ")
    assert "saves 2 model calls each time" in found.message


def test_tools_that_nobody_called_are_named(copier):
    """Each that the runs were offered, with how often it could still be needed."""
    assert {one.tool for one in copier[0] if one.rule == "never-called"} == {"roll", "manual", "note_down", "set_label"}
    found = next(one for one in copier[0] if one.tool == "manual")
    assert "never called in 12 runs" in found.message
    assert "at most about 25%" in found.message


def test_an_agent_that_does_the_same_each_time_is_ready(copier):
    """Its newest runs are alike, and it says what to try; of three runs it says that they are too few."""
    assert "too few to say" in copier[0].readiness.message
    advice, _log = advised(agent_of("settled", copying), runs=24)
    assert "it settled: ak.promote(agent) is worth a try" in advice.readiness.message
    assert "find_order > find_customer" in advice.readiness.message


def test_every_insight_can_be_had_again_by_its_query(copier):
    """What is shown is what the log says: the rows are among those that the query gives."""
    advice, log = copier
    assert len(advice) == 6
    for found in advice:
        assert set(found.rows) <= set(log.sql(found.sql, **found.parameters))


def stubborn(number):
    """Asks for a customer by the order's number, is told that this is invalid, and asks the same again."""
    wrong = call("find_customer", customer_id=f"A-{number}")
    return [wrong, wrong.model_copy(update={"id": f"again_{number}"}), call("roll", sides=6)][: 2 + number % 2]


def test_an_error_after_which_the_same_is_tried_again_is_unhelpful():
    """Its words are shown: they did not say what to change. How often a tool fails at all is said too."""
    advice, _log = advised(agent_of("stubborn", stubborn, [find_customer, roll]))
    found = only(advice, "unhelpful-error")
    assert found.tool == "find_customer"
    assert "after 12 of 24 (50%;" in found.message
    assert "'invalid: A-" in found.message
    assert found.rows.dicts()[0]["tried_unchanged"] == 12
    assert "24 of 24 (100%; 86 to 100% with 95% confidence) attempts" in only(advice, "error-rate").message


def doubled(number):
    """Writes the same twice."""
    turns = [call(tool, text="the same") for tool in ("note_down", "note_down", "set_label", "set_label")]
    return [*turns, call("find_order", order_id=f"A-{number}")][: 4 + number % 2]


def test_a_write_that_is_done_again_and_changes_something_again_is_not_idempotent():
    """A person let both be done, and each had another result; one whose second result is the first's is left alone."""
    advice, _log = advised(agent_of("doubler", doubled, [note_down, set_label, find_order]))
    found = only(advice, "not-idempotent")
    assert found.tool == "note_down"
    assert found.rows.dicts() == [{"tool": "note_down", "done_again": 12, "changed_again": 12}]


def gambling(number):
    """Reads the same twice, with nothing between, and once more after a write."""
    turns = [call("roll", sides=6), call("find_order", order_id="A-7"), call("roll", sides=6)]
    return [*turns, call("find_order", order_id="A-7")][: 3 + number % 2]


def test_a_read_that_differs_when_it_is_done_again_is_named():
    """A clock or randomness is in it; a read that says the same each time is left alone."""
    advice, _log = advised(agent_of("gambler", gambling, [roll, find_order]))
    found = only(advice, "not-repeatable")
    assert found.tool == "roll"
    assert found.rows.dicts() == [{"tool": "roll", "read_again": 12, "differed": 12}]


def writing_between(number):
    return [call("roll", sides=6), call("set_label", text=f"A-{number}"), call("roll", sides=6)][: 2 + number % 2]


def test_a_read_may_differ_after_a_write():
    """That is what a write is for."""
    advice, _log = advised(agent_of("writer", writing_between, [roll, set_label]))
    assert "not-repeatable" not in {one.rule for one in advice}


def test_a_tool_whose_results_fill_the_prompt_is_named():
    """About 4,500 tokens each, and paid for in each later turn."""
    advice, _log = advised(agent_of("reader", lambda number: [call("manual", topic=f"{number}")], [manual]))
    assert "about 4,500 tokens or more (of 12 results)" in only(advice, "long-results").message


def test_of_a_few_runs_little_is_said_and_that_is_told():
    """Three runs are no always: what they show is left unsaid."""
    advice, _log = advised(agent_of("young", copying), runs=3)
    assert list(advice) == []
    assert "young, 3 runs: nothing to advise (10 runs and more say more)" in repr(advice)
    assert "too few to say whether it settled" in advice.readiness.message


def test_without_runs_it_says_so(log):
    """There is nothing to look at, and nothing is made up."""
    advice = ak.advise(agent_of("unborn", copying), log=log)
    assert (len(advice), advice.readiness) == (0, None)
    assert repr(advice) == "no run of unborn is in this log: there is nothing to say yet"


def test_only_the_newest_runs_are_looked_at():
    """Old runs are of an agent that may have changed since."""
    agent = agent_of("changed", lambda number: stubborn(number) if number <= 12 else varied(number), TOOLS)
    _advice, log = advised(agent, runs=24)
    assert "unhelpful-error" in {one.rule for one in ak.advise(agent, log=log)}
    newest = ak.advise(agent, log=log, newest=12)
    assert newest.runs == 12
    assert "unhelpful-error" not in {one.rule for one in newest}


def test_another_agents_runs_are_not_looked_at(log):
    """Two agents share a log and tools: each is advised of its own runs."""
    mine, other = agent_of("mine", varied), agent_of("other", stubborn)
    for number in range(1, 13):
        mine.run(f"A-{number}", deps=itertools.count(), log=log).result(20)
        other.run(f"A-{number}", deps=itertools.count(), log=log).result(20)
    assert ak.advise(mine, log=log).runs == 12
    assert "error-rate" not in {one.rule for one in ak.advise(mine, log=log)}


@ak.tool
def broken(text: str) -> dict:
    """Break. Returns nothing, ever."""
    raise ak.ToolError("<script>alert(1)</script>\x1b[31m")


def test_what_a_tool_said_is_shown_and_never_executed():
    """Markup of an error is escaped in a notebook, and what moves a cursor is inert on a terminal."""
    advice, _log = advised(agent_of("breaker", lambda number: [call("broken", text=f"{number}")], [broken]))
    html, text = advice._repr_html_(), repr(advice)
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert "\x1b" not in html + text
    assert "SELECT" in html
    assert "SELECT" in text


def test_the_same_query_is_written_once():
    """Four tools that nobody called are shown by one query, which stands at the first."""
    advice, _log = advised(agent_of("terse", copying))
    assert repr(advice).count("the query is the one above") == 3
    assert repr(advice).count("-- log.sql(sql, agent='terse', newest=1000, definition='") == 1


def test_a_pipeline_is_no_agent(log):
    """What it cannot look at is said, and what to give."""
    pipeline = ak.Pipeline("piped", input={"n": int})
    with pytest.raises(ak.ConfigError, match="advise looks at an agent's runs"):
        ak.advise(pipeline, log=log)
    with pytest.raises(ak.ConfigError, match="newest=0"):
        ak.advise(agent_of("zero", copying), log=log, newest=0)


def test_the_embedded_log_gives_the_same_advice(embedded_log, copier):
    """The queries are the same wherever the runs are."""
    agent = agent_of("copier", copying)
    for number in range(1, RUNS + 1):
        agent.run(f"see to A-{number}", log=embedded_log).result(20)
    assert [str(one) for one in ak.advise(agent, log=embedded_log)] == [str(one) for one in copier[0]]


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    [(0, 10, 0.0, 0.278), (10, 10, 0.722, 1.0), (5, 10, 0.237, 0.763), (1, 1, 0.207, 1.0)],
)
def test_intervals_are_wilsons(count, of, low, high):
    """The ends that Wilson's formula gives, also for shares of 0 and 1 (Brown, Cai and DasGupta 2001, table 1)."""
    assert wilson(count, of) == pytest.approx((low, high), abs=0.001)


SHOP = """
import agentkit as ak
from agentkit.testing import FunctionModel, call

@ak.tool
def find_order(order_id: str) -> dict:
    'Look up one order. Returns its total in USD.'
    raise ak.ToolError("no such order")

def said(request):
    return "done" if len(request.messages) > 1 else call("find_order", order_id="A-1")

support = ak.Agent("support", FunctionModel(said), tools=[find_order])
twice = ak.Pipeline("twice", input={"n": int})
"""


def test_the_command_line_gives_the_same_advice(tmp_path):
    """`agentkit advise shop:support` prints it, with --json for programs; a pipeline is a wrong command."""
    (tmp_path / "shop.py").write_text(SHOP)

    def agentkit(*arguments):
        command = [sys.executable, "-m", "agentkit", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)

    for _ in range(5):
        assert agentkit("run", "shop:support", "hi").returncode == 0
    shown = agentkit("advise", "shop:support")
    assert shown.returncode == 0
    assert "1. error-rate: 5 of 5 (100%; 57 to 100% with 95% confidence) attempts at find_order failed" in shown.stdout
    found = json.loads(agentkit("advise", "shop:support", "--json").stdout)
    assert (found["agent"], found["runs"], [one["rule"] for one in found["insights"]]) == ("support", 5, ["error-rate"])
    wrong = agentkit("advise", "shop:twice")
    assert (wrong.returncode, "is a pipeline" in wrong.stderr) == (2, True)
