"""Two branches that write differently: money goes back to a card or to an account, as the payment's kind says.

Written after the code that promotes. What makes it hard: the first write's number goes into a second write, which
both branches do, and the amount is written in cents by one tool and in EUR by the other.
"""

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

import agentkit as ak
from families.case import Case, Entities
from families.play import Dice, Turns, Use, play, use
from families.pool import Pool
from families.world import World, Write

DETERMINED = True


class Request(BaseModel):
    """What comes in."""

    claim_id: str


class Claim(BaseModel):
    """What somebody is owed."""

    claim_id: str
    payment_id: str
    amount: Decimal
    contact: dict[str, str]


class Payout(BaseModel):
    """How it was paid."""

    payout_id: str
    way: Literal["card", "account"]


@ak.tool
def find_claim(claim_id: str, ctx: ak.Context) -> Claim:
    """Look up one claim by its number. Returns what is owed, for which payment, and whom to tell.

    Args:
        claim_id: the claim's number, for example "CL-48213".
    """
    return ctx.deps.read("claims", claim_id)


@ak.tool
def find_payment(payment_id: str, ctx: ak.Context) -> dict[str, Any]:
    """Look up one payment by its number. Returns its kind, and the card or the account that it came from.

    Args:
        payment_id: the payment's number, for example "pay_20482".
    """
    return ctx.deps.read("payments", payment_id)


@ak.tool(writes=True)
def pay_card(token: str, cents: Annotated[int, Field(ge=1, le=10_000_000)], ctx: ak.Context) -> dict[str, str]:
    """Pay to a card. Returns the payout's number.

    Args:
        token: the card's token, for example "tok_20482".
        cents: how much, in cents of a EUR.
    """
    return {"payout_id": f"PO-{ctx.deps.write('pay_card', token=token, cents=cents)}"}


@ak.tool(writes=True)
def pay_account(
    iban: str, amount: Annotated[Decimal, Field(gt=0, le=100_000)], subject: str, ctx: ak.Context
) -> dict[str, str]:
    """Pay to an account. Returns the payout's number.

    Args:
        iban: the account, for example "DE20482".
        amount: how much, in EUR.
        subject: what it is for, for example "Claim CL-48213".
    """
    return {"payout_id": f"PO-{ctx.deps.write('pay_account', iban=iban, amount=amount, subject=subject)}"}


@ak.tool(writes=True)
def notify(email: str, payout_id: str, ctx: ak.Context) -> dict[str, bool]:
    """Send word of a payout. Returns whether it was sent.

    Args:
        email: the recipient's address, for example "ada@example.com".
        payout_id: the payout's number, for example "PO-20482".
    """
    ctx.deps.write("notify", email=email, payout_id=payout_id)
    return {"sent": True}


TOOLS = [find_claim, find_payment, pay_card, pay_account, notify]


def new_agent(model: object) -> ak.Agent:
    """The agent that settles such requests."""
    return ak.Agent("payouts", model, "Pay what is owed the way it came, and send word.", tools=TOOLS, output=Payout)


def plan(given: dict, _dice: Dice) -> Turns:
    """How a request is settled."""
    claim = yield use(find_claim, claim_id=given["claim_id"])
    payment = yield use(find_payment, payment_id=claim["payment_id"])
    if payment["kind"] == "card":
        cents = int(Decimal(claim["amount"]) * 100)
        paid = yield use(pay_card, token=payment["card"]["token"], cents=cents)
    else:
        subject = f"Claim {given['claim_id']}"
        paid = yield use(pay_account, iban=payment["account"]["iban"], amount=claim["amount"], subject=subject)
    yield use(notify, email=claim["contact"]["email"], payout_id=paid["payout_id"])
    return Payout(payout_id=paid["payout_id"], way="card" if payment["kind"] == "card" else "account")


def idle(given: dict) -> list[Use]:
    """What a model might look at without need."""
    return [use(find_claim, claim_id=given["claim_id"])]


def policy(noise: float = 0.0, seed: int = 0, seconds: float = 0.0) -> object:
    """A model that settles such requests."""
    return play(plan, idle=idle, noise=noise, seed=seed, seconds=seconds)


def case(seed: int, entities: Entities) -> Case:
    """A random request."""
    pool = Pool("payouts", seed, entities)
    claim_id, payment_id, amount = pool.id("CL-"), pool.id("pay_"), pool.amount(2, 400)
    name, number, kind = pool.name(), pool.number(10000, 99999), pool.choice(["card", "account"])
    email = pool.email(name)
    claim = Claim(
        claim_id=claim_id, payment_id=payment_id, amount=amount, contact={"name": name, "email": email, "lang": "en"}
    )
    token, iban = pool.id("tok_"), pool.id("DE", 6)
    payment = {
        "payment_id": payment_id,
        "kind": kind,
        "card": {"token": token, "last4": f"{pool.number(1000, 9999)}"} if kind == "card" else None,
        "account": {"iban": iban, "holder": name} if kind == "account" else None,
    }
    world = World({"claims": {claim_id: claim}, "payments": {payment_id: payment}}, {f"pay_{kind}": number})
    given = {"token": token, "cents": int(amount * 100)}
    if kind == "account":
        given = {"iban": iban, "amount": str(amount), "subject": f"Claim {claim_id}"}
    payout_id = f"PO-{number}"
    writes = [Write(f"pay_{kind}", given), Write("notify", {"email": email, "payout_id": payout_id})]
    output = {"payout_id": payout_id, "way": kind}
    return Case(Request(claim_id=claim_id).model_dump(), world, writes, output, way=kind)


agent = new_agent(policy())
