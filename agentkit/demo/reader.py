"""The agent that reads what one messy package says, and the plain code that checks it."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Protocol

from pydantic import BaseModel, Field

import agentkit as ak
from agentkit.definition import Model
from agentkit.demo.packages import Package, classifier_name, installed, said
from agentkit.demo.reading import categories, categories_of_all, contains

_EXCERPT = 800
"""Characters of licence texts that the model is shown: about 200 tokens, most of what a small model's answer costs."""
_FIELD = 300
_EMPTY = "(empty)"

KINDS = """\
MIT, BSD, Apache, ISC, PSF, Python, zlib, Unlicense, public domain: permissive
LGPL, Lesser GPL, MPL, Mozilla, EPL, Eclipse, Artistic: weak copyleft
GPL, GNU General Public License, AGPL, Affero: strong copyleft
proprietary, commercial, EULA, non-commercial, all rights reserved: proprietary
no licence is named: unknown
"""
INSTRUCTIONS = f"""\
Which kind of licence has the package? Call look_up, then quote the words that name its licence, and give its kind:
{KINDS}"""


class Finding(BaseModel):
    """What the model found: the words, and what they mean."""

    quotation: Annotated[ak.Quotation, Field(description="the words that name the licence, copied", max_length=80)]
    category: Literal["permissive", "weak copyleft", "strong copyleft", "proprietary", "unknown"]


class Shelf(Protocol):
    """Where packages are looked up; `deps` of the audit's runs."""

    def names(self) -> list[str]:
        """The packages' names, in order."""
        ...

    def get(self, name: str) -> Package:
        """One package; raises `KeyError`."""
        ...


class Installed:
    """The packages that are installed where this Python runs."""

    def __init__(self) -> None:
        self._packages = {package.name: package for package in installed()}

    def names(self) -> list[str]:
        """The packages' names, in order."""
        return list(self._packages)

    def get(self, name: str) -> Package:
        """One package; raises `KeyError`."""
        return self._packages[name]


def shelf(context: ak.Context) -> Shelf:
    """What the run was given to look at; the installed packages where it was given nothing."""
    given: Shelf | None = context.deps
    return _installed() if given is None else given


_found: list[Installed] = []


def _installed() -> Installed:
    """Looked at once a process: 180 packages take half a second."""
    if not _found:
        _found.append(Installed())
    return _found[0]


@ak.tool
def look_up(
    package: Annotated[ak.Quotation, Field(description="the package's name")],
    context: ak.Context,
) -> dict[str, Any]:
    """Look up what a package says about its licence. Returns its metadata and the beginnings of its licence files."""
    try:
        found = shelf(context).get(package.strip())
    except KeyError:
        raise ak.ToolError(f"there is no package {package!r}; give the name as the task has it") from None
    return shown(found)


def shown(package: Package) -> dict[str, Any]:
    """What the model is shown of a package: its metadata, and at most `_EXCERPT` characters of its licence files."""
    field = package.expression or said(package.license)
    texts = {path: text.strip() for path, text in package.texts.items() if text.strip() != field}
    room = max(100, _EXCERPT // max(1, len(texts)))
    excerpts = {path: text[:room] for path, text in list(texts.items())[: _EXCERPT // room]}
    return {
        "package": package.name,
        "license field": field[:_FIELD] if field else _EMPTY,
        "classifiers": [classifier_name(line) for line in package.classifiers],
        "licence files": excerpts,
    }


def as_text(package: Package) -> str:
    """What `shown` has of a package as one text of its own words only, so that nothing else can be quoted."""
    about = shown(package)
    texts = [*([] if about["license field"] == _EMPTY else [about["license field"]]), *about["classifiers"]]
    return "\n\n".join([*texts, *about["licence files"].values()]) or "(it says nothing)"


def agrees(finding: Finding, results: list[dict[str, Any]]) -> None:
    """Refuse a finding that does not hold against what the tools of the run returned; an agent's check."""
    hold(finding, [text for result in results for text in _texts(result["result"])])


def hold(finding: Finding, texts: Sequence[str]) -> None:
    """Refuse a finding whose quotation is not there, or does not mean to plain code what it means to the model.

    Args:
        finding: the model's answer.
        texts: what the model was shown.

    Raises:
        ValueError: what is wrong, for the model to try again.
    """
    if finding.category == "unknown":
        if categories_of_all(texts):
            raise ValueError("something there does name a licence: quote it")
        return
    if not any(contains(text, finding.quotation) for text in texts):
        raise ValueError(f"{finding.quotation!r} is not in what the package says: copy a few words exactly")
    means = categories(finding.quotation)
    if list(means) != [finding.category]:
        what = " and ".join(sorted(means)) or "no licence at all"
        raise ValueError(
            f"the words {finding.quotation!r} name {what}, not {finding.category}: quote other words, or give that kind"
        )


def _texts(shown: Mapping[str, Any]) -> list[str]:
    return [shown["license field"], *shown["classifiers"], *shown["licence files"].values()]


def make_reader(model: "str | Model") -> ak.Agent:
    """The agent that reads one package.

    Args:
        model: its name, or a `Model`.
    """
    return ak.Agent(
        "reader",
        model,
        INSTRUCTIONS,
        tools=[look_up],
        output=Finding,
        checks=[agrees],
        max_reasks=1,  # a second try, then a person
        settings={"max_tokens": 200},
    )
