"""The audit as one run: a checklist calls the tools and the reader, a person answers what is left, a report is written.

The checklist is plain code in the place of a model: what comes next is known, so nothing has to be generated for it.
"""

import json
import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, cast

from pydantic import Field

import agentkit as ak
from agentkit.definition import Model
from agentkit.demo.metadata import plain_category
from agentkit.demo.packages import Package
from agentkit.demo.reader import make_reader, shelf
from agentkit.demo.reading import categories_of_all
from agentkit.demo.report import Audit, Row, audit_of, report
from agentkit.demo.writing import write_report
from agentkit.errors import ModelError
from agentkit.messages import AssistantMessage, ModelRequest, ModelResponse, ToolCall, ToolMessage, Usage

NAME = "licence-audit"
TOGETHER = 4
"""Packages that are read at one time: what is cut short by a crash is at most so much."""
OPTIONS = ["permissive", "weak copyleft", "strong copyleft", "proprietary", "unknown"]


@ak.tool
def read_metadata(context: ak.Context, limit: Annotated[int, Field(ge=0)] | None = None) -> dict[str, Any]:
    """Read the metadata of every package. Returns the rows that are clear, and the names of the packages that are not.

    Args:
        context: knows the packages.
        limit: at most so many unclear packages are to be read; None is all.
    """
    rows: list[dict[str, Any]] = []
    unclear: list[str] = []
    for name in shelf(context).names():
        package = shelf(context).get(name)
        found = plain_category(package)
        if found is None:
            unclear.append(name)
        else:
            rows.append(_row(package, found[0], "plain code", found[1]))
    chosen = unclear if limit is None else unclear[:limit]
    skipped = [shelf(context).get(name) for name in unclear[len(chosen) :]]
    rows += [_row(package, "unknown", "nobody", "not read: over the limit") for package in skipped]
    return {"rows": rows, "unclear": chosen}


@ak.tool
def settle(findings: list[dict[str, Any]], context: ak.Context) -> dict[str, Any]:
    """Hold the reader's findings against everything their packages say. Returns rows, and questions for a person.

    Args:
        context: knows the packages.
        findings: one a package: `package`, and `finding` or `problem`.
    """
    rows: list[dict[str, Any]] = []
    questions: list[dict[str, str]] = []
    for item in findings:
        try:
            package = shelf(context).get(item["package"])
        except KeyError:  # the audit was resumed after somebody removed it
            package = Package(item["package"], version="?")
            rows.append(_row(package, "unknown", "nobody", "it is not installed any more"))
            continue
        finding, whole = item.get("finding"), categories_of_all(package.says)
        if finding is None:
            questions.append(_question(package, f"the model's answer did not hold: {item['problem']}"))
        elif finding["category"] == "unknown" and not whole:
            rows.append(_row(package, "unknown", "model", "it names no licence"))
        elif list(whole) == [finding["category"]]:
            rows.append(_row(package, finding["category"], "model", finding["quotation"]))
        else:
            named = " and ".join(sorted(whole)) or "no licence"
            why = f"the model says {finding['category']}, and all that the package says names {named}"
            questions.append(_question(package, why))
    return {"rows": rows, "questions": questions}


def make_audit(model: "str | Model") -> ak.Agent:
    """The audit's agent.

    Args:
        model: the reader's: a name, or a `Model`.
    """
    reader = make_reader(model).as_tool("Read what one package says about its licence. Returns its category.")
    return ak.Agent(
        NAME,
        Checklist(),
        "Audit the licences of the installed packages.",
        tools=[read_metadata, reader, settle, ak.ask_person, write_report],
        output=Audit,
        budget=ak.Budget(model_calls=100_000),
        decisions="off",
    )


class Checklist:
    """Plain code that answers like a model: the next step of the audit, from what was done so far."""

    name = "checklist"

    async def respond(self, request: ModelRequest, *, on_text: Callable[[str], None] | None = None) -> ModelResponse:
        """The next calls, or the audit's summary."""
        del on_text
        step = next_step(Done(request))
        calls = step if isinstance(step, list) else []
        text = step.model_dump_json() if isinstance(step, Audit) else None
        message = AssistantMessage(text=text, tool_calls=tuple(calls))
        return ModelResponse(message=message, usage=Usage(), finish_reason="stop", model=self.name)

    def price(self, input_tokens: int, output_tokens: int) -> float | None:
        """Nothing."""
        del input_tokens, output_tokens
        return 0.0


class Done:
    """What a run has done so far, read off its messages.

    Args:
        request: what the next step is to be decided from.
    """

    def __init__(self, request: ModelRequest) -> None:
        self.input: dict[str, Any] = json.loads(_text(request.messages[0]))
        results = {said.call_id: said for said in request.messages if isinstance(said, ToolMessage)}
        calls = [call for said in request.messages if isinstance(said, AssistantMessage) for call in said.tool_calls]
        self._calls = [(call, results[call.id]) for call in calls if call.id in results]

    def results(self, tool: str) -> list[tuple[dict[str, Any], ToolMessage]]:
        """Each finished call of a tool: its arguments, and what came back."""
        return [(cast("dict[str, Any]", call.arguments), said) for call, said in self._calls if call.name == tool]


def next_step(done: Done) -> list[ToolCall] | Audit:
    """What the audit does next."""
    surveyed = done.results("read_metadata")
    if not surveyed:
        return [_call("read_metadata", limit=done.input.get("limit"))]
    survey = _content(surveyed[0][1])
    read = {package_of(arguments["task"]): said for arguments, said in done.results("reader")}
    unread = [name for name in survey["unclear"] if name not in read]
    _check_the_model(list(read.values()))
    if unread:
        return [_call("reader", task=_task(name)) for name in unread[:TOGETHER]]
    settled = done.results("settle")
    if read and not settled:
        return [_call("settle", findings=[_finding(name, said) for name, said in read.items()])]
    nothing: dict[str, Any] = {"rows": [], "questions": []}
    found = _content(settled[0][1]) if settled else nothing
    asked = done.results("ask_person")
    if found["questions"] and not asked:
        return [_call("ask_person", question=item["question"], options=OPTIONS) for item in found["questions"]]
    answers = [_answered(item, said) for item, (_, said) in zip(found["questions"], asked, strict=True)]
    rows = [Row(**row) for row in (*survey["rows"], *found["rows"], *answers)]
    written = done.results("write_report")
    if not written:
        return [_call("write_report", path=done.input["report"], report=report(rows))]
    if written[0][1].is_error and "rejected" not in written[0][1].content:
        raise ModelError(f"no report was written: {_problem(written[0][1].content)}")
    path = None if written[0][1].is_error else written[0][1].content["path"]
    return audit_of(rows, path)


def _check_the_model(read: Sequence[ToolMessage]) -> None:
    """Stop where the model could not be asked at all: a person is asked about packages, not about keys and networks."""
    unasked = [said for said in read if said.is_error and "was refused" not in str(said.content)]
    if read and len(unasked) == len(read):
        raise ModelError(f"the model cannot be asked: {_problem(unasked[0].content)}")


def _content(said: ToolMessage) -> dict[str, Any]:
    """What a step of plain code gave; the audit cannot go on without it."""
    if said.is_error:
        raise ModelError(f"{said.name} failed: {_problem(said.content)}")
    return said.content


def _call(tool: str, **arguments: Any) -> ToolCall:
    """A call. A call that holds the log's marker of a secret is refused, so where a package shows one, that is said."""
    plain = re.sub(r"\[redacted:[\w-]+\]", "(a secret)", json.dumps(arguments))
    return ToolCall(id="", name=tool, arguments=json.loads(plain))


_TASK = "Which kind of licence has the package "


def _task(name: str) -> str:
    return f"{_TASK}{name} ?"


def package_of(task: str) -> str:
    """The package that a task of the reader's is about."""
    return task.removeprefix(_TASK).removesuffix(" ?")


def _finding(name: str, said: ToolMessage) -> dict[str, Any]:
    if said.is_error:
        return {"package": name, "problem": _problem(said.content)}
    return {"package": name, "finding": said.content}


def _problem(content: Any) -> str:
    """The last words of a reader that failed."""
    error = cast("dict[str, Any]", content).get("error", content) if isinstance(content, dict) else content
    message = cast("dict[str, Any]", error).get("message", error) if isinstance(error, dict) else error
    return str(message).rpartition("the last time: ")[2][:200]


def _answered(item: dict[str, str], said: ToolMessage) -> dict[str, Any]:
    """A person's answer as a row; one that was not given, or is none of the options, leaves it unknown."""
    answer: Any = "unknown" if said.is_error else said.content
    known = isinstance(answer, str) and answer.strip().lower() in OPTIONS
    category = answer.strip().lower() if known else "unknown"
    by: Literal["person", "nobody"] = "nobody" if said.is_error or not known else "person"
    return {"package": item["package"], "version": item["version"], "category": category, "by": by, "why": item["why"]}


def _row(package: Package, category: str, by: str, why: str) -> dict[str, Any]:
    words = " ".join(why.split())[:100]
    return {"package": package.name, "version": package.version, "category": category, "by": by, "why": words}


def _question(package: Package, why: str) -> dict[str, str]:
    field = package.expression or package.license or "(empty)"
    classifiers = ", ".join(line.rsplit(" :: ", 1)[-1] for line in package.classifiers) or "none"
    files = ", ".join(package.texts) or "none"
    question = (
        f"Which kind of licence has {package.name} {package.version}? {why[0].upper()}{why[1:]}.\n"
        f"License field: {' '.join(field.split())[:200]}\nclassifiers: {classifiers[:300]}\n"
        f"licence files: {files[:300]}"
    )
    return {"package": package.name, "version": package.version, "why": why, "question": question}


def _text(message: Any) -> str:
    content = message.content
    return content if isinstance(content, str) else "".join(part.text for part in content)
