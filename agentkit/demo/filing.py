"""Filing the licences of packages one by one: an agent whose runs are promoted in `notebooks/04_promote.ipynb`.

Its tools are real and read the installed packages. Its model is a stand-in, so that the notebook runs without a key: it
goes by a checklist as a good model does, and as a model it looks at more than it has to, twice at times, and in another
order.
"""

import json
import random
import threading
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field

import agentkit as ak
from agentkit.demo.metadata import plain_category
from agentkit.demo.reader import shelf
from agentkit.messages import Message, ModelRequest, ToolCall, ToolMessage, UserMessage
from agentkit.testing import FunctionModel

PackageName = Annotated[str, Field(description='its name, as it is installed, for example "pydantic"')]
REGISTER = Path("licences.jsonl")
_writing = threading.Lock()


class Description(BaseModel):
    """What a package says about itself.

    Args:
        name: the package's.
        version: its version.
        summary: what it is, in a line.
        expression: the licence as its metadata has it; None where it is silent.
        clear: whether metadata and licence files agree on one licence.
        category: the licence's category; None where it is not clear.
        because: the words that say so.
        files: how many licence files it has.
    """

    name: str
    version: str
    summary: str
    expression: str | None
    clear: bool
    category: str | None
    because: str
    files: int


class Entry(BaseModel):
    """What was written into the register."""

    entry: str
    package: str


class Filed(BaseModel):
    """How a package was settled."""

    package: str
    entry: str
    clear: bool


@ak.tool
def describe(package: PackageName, ctx: ak.Context) -> Description:
    """Read what a package says about its licence. Returns its metadata, and the category where it is clear."""
    try:
        found = shelf(ctx).get(package)
    except KeyError:
        raise ak.ToolError(f"{package} is not installed") from None
    plain = plain_category(found)
    return Description(
        name=found.name,
        version=found.version,
        summary=found.summary or "",
        expression=found.expression or found.license,
        clear=plain is not None,
        category=plain[0] if plain is not None else None,
        because=plain[1] if plain is not None else "",
        files=len(found.texts),
    )


@ak.tool
def policy() -> dict[str, str]:
    """Read what the company says about licences. Returns a sentence for each category."""
    return {"permissive": "Use it.", "weak copyleft": "Use it unchanged.", "strong copyleft": "Ask the lawyers."}


@ak.tool(writes=True)
def file_licence(package: str, version: str, category: str, because: str) -> Entry:
    """Write a package's licence into the register. Returns the entry's number.

    Args:
        package: the package's name, for example "pydantic".
        version: its version, for example "2.12.0".
        category: the licence's category, for example "permissive".
        because: the words that say so, as they stand there.
    """
    return _append("licence", package=package, version=version, category=category, because=because)


@ak.tool(writes=True)
def ask_for_review(package: str, reason: str) -> Entry:
    """Put a package on the list of those that a person has to read. Returns the entry's number.

    Args:
        package: the package's name, for example "pydantic".
        reason: what is not clear, in a few words, for example "no licence in its metadata".
    """
    return _append("review", package=package, reason=reason)


def _append(kind: str, **fields: str) -> Entry:
    with _writing:  # several runs write at one time
        lines = REGISTER.read_text("utf-8").splitlines() if REGISTER.exists() else []
        entry = f"{kind}-{len(lines) + 1}"
        with REGISTER.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"entry": entry, **fields}) + "\n")
    return Entry(entry=entry, package=fields["package"])


# the stand-in for a model --------------------------------------------------------------------------------------------


def follow(request: ModelRequest) -> ToolCall | list[ToolCall] | Filed:
    """The next call, or the answer: by a checklist, with what a model does beside it."""
    first = request.messages[0]
    assert isinstance(first, UserMessage), "a run begins with its input"
    package: str = json.loads(str(first.content))["package"]
    dice = random.Random(package)  # noqa: S311  what a model does without need is no secret
    done = _results(request.messages)
    if "describe" not in done:
        calls = [_call("describe", package=package)]
        if dice.random() < 0.4 and "policy" not in done:
            calls.insert(dice.randrange(2), _call("policy"))
        return calls
    found = done["describe"]
    if "clear" not in found:  # an error
        return Filed(package=package, entry="none: it is not installed", clear=False)
    written = done.get("file_licence") or done.get("ask_for_review")
    if written is not None:
        return Filed(package=package, entry=written["entry"], clear=found["clear"])
    if dice.random() < 0.2 and len(request.messages) < 5:
        return _call("describe", package=package)  # once more, to be sure
    if found["clear"]:
        shared = {name: found[name] for name in ("version", "category", "because")}
        return _call("file_licence", package=found["name"], **shared)
    return _call("ask_for_review", package=found["name"], reason="its metadata does not settle it")


def _results(messages: tuple[Message, ...]) -> dict[str, Any]:
    return {message.name: message.content for message in messages if isinstance(message, ToolMessage)}


def _call(tool: str, **arguments: Any) -> ToolCall:
    return ToolCall(id=f"call_{tool}_{random.randrange(10**9)}", name=tool, arguments=arguments)  # noqa: S311  only to differ


clerk = ak.Agent(
    "licence-clerk",
    FunctionModel(follow, usage=ak.Usage(input_tokens=900, output_tokens=60, cost_usd=0.0006)),
    "File the licence of the package. Where its metadata is not clear, ask for a review.",
    tools=[describe, policy, file_licence, ask_for_review],
    output=Filed,
    decisions="off",
)
"""The agent. Its model's tokens and prices are what such a run takes with a small hosted model."""
