"""Pictures of the log: what they say is what the log holds, they are legible everywhere, and no word in them acts."""

import base64
import io
import sys
from datetime import UTC, datetime, timedelta

import pytest
from matplotlib.figure import Figure
from PIL import Image
from small_agents import SOON, paused

import agentkit as ak
from agentkit.messages import AssistantMessage, ModelResponse, Usage
from agentkit.plot import canvas
from agentkit.plot.reliability import wilson
from agentkit.testing import FunctionModel, call

HOSTILE = r"$\frac{<script>alert(1)</script>\x1b[31m $"


@ak.tool
def find_order(order_id: str) -> dict[str, str]:
    """Look up one order of the shop by its number. Returns its status.

    Args:
        order_id: the number of the order.
    """
    if order_id == "lost":
        raise ak.ToolError("there is no such order")
    return {"status": "delivered"}


@ak.tool(writes=True, approve=True)
def refund(order_id: str) -> dict[str, str]:
    """Refund one order of the shop in full. Returns the receipt.

    Args:
        order_id: the number of the order.
    """
    return {"receipt": order_id}


def ran(log, *turns, name="support", **options):
    model = FunctionModel(lambda request: turns[sum(message.role == "assistant" for message in request.messages)])
    run = ak.Agent(name, model, tools=[find_order, refund], **options).run("go", log=log)
    run.state  # it has begun
    return run


@pytest.fixture
def shop(log):
    """A log: four runs that succeed, with one failed lookup of five, and an approved refund."""
    for order in ("A-1", "A-2", "lost"):
        ran(log, call("find_order", order_id=order), "done").result(SOON)
    ran(log, call("find_order", order_id="A-3"), "done").result(SOON)
    paid = ran(log, call("find_order", order_id="A-4"), call("refund", order_id="A-4"), "done", name="payer")
    paused(paid)
    paid.approve()
    paid.result(SOON)
    return log


def words(figure):
    """Everything that is written in a figure."""
    figure.draw_without_rendering()
    found = []
    for axes in figure.axes:
        found += [axes.get_title(loc="left"), axes.get_xlabel(), axes.get_ylabel()]
        found += [label.get_text() for label in (*axes.get_xticklabels(), *axes.get_yticklabels())]
    return [*found, *(text.get_text() for text in figure.texts)]


@pytest.mark.parametrize("kind", ["cost", "latency", "reliability"])
def test_each_picture_is_a_figure_with_labelled_axes(shop, kind):
    """It says in words what it shows, and names its units."""
    figure = getattr(shop.plot, kind)()
    assert isinstance(figure, Figure)
    units = {"cost": "tokens", "latency": "seconds", "reliability": "share of runs"}
    assert any(units[kind] in word for word in words(figure))
    assert figure.said in repr(figure)


def test_costs_are_those_of_the_runs(shop):
    """The rows behind it add up to what the runs used."""
    rows = shop.plot.cost.data(by="name").dicts()
    assert {row["label"] for row in rows} == {"support", "payer"}
    used = shop.sql("SELECT sum(model_calls), sum(input_tokens) FROM runs")[0]
    assert (sum(row["calls"] for row in rows), sum(row["input_tokens"] for row in rows)) == used
    assert all(row["begins"] <= datetime.now(UTC) for row in rows)


def test_a_price_that_is_unknown_is_not_counted_as_nothing(log):
    """It is left out of the sum, and the picture says how many calls that are."""
    calls = [(call("find_order", order_id="A-1"), 0.5), (call("find_order", order_id="A-2"), None)]
    turns = [
        ModelResponse(message=AssistantMessage(tool_calls=(made,)), usage=Usage(cost_usd=cost)) for made, cost in calls
    ]
    last = ModelResponse(message=AssistantMessage(text="done"), usage=Usage(cost_usd=0.25))
    ran(log, *turns, last).result(SOON)
    figure = log.plot.cost()
    assert figure.said == "$0.7500 for 2 model calls; 1 more of unknown price"
    assert any("US dollars" in word for word in words(figure))


def test_what_is_slow_comes_first(shop):
    """A row a model, tool and step, with its median, its 95th percentile and its slowest attempt."""
    rows = shop.plot.latency.data().dicts()
    assert {row["name"] for row in rows} == {"find_order", "refund", "function"}
    assert [row["p95_ms"] for row in rows] == sorted((row["p95_ms"] for row in rows), reverse=True)
    assert all(0 <= row["p50_ms"] <= row["p95_ms"] <= row["max_ms"] <= row["total_ms"] for row in rows)


def test_reliability_counts_steps_in_the_end(shop):
    """Four of five lookups succeeded, with Wilson's interval, and over two of them in a run that share's square."""
    rows = {row["name"]: row for row in shop.plot.reliability.data().dicts()}
    found = rows["find_order"]
    assert (found["steps"], found["succeeded"], found["rate"]) == (5, 4, 0.8)
    assert (found["low"], found["high"]) == wilson(4, 5)
    assert rows["refund"]["rate"] == 1.0
    assert [(row["runs"], row["succeeded"]) for row in shop.plot.reliability.lengths().dicts()] == [(4, 4), (1, 1)]


def test_what_a_person_rejected_did_not_fail(log):
    """It is left out: the tool is as reliable as it was."""
    run = ran(log, call("refund", order_id="A-1"), "done")
    paused(run)
    run.reject(reason="no")
    run.result(SOON)
    assert {row["name"] for row in log.plot.reliability.data().dicts()} == {"function"}


def test_an_answer_that_a_check_refused_is_a_failure(log):
    """The model answered, and it was of no use."""

    def holds(output, _results):
        if output == "wrong":
            raise ValueError("that is wrong")

    ran(log, "wrong", "right", checks=[holds]).result(SOON)
    [row] = log.plot.reliability.data().dicts()
    assert (row["steps"], row["succeeded"]) == (2, 1)


def test_a_second_attempt_is_told_apart(log):
    """A step that succeeded at its second attempt succeeded, and not at the first try."""
    tries = iter([TimeoutError("slow"), None])
    steps = ak.Pipeline("steps", input={"n": int})

    @steps.step(retry=ak.Retry(max_attempts=2, initial=0.01))
    def once(n: int) -> int:
        if error := next(tries):
            raise error
        return n

    steps.run(n=1, log=log).result(SOON)
    [row] = log.plot.reliability.data().dicts()
    assert (row["kind"], row["steps"], row["succeeded"], row["first_try"]) == ("step", 1, 1, 0)


@pytest.mark.parametrize(
    ("succeeded", "steps", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (50, 100, 0.4038, 0.5962), (1, 1, 0.2065, 1.0)],
)
def test_the_intervals_are_wilsons(succeeded, steps, low, high):
    """As tables of them have it."""
    assert wilson(succeeded, steps) == pytest.approx((low, high), abs=5e-4)


def test_a_run_over_time(shop):
    """A bar an attempt, and one for the person who was waited for; in the order in which they began."""
    run = shop.run(shop.runs(name="payer")[0][0])
    rows = shop.plot.timeline.data(run).dicts()
    assert [(row["step"], row["kind"], row["status"]) for row in rows] == [
        ("model/1", "model", "ok"),
        ("tool/find_order/1", "tool", "ok"),
        ("model/2", "model", "ok"),
        ("tool/refund/1", "person", "answered"),
        ("tool/refund/1", "tool", "ok"),
        ("model/3", "model", "ok"),
    ]
    figure = shop.plot.timeline(run.run_id)
    assert any("time since the run began (seconds)" in word for word in words(figure))


def test_a_run_that_waits_is_drawn_as_far_as_it_is(log):
    """What is not over has no end."""
    run = ran(log, call("refund", order_id="A-1"), "done")
    paused(run)
    last = log.plot.timeline.data(run).dicts()[-1]
    assert (last["kind"], last["status"], last["ended"]) == ("person", "open", None)
    assert isinstance(log.plot.timeline(run), Figure)


def test_a_long_run_is_drawn_with_its_longest_steps(log):
    """Not with more rows than can be read, which its title says."""
    many = ak.Pipeline("many", input={"numbers": list[int]})

    @many.step(each="numbers")
    def double(number: int) -> int:
        return 2 * number

    run = many.run(numbers=list(range(150)), log=log)
    run.result(60)
    figure = log.plot.timeline(run)
    assert "60 longest of 151 steps" in figure.said
    assert len(figure.axes[0].get_yticks()) == 60


@pytest.mark.parametrize("kind", ["cost", "latency", "reliability"])
def test_an_empty_log_says_so(log, kind):
    """A figure with the words, and no rows."""
    figure = getattr(log.plot, kind)()
    assert any("in this log yet" in word for word in words(figure))
    assert len(getattr(log.plot, kind).data()) == 0


def test_filters_choose_runs_and_times(shop):
    """By name, and since when; a typo is guessed."""
    of_payer = shop.plot.cost.data(name="payer").dicts()
    assert sum(row["calls"] for row in of_payer) == 3
    assert len(shop.plot.latency.data(since=timedelta(hours=1))) == 3
    assert len(shop.plot.latency.data(since=datetime(2999, 1, 1, tzinfo=UTC))) == 0
    assert "of payer" in shop.plot.cost(name="payer", since=datetime(2999, 1, 1)).said
    with pytest.raises(ak.ConfigError, match="did you mean 'payer'"):
        shop.plot.cost(name="payr")
    with pytest.raises(ak.ConfigError, match="'model' or by 'name'"):
        shop.plot.cost(by="day")


def test_a_notebook_shows_it_sharp_and_with_nothing_behind_it(shop):
    """Twice as many dots as it has room for, a transparent page, and letters that are legible on white and on black."""
    shown, about = shop.plot.latency()._repr_mimebundle_()
    picture = Image.open(io.BytesIO(base64.b64decode(shown["image/png"]))).convert("RGBA")
    assert picture.size[0] == 2 * about["image/png"]["width"]
    assert picture.getpixel((0, 0))[3] == 0
    light = _luminance(canvas.GREY)
    assert (1.0 + 0.05) / (light + 0.05) > 4
    assert (light + 0.05) / (_luminance("#111111") + 0.05) > 4


def _luminance(colour):
    """As WCAG 2 defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_a_hostile_name_is_drawn_as_it_is(log):
    """No formula, no control character: a name that is broken TeX is letters."""
    ran(log, call("find_order", order_id="A-1"), "done", name=HOSTILE).result(SOON)
    for figure in (log.plot.cost(by="name"), log.plot.latency(), log.plot.timeline(log.runs()[0][0])):
        shown, _ = figure._repr_mimebundle_()
        assert base64.b64decode(shown["image/png"]).startswith(b"\x89PNG")
        assert "\x1b" not in shown["text/plain"]


def test_without_matplotlib_it_says_what_to_install(shop, monkeypatch):
    """The rows are there all the same."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for name in [name for name in sys.modules if name.startswith("matplotlib.") or name == "agentkit.plot.canvas"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("agentkit.plot.canvas", raising=False)
    with pytest.raises(ak.ConfigError, match=r"pip install 'jupyter-agentkit\[plot\]'"):
        shop.plot.cost()
    assert len(shop.plot.cost.data()) > 0


def test_the_same_rows_from_an_embedded_log(embedded_log):
    """What is in the journal and what is folded is counted once."""
    ran(embedded_log, call("find_order", order_id="A-1"), "done").result(SOON)
    assert {row["name"] for row in embedded_log.plot.reliability.data().dicts()} == {"find_order", "function"}
    assert len(embedded_log.plot.cost.data()) == 1
