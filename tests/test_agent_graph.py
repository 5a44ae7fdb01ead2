"""The graph of an agent's run: the way from tool to tool, where it went round, where it failed, who was asked."""

import asyncio
import random
import threading
from collections import Counter
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_agents import SOON, paused
from small_pipelines import wait_until

import agentkit as ak
from agentkit.graph.few import MOST_EDGES, MOST_NODES
from agentkit.picture import mermaid, svg, text
from agentkit.testing import FunctionModel, ScriptedModel, call

pytestmark = pytest.mark.filterwarnings("ignore::agentkit.tools.linting.AgentKitWarning")  # small tools will do here


@ak.tool
def look(what: str) -> str:
    """Look something up. Returns what is known of it."""
    if what == "nothing":
        raise ak.ToolError("there is nothing")
    return f"about {what}"


@ak.tool
def measure(what: str) -> int:
    """Measure something. Returns its length."""
    return len(what)


@ak.tool(writes=True, approve=True)
def pay(amount: float) -> str:
    """Pay somebody. Returns the receipt."""
    return f"paid {amount}"


def ran(log, *turns, tools=(look, measure, pay), **options):
    """The run of an agent that takes these turns, as far as it comes by itself."""
    agent = ak.Agent("a", ScriptedModel(list(turns)), tools=list(tools), decisions="off", **options)
    run = agent.run("go", log=log)
    wait_until(lambda: run.status not in {"running", "waiting"})
    run.kept = agent  # the registry holds agents weakly
    return run


def without_times(graph):
    """A graph of which nothing is another the next time."""
    nodes = tuple(replace(node, seconds=None) for node in graph.nodes)
    return replace(graph, nodes=nodes, said=graph.said.rpartition(", ")[0] or graph.said)


def drawn(run):
    return {node.called: node for node in run.graph.graph.nodes}


def ways(run):
    """(source, target): how often."""
    graph = run.graph.graph
    called = {node.name: node.called for node in graph.nodes}
    return {(called[edge.source], called[edge.target]): edge.count for edge in graph.edges}


def edge_of(run, source, target):
    graph = run.graph.graph
    called = {node.name: node.called for node in graph.nodes}
    return next(one for one in graph.edges if (called[one.source], called[one.target]) == (source, target))


def told(run):
    """A run that looked up two things at once, paid after a person cut the amount, and was refused an answer."""
    run.approve(edit={"amount": 2}, comment="too much")
    run.result(SOON)
    return run


TURNS = (
    [call("look", what="x"), call("look", what="nothing"), call("measure", what="x")],
    call("look", what="y"),
    call("look", what="z"),
    call("pay", amount=5),
    "Done.",
)


def test_the_text_of_an_agents_run(log, monkeypatch):
    """A line a tool: how often it was called and failed, what it came after and how often; people where they were."""
    monkeypatch.setenv("LOGNAME", "Ada")
    run = told(ran(log, *TURNS))
    assert text(without_times(run.graph.graph)) == (
        "a: 5 model calls, 6 tool calls (1 failed)\n"
        "    start\n"
        "      go\n"
        "  ✓ look     4 calls · 1 failed  ← start ∥, itself 2x, measure (again)  [2 at once]\n"
        "      ToolError: there is nothing\n"
        "  ✓ measure  1 call              ← start ∥\n"
        "  ✓ pay?     1 edited · by Ada   ← look  [a person]\n"
        "      too much\n"
        "  ✓ pay      1 call              ← pay?  [writes]\n"
        "  ✓ end                          ← pay\n"
        "      Done."
    )


def test_the_mermaid_of_an_agents_run(log):
    """Ends are round, a person is a hexagon, what happened more than once is thick, after failures alone red."""
    turns = [call("look", what="nothing"), *[call("look", what=str(at)) for at in range(3)], call("measure", what="x")]
    run = ran(log, *turns, "Done.")
    assert mermaid(without_times(run.graph.graph)) == (
        "flowchart TD\n"
        '    n0(["start<br>go"])\n'
        '    n1["✓ look<br>4 calls · 1 failed<br>ToolError#58; there is nothing"]\n'
        '    n2["✓ measure<br>1 call"]\n'
        '    n3(["✓ end<br>Done#46;"])\n'
        "    n0 --> n1\n"
        '    n1 == "3x" ==> n1\n'
        "    n1 --> n2\n"
        "    n2 --> n3\n"
        "    classDef succeeded fill:#f8fafc,stroke:#14763a,color:#14763a\n"
        "    class n1,n2,n3 succeeded"
    )
    run = ran(log, call("look", what="nothing"), call("measure", what="x"), "Done.")
    assert "    linkStyle 1 stroke:#b91c1c" in mermaid(run.graph.graph).split("\n")


def test_what_was_called_in_one_turn_stands_side_by_side(log):
    """Each comes after what was before the turn, and what comes next after each; it is said how many were at once."""
    both = [call("look", what="x"), call("measure", what="x")]
    run = ran(log, both, both, call("look", what="y"), "Done.")
    assert ways(run) == {
        ("start", "look"): 1,
        ("start", "measure"): 1,
        ("look", "look"): 2,
        ("look", "measure"): 1,
        ("measure", "look"): 2,
        ("measure", "measure"): 1,
        ("look", "end"): 1,
    }
    assert edge_of(run, "start", "look").beside == 1
    assert edge_of(run, "measure", "look").beside == 1
    assert edge_of(run, "look", "end").beside == 0
    assert "in the same turn" in run.graph.svg()
    assert drawn(run)["look"].marks == ()
    run = ran(log, [call("look", what="x"), call("look", what="y")], "Done.")
    assert drawn(run)["look"].marks == ("2 at once",)
    assert ways(run) == {("start", "look"): 1, ("look", "end"): 1}


def test_what_began_together_stands_in_one_row(log):
    """However often it was called after: only what had not been there yet is further down."""
    turns = [[call(name, what=f"{at}") for name in ("look", "measure")] for at in range(2)]
    run = ran(log, turns[0], call("lok"), turns[1], call("lok"), "Done.")
    assert rows(run) == [["start"], ["look", "measure"], ["lok"], ["end"]]


def rows(run):
    """The names in each row of the picture, from the top."""
    found = {}
    for group in ET.fromstring(run.graph.svg()).iter("{http://www.w3.org/2000/svg}g"):
        if "node" in group.get("class", "").split():
            y = float(group.get("transform")[10:-1].split()[1])
            found.setdefault(y, []).append(group[0].text.partition("\n")[0])
    return [sorted(found[y]) for y in sorted(found)]


def test_a_failed_call_is_told_with_its_error_and_the_way_after_it_is_red(log):
    """How often it failed, the last error; a tool whose last call failed has failed."""
    run = ran(log, call("look", what="x"), call("look", what="nothing"), call("measure", what="x"), "Done.")
    node = drawn(run)["look"]
    assert (node.status, node.calls, node.failed_items) == ("failed", 2, 1)
    assert node.note == "ToolError: there is nothing"
    assert edge_of(run, "look", "measure").is_failure
    assert not edge_of(run, "look", "look").is_failure
    picture = run.graph.svg()
    assert 'class="edge back"' in picture
    assert "once, 1 after it failed" in picture


def test_arguments_that_did_not_fit_and_tools_that_are_not_there_are_failures(log):
    """They never ran, and the model had to go on from them."""
    run = ran(log, call("look", waht="x"), call("lok", what="x"), call("look", what="x"), "Done.")
    assert drawn(run)["look"].failed_items == 1
    assert drawn(run)["lok"].status == "failed"
    assert ways(run)["lok", "look"] == 1


def test_a_persons_answers_are_told(log):
    """A yes leads to the tool, a no past it; who it was, how often which, and what they said."""
    run = ran(log, call("pay", amount=9), call("pay", amount=5), "Done.")
    run.reject(reason="too dear")
    paused(run)
    assert drawn(run)["pay?"].status == "asked"
    assert "end" not in drawn(run)
    run.approve()
    run.result(SOON)
    node = drawn(run)["pay?"]
    assert (node.kind, node.status) == ("person", "succeeded")
    assert node.told[:2] == ("1 rejected", "1 approved")
    assert node.note == "too dear"
    assert ways(run) == {("start", "pay?"): 1, ("pay?", "pay?"): 1, ("pay?", "pay"): 1, ("pay", "end"): 1}
    assert drawn(run)["pay"].calls == 1


def test_a_question_of_the_models_is_a_persons_place(log):
    """Its answer is what came of it; no tool of that name ran."""
    run = ran(log, call("ask_person", question="Which?"), "Done.", tools=[ak.ask_person])
    run.answer(None, "blue")
    run.result(SOON)
    node = drawn(run)["ask_person"]
    assert (node.kind, node.told[0]) == ("person", "1 answered")
    assert len(drawn(run)) == 3


def test_a_question_about_the_run_itself_stands_where_it_was_put(log):
    """More budget is asked for between two calls."""
    turns = [call("look", what="x"), call("look", what="y"), "Done."]
    run = ran(log, *turns, budget=ak.Budget(model_calls=2))
    assert drawn(run)["more budget?"].status == "asked"
    run.approve(edit={"model_calls": 9})
    run.result(SOON)
    assert ways(run)["look", "more budget?"] == ways(run)["more budget?", "end"] == 1


def test_a_sub_agent_is_a_node_with_what_it_cost(log):
    """By its name; its own run has a graph of its own."""
    inner = ak.Agent("expert", ScriptedModel([call("look", what="x"), "It may."], price_usd=0.01), tools=[look])
    run = ran(log, call("expert", task="may it?"), "Done.", tools=[inner.as_tool()])
    node = drawn(run)["expert"]
    assert (node.kind, node.calls, node.marks) == ("agent", 1, ("agent",))
    assert "2 model calls" in node.told
    assert node.cost_usd == pytest.approx(run.cost)
    assert ways(run.children()[0]) == {("start", "look"): 1, ("look", "end"): 1}


def test_a_refused_answer_is_a_place_that_was_come_to(log):
    """The check's name, what it said, and the way on from there."""

    def polite(output):
        if "please" not in output:
            raise ValueError("say please")

    run = ran(log, "Give.", call("look", what="x"), "Give, please.", checks=[polite])
    node = drawn(run)["polite"]
    assert (node.status, node.note, node.told) == ("failed", "say please", ("refused 1 answer",))
    assert edge_of(run, "polite", "look").is_failure


def test_a_run_ends_as_it_ended(log):
    """With its output, its error, or who cancelled it."""
    assert (drawn(ran(log, "Done."))["end"].status, drawn(ran(log, "Done."))["end"].note) == ("succeeded", "Done.")
    failed = ran(log, call("lok"), call("lok"), call("lok"), call("lok"), max_reasks=2)
    assert drawn(failed)["end"].status == "failed"
    assert ":" in drawn(failed)["end"].note
    run = ran(log, call("pay", amount=1), "Done.")
    run.cancel(why="no need")
    wait_until(lambda: run.state.ended)
    assert "no need" in drawn(run)["end"].note
    assert drawn(run)["pay?"].status in {"rejected", "interrupted"}


def test_a_run_that_goes_on_shows_where_it_is(log):
    """The tool that runs, or the answer that is waited for; nothing looks as if it had ended."""
    go, there = threading.Event(), threading.Event()

    @ak.tool
    def slow(what: str) -> str:
        """Take a while. Returns what it was."""
        there.set()
        assert go.wait(SOON)
        return what

    run = ak.Agent("a", ScriptedModel([call("slow", what="x"), "Done."]), tools=[slow]).run("go", log=log)
    assert there.wait(SOON)
    assert drawn(run)["slow"].status == "running"
    assert {node.kind for node in run.graph.graph.nodes} == {"start", "step"}
    go.set()
    run.result(SOON)

    thinks = threading.Event()

    async def think(_request):
        while not thinks.is_set():
            await asyncio.sleep(0.01)
        return "Done."

    run = ak.Agent("b", FunctionModel(think)).run("go", log=log)
    wait_until(lambda: run.state.models)
    assert drawn(run)["the next answer"].status == "running"
    thinks.set()
    run.result(SOON)


def test_a_run_is_drawn_from_the_log_alone(log):
    """Where the agent is not defined the graph is the same."""
    run = told(ran(log, *TURNS))
    assert ak.Run(log.store, run.run_id).graph.graph == run.graph.graph


def test_a_run_that_goes_on_after_another_says_so(log):
    """And counts its own calls."""
    first = ran(log, call("look", what="x"), "Done.")
    agent = ak.Agent("b", ScriptedModel([call("measure", what="x"), "Done."]), tools=[measure])
    second = agent.run("and then?", after=first, log=log)
    second.result(SOON)
    assert drawn(second)["start"].note == f"goes on after run {first.run_id[:13]}: and then?"
    assert ways(second) == {("start", "measure"): 1, ("measure", "end"): 1}


names = st.sampled_from(["look", "measure"])
turn = st.lists(names, min_size=1, max_size=4)


@settings(max_examples=30, deadline=None)
@given(st.lists(turn, max_size=8))
def test_every_call_is_counted_and_every_way_leads_on(turns):
    """As many calls as were made; from the start to each node, and from each node to the end."""
    log = ak.open_log("memory:")
    script = [[call(name, what=f"{at}") for name in one] for at, one in enumerate(turns)]
    run = ran(log, *script, "Done.")
    nodes, ways_ = drawn(run), ways(run)
    assert Counter(name for one in turns for name in one) == {
        name: node.calls for name, node in nodes.items() if node.calls
    }
    assert reached("start", ways_) == set(nodes)
    assert reached("end", {(target, source) for source, target in ways_}) == set(nodes)


@settings(max_examples=30, deadline=None)
@given(st.lists(names, max_size=12))
def test_of_calls_one_after_the_other_as_many_lead_in_as_out(called):
    """The edges are one way through the graph: each time a tool was come to it was left."""
    log = ak.open_log("memory:")
    run = ran(log, *[call(name, what=f"{at}") for at, name in enumerate(called)], "Done.")
    into, out = Counter(), Counter()
    for (source, target), count in ways(run).items():
        into[target] += count
        out[source] += count
    for name, node in drawn(run).items():
        assert node.calls in {None, into[name]}
        assert into[name] == out[name] or name in {"start", "end"}


def reached(name, ways_):
    """The names that ways lead to from one, and itself."""
    found, fresh = {name}, [name]
    while fresh:
        at = fresh.pop()
        new = {target for source, target in ways_ if source == at} - found
        found |= new
        fresh += new
    return found


def test_a_run_of_very_many_steps_is_a_graph_that_can_be_read(log):
    """By name: as many nodes as there are tools; of very many tools and ways the most telling, and what is left out."""
    pick = random.Random(7)

    def tool_named(name):
        def work(what: str) -> str:
            """Look something up. Returns what is known of it."""
            return what

        work.__name__ = work.__qualname__ = name
        return ak.tool(work)

    tools = [tool_named(f"tool_{at}") for at in range(50)]
    script = [call(f"tool_{min(pick.randrange(50), pick.randrange(50))}", what=str(at)) for at in range(1200)]
    run = ran(log, *script, "Done.", tools=tools, budget=ak.Budget(model_calls=2000))
    graph = run.graph.graph
    assert len(graph.nodes) == MOST_NODES + 2
    assert len(graph.edges) <= MOST_EDGES + 2 * MOST_NODES
    assert sum(node.calls or 0 for node in graph.nodes) == 1200
    assert "rare ways are not drawn" in graph.said
    every = {(edge.source, edge.target) for edge in graph.edges}
    assert reached("start start", every) == {node.name for node in graph.nodes}
    assert "too many" not in svg(graph)


def test_what_anybody_wrote_stays_text(log):
    """The input, the output, an error, a comment, a name that a model made up: in all three pictures."""
    bad = "<script>alert(1)</script>\x1b[2J"

    @ak.tool(approve=True)
    def fail(what: str) -> str:
        """Fail at something. Returns nothing."""
        raise ak.ToolError(what)

    agent = ak.Agent(bad, ScriptedModel([call("fail", what=bad), call(bad), bad]), tools=[fail], decisions="off")
    run = agent.run(bad, log=log)
    paused(run)
    run.approve(comment=bad)
    run.result(SOON)
    picture = run.graph
    shown = picture._repr_mimebundle_()["text/html"]
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown
    ET.fromstring(picture.svg())
    assert "<script" not in picture.mermaid()
    assert "\x1b" not in shown + picture.mermaid() + str(picture)
