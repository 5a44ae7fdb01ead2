"""Pipelines written by hand in the place of promoted ones: the right one, a careful one and a careless one.

They show that the evaluation tells equal from deopt from wrong before there is anything to evaluate.
"""

from decimal import Decimal
from typing import Any

import agentkit as ak
from families import refunds, returns, tickets


class Deopt(ak.AgentKitError):
    """Ends a run as a guard that failed does."""


class ByHand:
    """What `ak.promote` would have returned.

    Args:
        build: makes the pipeline; takes its model.
        refused: why there is none.
    """

    def __init__(self, build: Any = None, refused: tuple[str, ...] = ()) -> None:
        self._build = build
        self.refused = refused
        self.runs: list[str] = []

    def __call__(self, _agent: ak.Agent, *, runs: list[str], log: ak.Log) -> "ByHand":
        """Learn nothing."""
        assert log.run(runs[0]).status == "succeeded"
        self.runs += runs
        return self

    def load(self, *, model: Any = None) -> ak.Pipeline:
        """The pipeline."""
        return self._build(model)


def refund_pipeline(*, careful: bool, reads: tuple[str, ...] = ("sku", "status")) -> Any:
    """The family's pipeline: by field where it is told to, else the first of a list.

    Args:
        careful: it stops where a list has several elements and it does not select by field.
        reads: the fields that it selects by, "sku" for lines and "status" for payments.
    """

    def build(_model: Any) -> ak.Pipeline:
        pipeline = ak.Pipeline("refunds_by_hand", input={"order_id": str, "sku": str}, output="resolution")
        pipeline.step(refunds.find_order, name="order")
        pipeline.step(refunds.find_payments, name="payments")

        @pipeline.step
        def line(order: refunds.Order, sku: str) -> refunds.Line:
            return _one("line", order.lines, lambda each: each.sku == sku if "sku" in reads else None, careful)

        @pipeline.step
        def payment(payments: list[dict[str, Any]]) -> dict[str, Any]:
            by = "status" in reads
            return _one("payment", payments, lambda each: each["status"] == "captured" if by else None, careful)

        @pipeline.step
        def receipt(payment: dict[str, Any], line: refunds.Line, ctx: ak.Context) -> dict[str, Any]:
            return ctx.call(
                refunds.refund, payment_id=payment["payment_id"], line_id=line.line_id, amount=str(line.price)
            )

        @pipeline.step
        def resolution(receipt: dict[str, Any]) -> refunds.Resolution:
            return refunds.Resolution(refund_id=receipt["refund_id"], amount=Decimal(receipt["amount"]))

        return pipeline

    return build


def _one(what: str, among: list[Any], meant: Any, careful: bool) -> Any:
    """The one that is meant; where that is not known, the first, or a stop."""
    chosen = [each for each in among if meant(each) in {True, None}]
    if careful and len(chosen) != 1:
        raise Deopt(f"{len(chosen)} of {len(among)} could be the {what}")
    return chosen[0]


def return_pipeline(_model: Any) -> ak.Pipeline:
    """The family's pipeline, branch included."""
    pipeline = ak.Pipeline("returns_by_hand", input={"text": str}, output="answer")

    @pipeline.step
    def order_id(text: str) -> str:
        return "A-" + text.partition("A-")[2][:5]

    pipeline.step(returns.find_order, name="order")

    @pipeline.step(when=lambda order: order.status == "delivered")
    def label(order: returns.Order, ctx: ak.Context) -> dict[str, str]:
        return ctx.call(returns.create_return, order_id=order.order_id, address_id=order.address_id)

    @pipeline.step
    def answer(order: returns.Order, label: dict[str, str] | None) -> returns.Answer:
        return returns.Answer(order_id=order.order_id, accepted=label is not None, label=label and label["label"])

    return pipeline


def ticket_pipeline(*, shows: bool) -> Any:
    """The family's pipeline, with the step that asks a model.

    Args:
        shows: the prompt holds what the customer wrote, without which nobody can choose.
    """

    def build(model: Any) -> ak.Pipeline:
        pipeline = ak.Pipeline("tickets_by_hand", input={"ticket_id": str}, output="routing", model=model)
        pipeline.step(tickets.read_ticket, name="ticket")

        @pipeline.step
        def choice(ticket: tickets.Ticket, ctx: ak.Context) -> tickets.Routing:
            return ctx.ask(f"Where does this belong?\n{ticket if shows else ticket['subject']}", output=tickets.Routing)

        @pipeline.step
        def routing(ticket: tickets.Ticket, choice: tickets.Routing, ctx: ak.Context) -> tickets.Routing:
            given = {"reason": choice.summary, "customer_id": ticket["customer_id"]}
            ctx.call(tickets.route_ticket, ticket_id=ticket["ticket_id"], queue=choice.queue, **given)
            return choice

        return pipeline

    return build
