"""Where the arguments of a call came from."""

from datetime import UTC, datetime

import pytest

import agentkit as ak
from agentkit.origins import origin_of, origins
from agentkit.state import CallStep, State
from agentkit.testing import FunctionModel, call

pytestmark = pytest.mark.filterwarnings("ignore::agentkit.tools.linting.AgentKitWarning")  # small tools will do here


@ak.tool
def find_order(order_id: str) -> dict:
    """Look up one order. Returns its items and total in USD."""
    return {"order_id": order_id, "total": 80.5, "lines": [{"sku": "L-1", "count": 2}, {"sku": "S-9", "count": 1}]}


@ak.tool(writes=True, approve=lambda call: call.args["amount"] > 50)
def refund(order_id: str, amount: float, lines: list[dict], note: str, currency: str = "USD") -> dict:
    """Refund part of an order. Returns the receipt."""
    return {"refund_id": "R-7", "amount": amount}


@pytest.fixture
def run(log):
    """A refund of an order, whose note is the model's, edited to another amount by a person."""
    turns = [
        call("find_order", order_id="A-1042"),
        call("ask_person", question="Which code?"),
        call("refund", order_id="A-1042", amount=80.5, lines=[{"sku": "S-9", "code": "blue-7"}], note="so sorry"),
        "Done.",
    ]
    model = FunctionModel(lambda request: turns[sum(message.role == "assistant" for message in request.messages)])
    run = ak.Agent("support", model, tools=[find_order, refund, ak.ask_person], decisions="off").run(
        "Order A-1042 arrived broken", log=log
    )
    with pytest.raises(ak.RunPaused):
        run.result(timeout=20)
    run.answer(None, "blue-7")
    with pytest.raises(ak.RunPaused):
        run.result(timeout=20)
    return run


def words(run, step):
    return {path: str(origin) for path, origin in origins(run.state, step).items()}


def test_each_argument_is_traced_to_where_the_run_first_held_it(run):
    """The input before a result that repeats it; a person's answer; inside of lists; and what the model made up."""
    assert words(run, "tool/find_order/1") == {"order_id": "the run's input"}
    assert words(run, "tool/refund/1") == {
        "order_id": "the run's input",
        "amount": "the result of tool/find_order/1 at total",
        "lines[0].sku": "the result of tool/find_order/1 at lines[1].sku",
        "lines[0].code": "a person's answer to tool/ask_person/1",
        "note": "the model's own",
        "currency": "the tool's default",
    }


def test_what_a_person_edited_came_from_that_person(run):
    """Whatever else held that value."""
    run.approve(edit={"amount": 60.0})
    run.result(timeout=20)
    assert origins(run.state, "tool/refund/1")["amount"].kind == "person"


def state(given, *results):
    made = State(run_id="r", seq=1, name="a", kind="agent", started_at=datetime.now(UTC), input=given)
    for number, result in enumerate(results, 1):
        step = f"tool/t/{number}"
        made.calls[step] = CallStep(step, "t", turn=f"model/{number}", status="done", outcome="ok", result=result)
    return made


@pytest.mark.parametrize(
    ("value", "name", "held", "found"),
    [
        (80, "x", {"total": 80.0}, "total"),
        (True, "x", {"flag": True}, None),
        (True, "flag", {"flag": True}, "flag"),
        (True, "x", {"count": 1}, None),
        (1, "x", {"count": 1}, None),
        (1, "count", [{"count": 1}], "[0].count"),
        ("", "x", {"note": ""}, None),
        ("A-1", "x", {"text": "order A-10"}, None),
        ("A-1", "x", {"text": "order A-1."}, "text"),
        (12.5, "x", "it was 12.50 EUR", ""),
        (5, "x", "it was 15 EUR, or 5.5", None),
        ({"a": [1]}, "x", {"b": {"a": [1]}}, "b"),
        ([], "x", {"b": []}, None),
        (None, "x", "None", None),
    ],
)
def test_values_are_compared_as_json_and_texts_by_words(value, name, held, found):
    """80 is 80.0 and true is not 1; what is everywhere is found under its own name only."""
    origin = origin_of(state("nothing", held), value, name=name)
    assert (origin and origin.path) == found


def test_a_call_knows_nothing_of_what_was_called_beside_it(run):
    """Two calls of one turn: neither had the other's result."""
    made = state("nothing", {"total": 80.5}, {})
    made.calls["tool/t/2"].turn = "model/1"
    made.calls["tool/t/2"].raw = {"amount": 80.5}
    assert origins(made, "tool/t/2")["amount"].kind == "model"
    assert origins(made, "tool/nobody/1") == {}


def test_a_huge_result_is_no_reason_to_wait():
    """Its first values are looked at."""
    made = state("nothing", list(range(1000, 1_000_000)), {"total": 777_777})
    origin = origin_of(made, 777_777)
    assert origin is not None
    assert origin.step == "tool/t/2"
