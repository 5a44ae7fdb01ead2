"""A pipeline shows itself, and a run of it, as a graph."""

import pytest

import agentkit as ak
from agentkit.testing import ScriptedModel


def drawn(picture):
    return {node.name: node for node in picture.graph.nodes}


@pytest.fixture
def triage():
    pipeline = ak.Pipeline("triage", input={"tickets": list[str]}, model=ScriptedModel(["bug", "bug", "question"]))

    @pipeline.step(each="tickets", concurrency=1)
    def label(ticket: str, ctx: ak.Context) -> str:
        return ctx.ask(ticket)

    @pipeline.step(when=lambda label: "spam" in label)
    def spam(label: list[str]) -> int:
        return len(label)

    @pipeline.step(writes=True, approve=True)
    def post(label: list[str]) -> str:
        return "posted"

    return pipeline


def test_a_pipeline_is_drawn_with_its_types_and_options(triage):
    """What each step gives, what it needs, and what is special about it."""
    nodes = drawn(triage.graph)
    assert (nodes["tickets"].kind, nodes["tickets"].type) == ("input", "list[str]")
    assert (nodes["label"].type, nodes["label"].marks) == ("list[str]", ("each tickets",))
    assert nodes["post"].marks == ("writes", "approve")
    assert {(edge.source, edge.target) for edge in triage.graph.graph.edges} == {
        ("tickets", "label"),
        ("label", "spam"),
        ("label", "post"),
    }
    shown = triage._repr_mimebundle_()
    assert "<svg" in shown["text/html"]
    assert "label" in shown["text/plain"]
    assert triage.mermaid().startswith("flowchart TD")


def test_a_pipeline_that_cannot_run_is_drawn_with_what_is_wrong():
    """The typo is a node of its own, and the problem stands below, escaped."""
    pipeline = ak.Pipeline("p", input={"ticket": str})

    @pipeline.step
    def facts(tickt: str) -> str:
        return tickt

    assert [(edge.source, edge.target) for edge in pipeline.graph.graph.edges] == [("tickt", "facts")]
    assert "did you mean 'ticket'?" in repr(pipeline)
    assert "did you mean &#x27;ticket&#x27;?" in pipeline._repr_mimebundle_()["text/html"]


def test_a_run_is_drawn_with_the_state_of_each_step(triage, log):
    """While it waits: done, skipped, asked; with the items, the durations and what it cost."""
    run = triage.run(tickets=["a", "b", "c"], log=log)
    with pytest.raises(ak.RunPaused):
        run.result(timeout=10)
    nodes = drawn(run.graph)
    assert {name: node.status for name, node in nodes.items()} == {
        "tickets": None,
        "label": "succeeded",
        "spam": "skipped",
        "post": "asked",
    }
    assert nodes["label"].items == (3, 3)
    assert nodes["label"].seconds is not None
    assert nodes["spam"].note == "its condition said no"
    run.approve()
    run.result(timeout=10)
    assert drawn(run.graph)["post"].status == "succeeded"


def test_a_failed_step_says_why(log):
    """And what would have come after it is pending."""
    pipeline = ak.Pipeline("p", input={"x": int})

    @pipeline.step
    def broken(x: int) -> int:
        raise ValueError("no <b>luck</b>")

    @pipeline.step
    def after(broken: int) -> int:
        return broken

    run = pipeline.run(x=1, log=log)
    with pytest.raises(ak.RunFailed):
        run.result(timeout=10)
    nodes = drawn(run.graph)
    assert (nodes["broken"].status, nodes["broken"].note) == ("failed", "ValueError: no <b>luck</b>")
    assert nodes["after"].status == "pending"
    assert "<b>" not in run.graph.svg()


def test_a_run_is_drawn_from_the_log_alone(triage, log):
    """Where the pipeline is not defined, the recorded graph is what is drawn."""
    run = triage.run(tickets=[], log=log)
    with pytest.raises(ak.RunPaused):
        run.result(timeout=10)
    drawn_here = run.graph.graph
    elsewhere = ak.Run(log.store, run.run_id).graph.graph
    assert [node.name for node in elsewhere.nodes] == [node.name for node in drawn_here.nodes]
    assert elsewhere.edges == drawn_here.edges


def test_the_tree_of_a_run_tells_its_steps(triage, log):
    """Items that failed or wait, what was skipped and why, and what a step asked."""
    run = triage.run(tickets=["a", "b", "c"], log=log)
    with pytest.raises(ak.RunPaused):
        run.result(timeout=10)
    tree = str(run.trace)
    assert "✓ label · 3 of 3 items" in tree
    assert "» spam · skipped" in tree
    assert "? post" in tree
    assert "run.approve(" in tree
