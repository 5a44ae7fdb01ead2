"""Reads for each element, and what they come to: a report's receipts are looked up and their amounts summed.

What makes it hard: amounts are floats, so a sum has to be rounded to be what the agent wrote, and a report of one
receipt is the receipt.
"""

from typing import Annotated

from pydantic import BaseModel, Field

import agentkit as ak
from families.case import Case, Entities
from families.play import Dice, Turns, Use, play, use
from families.pool import Pool
from families.world import World, Write

DETERMINED = True


class Request(BaseModel):
    """What comes in."""

    report_id: str


class Report(BaseModel):
    """What somebody wants back."""

    report_id: str
    employee: str
    iban: str
    receipt_ids: list[str]
    advance: float


class Receipt(BaseModel):
    """What somebody paid."""

    receipt_id: str
    merchant: str
    amount: float
    tax: float


class Paid(BaseModel):
    """What was paid back."""

    payment_id: str
    amount: float
    receipts: int


@ak.tool
def find_report(report_id: str, ctx: ak.Context) -> Report:
    """Look up one expense report by its number. Returns who wants money back, and the numbers of the receipts.

    Args:
        report_id: the report's number, for example "X-48213".
    """
    return ctx.deps.read("reports", report_id)


@ak.tool
def find_receipt(receipt_id: str, ctx: ak.Context) -> Receipt:
    """Look up one receipt by its number. Returns its amount in EUR, tax included.

    Args:
        receipt_id: the receipt's number, for example "B-20482".
    """
    return ctx.deps.read("receipts", receipt_id)


@ak.tool(writes=True)
def pay_back(
    report_id: str, iban: str, amount: Annotated[float, Field(ge=0, le=100_000)], ctx: ak.Context
) -> dict[str, str]:
    """Pay an expense report back. Returns the payment's number.

    Args:
        report_id: the report's number, for example "X-48213".
        iban: the account, for example "DE20482".
        amount: in EUR, two decimals.
    """
    return {"payment_id": f"Z-{ctx.deps.write('pay_back', report_id=report_id, iban=iban, amount=amount)}"}


TOOLS = [find_report, find_receipt, pay_back]


def new_agent(model: object) -> ak.Agent:
    """The agent that settles such requests."""
    return ak.Agent("expenses", model, "Pay back what the receipts come to.", tools=TOOLS, output=Paid)


def plan(given: dict, _dice: Dice) -> Turns:
    """How a request is settled."""
    report = yield use(find_report, report_id=given["report_id"])
    receipts = yield [use(find_receipt, receipt_id=receipt_id) for receipt_id in report["receipt_ids"]]
    amount = round(sum(receipt["amount"] for receipt in receipts), 2)
    paid = yield use(pay_back, report_id=given["report_id"], iban=report["iban"], amount=amount)
    return Paid(payment_id=paid["payment_id"], amount=amount, receipts=len(receipts))


def idle(given: dict) -> list[Use]:
    """What a model might look at without need."""
    return [use(find_report, report_id=given["report_id"])]


def policy(noise: float = 0.0, seed: int = 0, seconds: float = 0.0) -> object:
    """A model that settles such requests."""
    return play(plan, idle=idle, noise=noise, seed=seed, seconds=seconds)


def case(seed: int, entities: Entities) -> Case:
    """A random request."""
    pool = Pool("expenses", seed, entities)
    report_id, number, iban = pool.id("X-"), pool.number(10000, 99999), pool.id("DE", 6)
    receipts = [_receipt(pool) for _ in range(pool.random.randint(1, 6))]
    amount = round(sum(receipt.amount for receipt in receipts), 2)
    report = Report(
        report_id=report_id,
        employee=pool.name(),
        iban=iban,
        receipt_ids=[receipt.receipt_id for receipt in receipts],
        advance=receipts[0].amount if pool.chance(0.2) else float(pool.amount(1, 200)),
    )
    world = World(
        {"reports": {report_id: report}, "receipts": {receipt.receipt_id: receipt for receipt in receipts}},
        {"pay_back": number},
    )
    writes = [Write("pay_back", {"report_id": report_id, "iban": iban, "amount": amount})]
    output = {"payment_id": f"Z-{number}", "amount": amount, "receipts": len(receipts)}
    return Case(Request(report_id=report_id).model_dump(), world, writes, output)


def _receipt(pool: Pool) -> Receipt:
    amount = float(pool.amount(2, 300))
    return Receipt(receipt_id=pool.id("B-"), merchant=pool.word(), amount=amount, tax=round(amount * 0.19 / 1.19, 2))


agent = new_agent(policy())
