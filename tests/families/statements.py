"""An aggregate: a sum of decimals, a count and a maximum over a list, and a currency.

What makes it hard: a list of one invoice makes sum, maximum and the invoice's own amount the same, the account's
balance sometimes is the sum, and lists can be empty.
"""

from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, Field

import agentkit as ak
from families.case import Case, Entities
from families.play import Dice, Turns, Use, play, use
from families.pool import Pool
from families.world import World, Write

DETERMINED = True

Money = Annotated[Decimal, Field(ge=0, le=1_000_000)]
Count = Annotated[int, Field(ge=0, le=100_000)]


class Request(BaseModel):
    """What comes in."""

    account_id: str
    month: str


class Account(BaseModel):
    """Who is billed."""

    account_id: str
    owner: str
    currency: str
    balance: Decimal


class Invoice(BaseModel):
    """One bill."""

    invoice_id: str
    issued: str
    amount: Decimal
    units: int
    paid: bool


class Statement(BaseModel):
    """What a month came to."""

    statement_id: str
    total: Decimal
    units: int


@ak.tool
def find_account(account_id: str, ctx: ak.Context) -> Account:
    """Look up one account by its number. Returns its owner, its currency and its balance.

    Args:
        account_id: the account's number, for example "K-20482".
    """
    return ctx.deps.read("accounts", account_id)


@ak.tool
def list_invoices(account_id: str, month: str, ctx: ak.Context) -> list[Invoice]:
    """List an account's invoices of one month. Returns them in no order; there may be none.

    Args:
        account_id: the account's number, for example "K-20482".
        month: year and month, for example "2026-03".
    """
    return ctx.deps.read("invoices", account_id, month)


@ak.tool(writes=True)
def post_statement(
    account_id: str, total: Money, invoices: Count, largest: Money, units: Count, currency: str, ctx: ak.Context
) -> Statement:
    """Post what a month came to. Returns the statement with its number.

    Args:
        account_id: the account's number, for example "K-20482".
        total: the sum of the month's invoices, for example "104.20".
        invoices: how many there are, at least 0.
        largest: the largest invoice, "0" where there is none.
        units: the units of all invoices together, at least 0.
        currency: three letters, for example "EUR".
    """
    given = {"account_id": account_id, "total": total, "invoices": invoices, "largest": largest}
    number = ctx.deps.write("post_statement", **given, units=units, currency=currency)
    return Statement(statement_id=f"S-{number}", total=total, units=units)


TOOLS = [find_account, list_invoices, post_statement]


def new_agent(model: object) -> ak.Agent:
    """The agent that settles such requests."""
    return ak.Agent("statements", model, "Post the month's statement.", tools=TOOLS, output=Statement)


def plan(given: dict, _dice: Dice) -> Turns:
    """How a request is settled."""
    account, invoices = yield [
        use(find_account, account_id=given["account_id"]),
        use(list_invoices, account_id=given["account_id"], month=given["month"]),
    ]
    amounts = [Decimal(invoice["amount"]) for invoice in invoices]
    done = yield use(
        post_statement,
        account_id=given["account_id"],
        total=sum(amounts, Decimal(0)),
        invoices=len(amounts),
        largest=max(amounts, default=Decimal(0)),
        units=sum(invoice["units"] for invoice in invoices),
        currency=account["currency"],
    )
    return Statement(**done)


def idle(given: dict) -> list[Use]:
    """What a model might look at without need."""
    return [use(list_invoices, account_id=given["account_id"], month="2025-12")]


def policy(noise: float = 0.0, seed: int = 0, seconds: float = 0.0) -> object:
    """A model that settles such requests."""
    return play(plan, idle=idle, noise=noise, seed=seed, seconds=seconds)


def case(seed: int, entities: Entities, *, count: int | None = None, currency: str | None = None) -> Case:
    """A random request.

    Args:
        count: how many invoices there are; 0 to 5 when left out.
        currency: the account's; any of three when left out.
    """
    pool = Pool("statements", seed, entities)
    account_id, month = pool.id("K-"), f"2026-{pool.random.randint(1, 11):02}"
    size = count if count is not None else pool.choice([0, 1, 1, 2, 3, 4, 5])
    invoices = [_invoice(pool, month) for _ in range(size)]
    amounts = [invoice.amount for invoice in invoices]
    total = sum(amounts, Decimal(0))
    account = Account(
        account_id=account_id,
        owner=pool.name(),
        currency=currency or pool.choice(["EUR", "USD", "CHF"]),
        balance=total if pool.chance(0.3) else pool.amount(1, 900),
    )
    number = pool.number(10000, 99999)
    world = World(
        {
            "accounts": {account_id: account},
            "invoices": {(account_id, month): invoices, (account_id, "2025-12"): [_invoice(pool, "2025-12")]},
        },
        {"post_statement": number},
    )
    units = sum(invoice.units for invoice in invoices)
    sums = {"total": str(total), "invoices": len(invoices), "largest": str(max(amounts, default=Decimal(0)))}
    write = {"account_id": account_id, **sums, "units": units, "currency": account.currency}
    given = Request(account_id=account_id, month=month).model_dump()
    output = {"statement_id": f"S-{number}", "total": str(total), "units": units}
    return Case(given, world, [Write("post_statement", write)], output)


def _invoice(pool: Pool, month: str) -> Invoice:
    return Invoice(
        invoice_id=pool.id("INV-"),
        issued=f"{month}-{pool.random.randint(1, 28):02}",
        amount=pool.amount(5, 400),
        units=pool.random.randint(1, 40),
        paid=pool.chance(0.5),
    )


agent = new_agent(policy())
