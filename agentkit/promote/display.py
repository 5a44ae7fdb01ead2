"""What a promotion looks like, as text and as HTML; what a tool or a model wrote stays text."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape
from itertools import groupby

from agentkit.picture import Graph, svg
from agentkit.promote.flow import Argument
from agentkit.promote.highlight import highlighted
from agentkit.promote.left_out import LeaveOneOut
from agentkit.rows import Rows
from agentkit.text import inert, one_line

_COLOURS = {
    "certain": "#188038",
    "ambiguous": "#b06000",
    "constant": "#1a73e8",
    "choice": "#9334e6",
    "model": "#9334e6",
}
"""White words are readable on them, on a light page and on a dark one."""
_MEANINGS = {
    "certain": "one explanation holds in every run",
    "ambiguous": "the runs tell several explanations apart no further, or are too few: they have to agree",
    "constant": "it never varied",
    "choice": "always one of a list, and nothing says which: a model chooses",
    "model": "a model makes it",
}
_CODE = 160  # characters of an explanation in a line of text


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown of a promotion.

    Args:
        agent: the agent's name.
        pipeline: the pipeline's name.
        refused: why there is none.
        doubts: what a reader has to know.
        left_out: the runs that are no examples: why, and how many.
        variants: the paths that the runs took.
        arguments: where each comes from.
        graph: the pipeline's; None where it is refused.
        source: its code; "" where it is refused.
        one_out: what leave-one-out gave; None where it was not done.
    """

    agent: str
    pipeline: str
    refused: Sequence[str]
    doubts: Sequence[str]
    left_out: dict[str, int]
    variants: Rows
    arguments: Sequence[Argument] = ()
    graph: Graph | None = None
    source: str = ""
    one_out: LeaveOneOut | None = None


def as_text(shown: Shown) -> str:
    """For a terminal: refusals and doubts first, then the variants and the data flow.

    Args:
        shown: the promotion.
    """
    return inert("\n".join(_lines(shown)))


def _lines(shown: Shown) -> Iterator[str]:
    if shown.refused:
        yield f"{shown.agent} is not promoted"
        yield from (f"✗ {reason}" for reason in shown.refused)
    else:
        yield f"{shown.agent} → {shown.pipeline}"
    yield from (f"! {doubt}" for doubt in _doubts(shown))
    yield from ("", repr(shown.variants))
    for step, arguments in groupby(shown.arguments, lambda one: one.step):
        yield f"\n{step}"
        for one in arguments:
            codes = one_line(" = ".join(one.codes), _CODE) or "(nothing in the runs)"
            yield f"  {one.name or '(the answer)'}: {one.grade}: {codes}  ({one.evidence})"
            yield from (f"    {one_line(refuted, _CODE)}" for refuted in one.refuted)
    if shown.one_out is not None:
        yield f"\n{shown.one_out}"
    if not shown.refused:
        yield "\n.source is the code; .write('pipelines/….py') writes it with its tests; .leave_one_out() doubts it"


def _doubts(shown: Shown) -> list[str]:
    runs = [f"{count} run{'' if count == 1 else 's'} left out: {why}" for why, count in shown.left_out.items()]
    odd = Counter(one.grade for one in shown.arguments if one.grade in {"ambiguous", "constant"})
    grades = [f"{count} of {len(shown.arguments)} arguments {_said(grade)}" for grade, count in odd.items()]
    return [*shown.doubts, *grades, *runs]


def _said(grade: str) -> str:
    return "never varied" if grade == "constant" else "have several explanations, which have to agree"


# HTML -----------------------------------------------------------------------------------------------------------------


def as_html(shown: Shown) -> str:
    """For a notebook: refusals and doubts first, then variants, picture, data flow, code and leave-one-out.

    Args:
        shown: the promotion.
    """
    title = f"{shown.agent} → {shown.pipeline}" if not shown.refused else f"{shown.agent} is not promoted"
    parts = [
        f"<h4 style='margin:.4em 0'>{_text(title)}</h4>",
        _listed("✗", "#d93025", shown.refused),
        _listed("!", "#b06000", _doubts(shown)),
        shown.variants._repr_html_(),  # pyright: ignore[reportPrivateUsage]  a table inside ours
    ]
    if shown.graph is not None:
        parts += [svg(_graded(shown.graph, shown.arguments)), _flow(shown.arguments)]
    if shown.one_out is not None:
        parts.append(f"<p style='white-space:pre-wrap'>{_text(str(shown.one_out))}</p>")
    if shown.source:
        parts.append(f"<details open><summary>the code</summary>{highlighted(shown.source)}</details>")
    return f"<div class='agentkit-promotion'>{''.join(parts)}</div>"


def _text(words: str) -> str:
    return escape(inert(words))


def _listed(sign: str, colour: str, words: Sequence[str]) -> str:
    items = "".join(
        f"<li style='list-style:none'><b style='color:{colour}'>{sign}</b> {_text(one)}</li>" for one in words
    )
    return f"<ul style='padding-left:.4em;margin:.4em 0'>{items}</ul>" if items else ""


def _graded(graph: Graph, arguments: Sequence[Argument]) -> Graph:
    """The picture says at each step how many of its arguments are not certain."""
    counts: dict[str, Counter[str]] = {}
    for one in arguments:
        if one.grade != "certain":
            counts.setdefault(one.step, Counter())[one.grade] += 1
    nodes = tuple(
        replace(node, marks=(*node.marks, *(f"{count} {grade}" for grade, count in counts[node.name].items())))
        if node.name in counts
        else node
        for node in graph.nodes
    )
    return replace(graph, nodes=nodes)


def _flow(arguments: Sequence[Argument]) -> str:
    """Each argument's source, by step; the grade by colour and by word."""
    rows: list[str] = []
    for step, of_step in groupby(arguments, lambda one: one.step):
        found = list(of_step)
        head = f"<td rowspan='{len(found)}' style='{_LEFT}'><b>{_text(step)}</b></td>"
        for place, one in enumerate(found):
            rows.append(f"<tr>{head if place == 0 else ''}{_row(one)}</tr>")
    grades = dict.fromkeys(one.grade for one in arguments)
    legend = "; ".join(f"{_grade(grade)} {_text(_MEANINGS[grade])}" for grade in grades)
    names = "".join(f"<th style='{_LEFT}'>{name}</th>" for name in ("step", "argument", "grade", "comes from", "runs"))
    return f"<table><thead><tr>{names}</tr></thead><tbody>{''.join(rows)}</tbody></table><p>{legend}</p>"


_LEFT = "text-align:left;vertical-align:top"


def _row(one: Argument) -> str:
    codes = "<br>".join(f"<code>{_text(code)}</code>" for code in one.codes) or "<i>nothing in the runs</i>"
    refuted = "".join(f"<div style='opacity:.75'>✗ {_text(refuted)}</div>" for refuted in one.refuted)
    cells = (_text(one.name or "(the answer)"), _grade(one.grade), codes + refuted, _text(one.evidence))
    return "".join(f"<td style='{_LEFT}'>{cell}</td>" for cell in cells)


def _grade(grade: str) -> str:
    return f"<span style='background:{_COLOURS[grade]};color:#fff;border-radius:3px;padding:0 .35em'>{grade}</span>"
