"""What makes a tool hard for a model to use, as far as its schema shows. Findings warn; they never block.

The thresholds are rules of thumb for tools that are few, distinct and bounded, not measurements: a finding is a reason
to look, not a fault. What only a log can show (errors, unused tools, arguments that never vary) is no matter of this.
"""

import difflib
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from agentkit.definition import ToolSpec
from agentkit.functions.fields import Field, fields
from agentkit.jsonvalue import canonical

MAX_TOOLS = 10  # a rule of thumb: few enough that each differs clearly from the others
MAX_TOKENS = 4000  # a rule of thumb: all schemas together are read, and paid for, in every model call
MAX_PARAMETERS = 6  # a rule of thumb: each is one more decision in a call
MAX_NAME = 64  # OpenAI's and Anthropic's limit
MIN_WORDS = 8  # of a tool's description: what it does and what it returns do not fit in fewer
MIN_PARAMETER_WORDS = 3  # "the order" says no more than the parameter's name
CHARACTERS_A_TOKEN = 4  # of JSON in English, roughly, for the usual tokenizers
SIMILAR = 0.85  # difflib's ratio of two descriptions' words: above it, they differ by a word or two

_SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_RETURNS = re.compile(r"\b(returns?|gives?|yields?|answers?|lists?|replies|reports?)\b", re.IGNORECASE)
_EFFECTS = re.compile(  # anywhere; and, where they are nouns as often, at the beginning of a sentence
    r"\b(add|append|apply|approve|archive|assign|cancel|change|clear|commit|copy|create|delete|deploy|disable|edit|"
    r"enable|grant|insert|install|merge|modify|move|notify|overwrite|pay|post|publish|put|refund|register|reject|remove|"
    r"rename|replace|reserve|reset|restart|revoke|save|schedule|send|set|start|stop|store|submit|transfer|trigger|update|"
    r"upload|withdraw|write)(e?s|e?d|ing)?\b|"
    r"(?:^|[.;:]\s+)(book|charge|close|credit|email|enter|file|issue|mark|message|open|order|place|record|reply|run|share|"
    r"tag)s?\b",
    re.IGNORECASE,
)
_CHOICES = re.compile(
    r"""\b(one|either|any)\s+of\b|\beither\b.+\bor\b|(["'`])[\w -]+\2"""
    r"""(,\s*(["'`])[\w -]+\4)*,?\s+or\s+(["'`])|\w+\|\w+""",
    re.IGNORECASE,
)
_EXAMPLE = re.compile(
    r"""for example|e\.g\.|such as|\blike\s+["'`]|["'`][^"'`]+["'`]|\bISO\b|\bRFC\b|YYYY|\bUUID\b""", re.IGNORECASE
)
_IDENTIFIER = re.compile(r"(^|_)(ids?|uuid|key|number|code|sku)$")
_DATE = re.compile(r"(^|_)(date|day|time|datetime|timestamp|since|until|deadline|due)(_|$)|_at$")
_VAGUE = frozenset(
    {"arg", "args", "argument", "data", "foo", "info", "input", "inputs", "item", "kwargs", "misc", "obj", "object"}
    | {"opts", "other", "param", "params", "payload", "request", "stuff", "thing", "things", "tmp", "value", "values"}
    | {"var", "x", "y", "z"}
)
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "enum", "const")


class AgentKitWarning(UserWarning):
    """What agentkit warns of; `warnings.filterwarnings("ignore", category=ak.AgentKitWarning)` silences it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that makes a tool harder to use than it need be.

    Args:
        tool: the tool's name; None where it is about all of them together.
        parameter: the parameter's path, for example `items[].price`; None where it is about the tool.
        rule: the rule's name, for example "number-without-bounds".
        message: what to do.

    Example:
        >>> print(Finding("refund", "amount", "number-without-bounds", "say its range"))
        refund.amount: say its range [number-without-bounds]
    """

    tool: str | None
    parameter: str | None
    rule: str
    message: str

    def __str__(self) -> str:
        where = ".".join(part for part in (self.tool, self.parameter) if part) or "tools"
        return f"{where}: {self.message} [{self.rule}]"


class Findings(list[Finding]):
    """A list of findings that prints one a line."""

    def __repr__(self) -> str:
        return "\n".join(map(str, self)) or "no findings"


def lint(tools: Sequence[ToolSpec]) -> Findings:
    """Say what would make these tools easier for a model to use.

    Args:
        tools: the tools that one agent would have.

    Returns:
        The findings: about all tools together first, then tool by tool.

    Example:
        >>> from agentkit.tools.function import tool
        >>> @tool
        ... def find_order(number: str) -> dict:
        ...     '''Look up one order by its number. Returns its items and status.'''
        >>> lint([find_order])
        find_order.number: describe it in at least 3 words [short-parameter-description]
        find_order.number: give an example of it in its description: for example "A-1042" [id-without-example]
    """
    findings = Findings(_about_all(tools))
    for tool in tools:
        findings.extend(_about_tool(tool))
        for field in fields(tool.schema.parameters):
            findings.extend(
                Finding(tool.schema.name, field.path, rule, message)
                for rules in (_about_words, _about_shape, _about_values)
                for rule, message in rules(field)
            )
    return findings


_said: set[str] = set()  # a cell that is executed again must not repeat what was said


def warn_about(tools: Sequence[ToolSpec], *, stacklevel: int = 2) -> None:
    """Warn of what `lint` finds, in brief, each thing once in a process.

    Args:
        tools: the tools of one agent.
        stacklevel: as for `warnings.warn`, counted from this function.
    """
    elsewhere = {tool.schema.name for tool in tools if getattr(tool, "made_elsewhere", False)}  # not ours to mend
    findings = [found for found in lint(tools) if str(found) not in _said and found.tool not in elsewhere]
    _said.update(map(str, findings))
    if not findings:
        return
    some = "; ".join(map(str, findings[:3]))
    more = f"; and {len(findings) - 3} more" if len(findings) > 3 else ""
    count = "1 thing" if len(findings) == 1 else f"{len(findings)} things"
    warnings.warn(
        f"{count} would make these tools easier for a model to use: {some}{more} (`ak.lint(tools)` lists all)",
        AgentKitWarning,
        stacklevel=stacklevel,
    )


def _about_all(tools: Sequence[ToolSpec]) -> Iterator[Finding]:
    if len(tools) > MAX_TOOLS:
        yield Finding(
            None, None, "too-many-tools", f"{len(tools)} tools; give an agent at most {MAX_TOOLS}, or split it"
        )
    tokens = sum(len(canonical(tool.schema.model_dump(mode="json"))) for tool in tools) // CHARACTERS_A_TOKEN
    if tokens > MAX_TOKENS:
        yield Finding(
            None, None, "schemas-too-long", f"about {tokens} tokens of schemas in every call; keep under {MAX_TOKENS}"
        )
    for one, other in combinations(tools, 2):
        a, b = (tool.schema.description.lower().split() for tool in (one, other))
        if a and b and difflib.SequenceMatcher(None, a, b).ratio() >= SIMILAR:
            message = f"described almost as {other.schema.name}; say when to use which, or merge them"
            yield Finding(one.schema.name, None, "near-duplicate", message)


def _about_tool(tool: ToolSpec) -> Iterator[Finding]:
    name, description = tool.schema.name, tool.schema.description
    parameters = len(tool.schema.parameters.get("properties", {}))
    words = len(description.split())
    returns_text = getattr(tool, "return_type", None) is str and tool.kind == "function"
    checks = (
        (not _SNAKE.fullmatch(name), "name-not-snake-case", f"call it {_snake(name)}"),
        (len(name) > MAX_NAME, "name-too-long", f"shorten its name to {MAX_NAME} characters"),
        (
            words < MIN_WORDS,
            "short-description",
            f"describe it in at least {MIN_WORDS} words: what it does, when to use it, what it returns",
        ),
        (not _RETURNS.search(description), "silent-on-result", "say what it returns"),
        (tool.writes and not _EFFECTS.search(_before_result(description)), "silent-on-effect", "say what it changes"),
        (
            parameters > MAX_PARAMETERS,
            "too-many-parameters",
            f"{parameters} parameters; take at most {MAX_PARAMETERS}, or split it",
        ),
        (returns_text, "returns-prose", "return a structure (a model, a dict, a list) instead of text"),
    )
    return (Finding(name, None, rule, message) for found, rule, message in checks if found)


def _about_words(field: Field) -> Iterator[tuple[str, str]]:
    """What the parameter is called and how it is described."""
    if len(field.description.split()) < MIN_PARAMETER_WORDS:
        yield "short-parameter-description", f"describe it in at least {MIN_PARAMETER_WORDS} words"
    if field.name.lower() in _VAGUE:
        yield "vague-name", "name it by what it holds, not that it holds something"


def _about_shape(field: Field) -> Iterator[tuple[str, str]]:
    """What type it has, or has not."""
    if not field.types:
        yield "untyped-parameter", "give it a type narrower than Any"
    for shape in field.shapes:
        if shape.get("type") == "object" and _is_free_form(shape):
            yield "free-form-object", "name its fields: take a pydantic model, a dataclass or a TypedDict"
        if shape.get("type") == "array" and not (shape.get("items") or shape.get("prefixItems")):
            yield "array-without-items", "say what it is a list of, for example list[str]"
    if field.required and "null" in field.types:
        yield "optional-without-default", "give it the default None, or do not allow null"


def _about_values(field: Field) -> Iterator[tuple[str, str]]:
    """Which values it takes."""
    for shape in field.shapes:
        kind = shape.get("type")
        if kind in {"integer", "number"} and not any(bound in shape for bound in _BOUNDS):
            yield "number-without-bounds", "say its range, with Annotated[…, Field(ge=…, le=…)]"
        if kind == "string" and not {"enum", "const", "format", "pattern"} & shape.keys():
            yield from _about_text(field)


def _about_text(field: Field) -> Iterator[tuple[str, str]]:
    """A string that may hold anything: what it should hold."""
    if _CHOICES.search(field.description):
        yield "choices-in-prose", "list its choices in the type: Literal['…', '…']"
        return
    name = field.name.lower()
    shown = _EXAMPLE.search(field.description) or field.has_examples
    if _DATE.search(name) and not shown:
        yield "date-without-format", "type it as datetime.date or datetime, or give an example"
    elif _IDENTIFIER.search(name) and not shown:
        yield "id-without-example", 'give an example of it in its description: for example "A-1042"'


def _is_free_form(shape: dict[str, Any]) -> bool:
    return not shape.get("properties") and shape.get("additionalProperties", True) in (True, {})


def _before_result(description: str) -> str:
    """The description without its sentence on the result: "Returns the receipt it sent" changes nothing."""
    return re.split(r"\breturns?\b", description, maxsplit=1, flags=re.IGNORECASE)[0]


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|-", "_", name).lower().strip("_")
