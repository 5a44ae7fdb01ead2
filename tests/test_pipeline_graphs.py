"""A pipeline gives what the same functions give when plain Python calls them in order."""

from hypothesis import given, settings
from hypothesis import strategies as st

import agentkit as ak


@st.composite
def graphs(draw):
    """A random graph without a cycle: which earlier ones each step takes, and the order in which they are written."""
    count = draw(st.integers(1, 7))
    takes = [sorted(draw(st.sets(st.integers(-1, at - 1), max_size=3))) for at in range(count)]  # -1 is the input
    return takes, draw(st.permutations(range(count)))


def make(at, takes):
    """A step's function, with a parameter for everything it takes."""
    names = ["start" if other < 0 else f"step_{other}" for other in takes]
    scope = {}
    exec(  # as a person would write it: the wiring reads the signature
        f"def step_{at}({', '.join(f'{name}: list[int]' for name in names)}) -> list[int]:\n"
        f"    return [{at}, {', '.join(f'*{name}' for name in names)}]",
        scope,
    )
    return scope[f"step_{at}"], names


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_a_graph_is_wired_ordered_and_run_to_what_plain_calls_give(graph):
    """Whatever the graph, and in whatever order its steps were written."""
    takes, written = graph
    steps = [make(at, takes[at]) for at in range(len(takes))]
    values = {"start": [100]}
    for at, (work, names) in enumerate(steps):
        values[f"step_{at}"] = work(**{name: values[name] for name in names})

    pipeline = ak.Pipeline("graph", input={"start": list[int]}, output=[f"step_{at}" for at in range(len(steps))])
    for at in written:
        pipeline.step(steps[at][0])
    order = list(pipeline.definition.steps)
    assert all(
        order.index(name) < order.index(f"step_{at}")
        for at, (_, names) in enumerate(steps)
        for name in names
        if name in order
    )

    found = pipeline.run(start=[100], log="memory:").result(timeout=30)
    expected = {name: value for name, value in values.items() if name != "start"}
    assert found == (expected if len(expected) > 1 else expected["step_0"])


@settings(max_examples=60, deadline=None)
@given(graphs(), st.data())
def test_a_cycle_is_found_wherever_it_is(graph, data):
    """An edge back to an earlier step, of a path that leads there, is told; nothing runs."""
    takes, written = graph
    first = data.draw(st.integers(0, len(takes) - 1))
    later = data.draw(st.sampled_from([at for at in range(len(takes)) if at == first or reaches(takes, at, first)]))
    takes[first] = [*takes[first], later]

    pipeline = ak.Pipeline("graph", input={"start": list[int]})
    for at in written:
        pipeline.step(make(at, takes[at])[0])
    said = "\n".join(pipeline.problems)
    assert f"step_{first}" in said
    assert "no step can be the first" in said or "would get its own result" in said


def reaches(takes, at, first):
    """Whether a step needs another one, directly or not."""
    return any(other == first or (other >= 0 and reaches(takes, other, first)) for other in takes[at])
