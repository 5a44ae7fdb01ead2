"""Where a value comes from: what explains it in every run survives, and nothing else does."""

import datetime as dt
from decimal import Decimal

import pytest
from pydantic import BaseModel

from agentkit.promote.align import reach
from agentkit.promote.computed import Change
from agentkit.promote.expressions import Names, Root
from agentkit.promote.search import explain
from agentkit.promote.values import Miss


class Line(BaseModel):
    sku: str
    price: Decimal
    quantity: int


class Order(BaseModel):
    order_id: str
    placed: dt.date
    lines: list[Line]


LINES = [
    [("cup", "4.50", 2), ("lamp", "30.00", 1)],
    [("lamp", "31.00", 3), ("cup", "5.50", 4), ("rug", "80.00", 1)],
    [("rug", "75.00", 2), ("cup", "3.25", 1)],
    [("pen", "1.20", 10), ("rug", "70.10", 1), ("lamp", "28.00", 2)],
]
MEANT = ["lamp", "cup", "rug", "pen"]
DAYS = ["2026-03-01", "2026-04-12", "2026-05-23", "2026-12-31"]


def envs():
    """Four runs: an order that was read, and what the request said of it."""
    return [
        {
            "sku": meant,
            "note": f"Order A-10{run} please, the {meant}, 10% off",
            "count": run + 2,
            "email": ["Ann@Shop.com", "bo@x.org", "CY@x.org", "di@shop.com"][run],
            "order": Order(
                order_id=f"A-10{run}",
                placed=dt.date.fromisoformat(day),
                lines=[Line(sku=sku, price=Decimal(price), quantity=quantity) for sku, price, quantity in lines],
            ),
        }
        for run, (meant, day, lines) in enumerate(zip(MEANT, DAYS, LINES, strict=True))
    ]


def found(values):
    """The explanations as code, the cheapest first, and the grade."""
    source = explain(reach(envs()), values)
    return [survivor.code(Names()) for survivor in source.survivors], source.grade


def lines(run):
    return {sku: (Decimal(price), quantity) for sku, price, quantity in LINES[run]}


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ([f"A-10{run}" for run in range(4)], "order.order_id"),
        (
            [lines(run)[MEANT[run]][0] for run in range(4)],
            "ak.only(line for line in order.lines if line.sku == sku).price",
        ),
        ([sum(q for _, q in lines(run).values()) for run in range(4)], "sum(line.quantity for line in order.lines)"),
        (
            [sum(p * q for p, q in lines(run).values()) for run in range(4)],
            "sum(line.price * line.quantity for line in order.lines)",
        ),
        ([max(p for p, _ in lines(run).values()) for run in range(4)], "max(line.price for line in order.lines)"),
        ([list(lines(run)) for run in range(4)], "[line.sku for line in order.lines]"),
        ([f"{day[8:]}.{day[5:7]}.{day[:4]}" for day in DAYS], 'order.placed.strftime("%d.%m.%Y")'),
        ([e.lower() for e in ("Ann@Shop.com", "bo@x.org", "CY@x.org", "di@shop.com")], "email.lower()"),
        ([e.split("@")[1] for e in ("Ann@Shop.com", "bo@x.org", "CY@x.org", "di@shop.com")], 'email.split("@")[-1]'),
        ([f"Refund for A-10{run}: {MEANT[run]}" for run in range(4)], 'f"Refund for {order.order_id}: {sku}"'),
        ([(run + 2) * 1.19 for run in range(4)], "count * 1.19"),
        (
            [lines(run)[MEANT[run]][0] * (run + 2) for run in range(4)],
            "count * ak.only(line for line in order.lines if line.sku == sku).price",
        ),
        (
            [[{"item": sku, "n": q} for sku, (_, q) in lines(run).items()] for run in range(4)],
            '[{"item": line.sku, "n": line.quantity} for line in order.lines]',
        ),
    ],
)
def test_what_explains_a_value_is_found(values, code):
    """Copies, choices, aggregates, maps, dates, forms, templates, arithmetic: each as a person would write it."""
    codes, grade = found(values)
    assert codes[0] == code
    assert grade in {"certain", "ambiguous"}


def test_what_stands_in_a_text_is_found_by_its_shape():
    """An id in prose is the one thing there that looks like it."""
    texts = [
        {"text": f"Hello, my order {one} is broken since {day}"}
        for one, day in zip(["A-1", "A-22", "A-7"], DAYS[:3], strict=True)
    ]
    source = explain(reach(texts), ["A-1", "A-22", "A-7"])
    assert source.survivors[0].code(Names()) == 'ak.only(set(re.findall(r"\\bA-\\d+\\b", text)))'


def test_what_never_varied_is_a_constant_and_says_so():
    """The same value in every run is no data flow."""
    codes, grade = found(["EUR"] * 4)
    assert (codes, grade) == (['"EUR"'], "constant")


def test_a_value_that_is_always_in_a_list_and_is_named_by_nothing_is_a_choice():
    """Then a model chooses, among what there is."""
    codes, grade = found(["cup", "lamp", "cup", "rug"])
    assert grade == "choice"
    assert codes == ["[line.sku for line in order.lines]"]


def test_several_of_a_list_that_nothing_names_are_a_choice_of_several():
    """None of them too; but not none in every run."""
    source = explain(reach(envs()), [["cup"], ["rug", "lamp"], [], ["pen"]])
    assert (source.grade, source.several) == ("choice", True)
    assert source.survivors[0].code(Names()) == "[line.sku for line in order.lines]"
    assert explain(reach(envs()), [["cup"], ["elsewhere"], [], ["pen"]]).grade == "model"


def test_an_amount_with_a_fraction_of_a_cent_has_no_cents():
    """19.995 in cents is 1999 or 2000, and no run says which."""
    assert Change("cents", Root("amount")).value({"amount": 19.99}) == 1999
    with pytest.raises(Miss):
        Change("cents", Root("amount")).value({"amount": 19.995})


def test_a_value_from_nowhere_is_made_by_a_model():
    """Words that nothing explains stay a model's."""
    assert found(["so sorry", "we regret it", "apologies", "it happens"]) == ([], "model")


def test_the_first_of_several_is_no_explanation():
    """A list's order is somebody else's: what only a position explains is a choice."""
    source = explain(reach(envs()), [LINES[run][0][0] for run in range(4)])
    assert source.grade == "choice"


def test_what_some_runs_contradict_is_shown_as_refuted():
    """A tempting explanation is named, with the number of runs against it."""
    wanted = [LINES[run][0][0] for run in range(3)] + ["lamp"]
    source = explain(reach(envs()), wanted)
    assert {(one.expression.code(Names()), one.runs) for one in source.refuted} >= {("order.lines[0].sku", 1)}


def test_with_few_values_it_is_ambiguous():
    """Two different values prove little."""
    source = explain(reach(envs()[:2]), ["A-100", "A-101"])
    assert source.grade == "ambiguous"
