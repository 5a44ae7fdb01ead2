"""The audit as a pipeline: plain code where metadata is clean, a model where it is not, a person for what fails checks.

`agentkit demo pipeline` runs it; so does `agentkit run agentkit.demo.pipeline:audit`. What a step returns is recorded,
and the next ones work from that: a resumed run never looks at the installed packages again.
"""

from pydantic import BaseModel

import agentkit as ak
from agentkit.demo.categories import CATEGORIES, Category
from agentkit.demo.metadata import plain_category
from agentkit.demo.packages import Package
from agentkit.demo.reader import KINDS, Finding, as_text, hold, shelf
from agentkit.demo.reading import categories_of_all
from agentkit.demo.report import Audit, Decider, Row, audit_of
from agentkit.demo.report import report as report_of
from agentkit.demo.writing import write_report
from agentkit.errors import ModelError

INSTRUCTIONS = f"""\
Which kind of licence has a package that says this? Quote the words that name its licence, and give its kind:
{KINDS}"""


class Listed(BaseModel):
    """One package, as far as the audit needs it: small, because it is recorded.

    Args:
        name: the package's.
        version: its version.
        category: what plain code says; None where somebody has to read.
        because: the words that say so.
        names: the kinds of licence that all its words together name, licence texts included.
        words: what a reader is shown; empty where nobody has to read.
    """

    name: str
    version: str
    category: Category | None
    because: str
    names: list[Category]
    words: str


class Refused(BaseModel):
    """The model answered, and no answer of its held."""

    why: str


class Doubt(BaseModel):
    """A package about which a person is asked, and why."""

    name: str
    version: str
    why: str
    words: str


audit = ak.Pipeline(
    "licences",
    # the model is an input, so that a resumed run knows it, and what another model read is no cached result of this one
    input={"model": (str | None, None), "limit": (int | None, None), "path": (str, "licences.md")},
)


@audit.step
def packages(ctx: ak.Context) -> list[Listed]:
    """Every installed package, with what plain code can tell of it."""
    shelves = shelf(ctx)
    return [listed(shelves.get(name)) for name in shelves.names()]


@audit.step
def clear(packages: list[Listed]) -> list[Row]:
    """The rows that need no model."""
    return [row(one, one.category, "plain code", one.because) for one in packages if one.category is not None]


@audit.step
def messy(packages: list[Listed], limit: int | None) -> list[Listed]:
    """The packages that somebody has to read; at most `limit` of them."""
    return [one for one in packages if one.category is None][:limit]


# One item a package: one that fails is an `ak.Failed` in the list, and the others go on. A second audit asks the model
# only about what is new: the cache finds a result by the step's source and its arguments, `model` among them.
@audit.step(each="messy", concurrency=4, on_error="collect", cache=True)
def read(package: Listed, model: str | None, ctx: ak.Context) -> Finding | Refused:
    """What a model finds in one package's words: a quotation, and what it means."""

    def holds(finding: Finding) -> None:  # what it raises goes back to the model, once
        hold(finding, [package.words])

    try:
        return ctx.ask(
            package.words,
            output=Finding,
            model=model,
            instructions=INSTRUCTIONS,
            checks=[holds],
            max_reasks=1,
            settings={"max_tokens": 200},
        )
    except ak.AskFailed as error:
        if error.error.type != "TooManyReasks":
            raise  # it could not be asked: a key, a network
        return Refused(why=str(error).rpartition("the last time: ")[2])


@audit.step
def settled(messy: list[Listed], read: list[Finding | Refused | ak.Failed]) -> list[Row]:
    """The rows of the findings that hold against everything their packages say."""
    return [
        row(one, found.category, "model", found.quotation if one.names else "it names no licence")
        for one, found in zip(messy, read, strict=True)
        if isinstance(found, Finding) and why_doubtful(one, found) is None
    ]


@audit.step
def doubts(messy: list[Listed], read: list[Finding | Refused | ak.Failed]) -> list[Doubt]:
    """What fails the check, for a person."""
    unasked = [found for found in read if isinstance(found, ak.Failed)]
    if read and len(unasked) == len(read):  # a person is asked about packages, not about keys and networks
        raise ModelError(f"the model cannot be asked: {unasked[0].message}")
    found = [(one, why_doubtful(one, finding)) for one, finding in zip(messy, read, strict=True)]
    return [Doubt(name=one.name, version=one.version, why=why, words=one.words) for one, why in found if why]


# The run waits until each is answered, from a notebook, a terminal or another process. An answer is kept like a
# model's: a second audit does not ask for it again. Who says no leaves it open, and is asked another time.
@audit.step(each="doubts", on_error="collect", cache=True)
def answers(doubt: Doubt, ctx: ak.Context) -> Row:
    """What a person says."""
    asks = f"Which kind of licence has {doubt.name} {doubt.version}? {doubt.why[0].upper()}{doubt.why[1:]}."
    said = ctx.call(ak.ask_person, question=f"{asks}\n\n{doubt.words}", options=[*CATEGORIES, "unknown"])
    return row(doubt, said, "person", doubt.why)


@audit.step
def rows(
    packages: list[Listed],
    clear: list[Row],
    settled: list[Row],
    doubts: list[Doubt],
    answers: list[Row | ak.Failed],
) -> list[Row]:
    """A row for each package, whoever decided it."""
    known = [*clear, *settled, *(answer for answer in answers if isinstance(answer, Row))]
    decided = {one.package: one for one in known}
    open_ = {one.name: one.why for one in doubts}
    over = "not read: over the limit"
    return [decided.get(one.name) or row(one, "unknown", "nobody", open_.get(one.name, over)) for one in packages]


@audit.step
def report(rows: list[Row]) -> str:
    """The report's text."""
    return report_of(rows)


# a tool is a step as it is: it asks a person before it writes, and writes once, whatever happens in between
audit.step(write_report, on_reject="skip")


@audit.step
def summary(rows: list[Row], write_report: dict[str, str | int] | None) -> Audit:
    """What the run ends with. None is what a step gives that was skipped."""
    return audit_of(rows, None if write_report is None else str(write_report["path"]))


def listed(package: Package) -> Listed:
    """What plain code can tell of a package."""
    plain = plain_category(package)
    return Listed(
        name=package.name,
        version=package.version,
        category=plain[0] if plain else None,
        because=plain[1] if plain else "",
        names=sorted(categories_of_all(package.says)),
        words="" if plain else as_text(package),
    )


def why_doubtful(package: Listed, found: Finding | Refused | ak.Failed) -> str | None:
    """Why a finding is no row: plain code does not get its category from everything that the package says."""
    if isinstance(found, ak.Failed):
        return f"the model could not be asked: {found.message[:200]}"
    if isinstance(found, Refused):
        return f"the model's answer did not hold: {found.why[:200]}"
    if package.names == ([] if found.category == "unknown" else [found.category]):
        return None
    named = " and ".join(package.names) or "no licence"
    return f"the model says {found.category}, and all that the package says names {named}"


def row(package: Listed | Doubt, category: str, by: Decider, why: str) -> Row:
    """One line of the report; raises `ValueError` for a category that there is not."""
    data = {"package": package.name, "version": package.version, "category": category, "by": by}
    return Row.model_validate({**data, "why": " ".join(why.split())[:100]})
