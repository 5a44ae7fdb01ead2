"""Inputs in prose: plain code takes a piece out of a text, and what the rest of the text says has to matter too.

"Do not refund A-1042" has the order's number in it. Where all texts have one form the pipeline wants that form; where
people wrote as they like a model reads what they ask for, before anything is written.
"""

import re
from collections.abc import Iterator, Sequence

from agentkit.promote.computed import Match
from agentkit.promote.expressions import Root, walk
from agentkit.promote.plan import BELIEVED, Formed, Plan, Wanted


def read_prose(plan: Plan) -> Iterator[Formed | Wanted]:
    """What has to hold of the inputs in prose before the first write.

    The plan learns which of them a model has to read.

    Args:
        plan: the pipeline, all its steps placed.
    """
    asks = next((at for at, step in enumerate(plan.steps) if step.asks), len(plan.steps))
    first = next((at for at, step in enumerate(plan.steps) if step.writes), None)
    if first is None or asks < first:  # nothing is written, or a model has read it all
        return
    for text in plan.inputs:
        pieces = tuple(dict.fromkeys(_pieces(plan, text)))
        if not pieces:
            continue
        texts = [str(env[text]) for env in plan.envs]
        form = _form(texts)
        if form is not None:
            yield Formed(Root(text), form, len(texts))
            continue
        wanted = Wanted(_free(plan, f"{text}_asks_for_it"), text, pieces)
        plan.wanted.append(wanted)
        only = " and ".join(pieces)
        plan.doubts.append(f"plain code reads nothing of {text} but {only}: a model says whether it asks for this")
        yield wanted


def _pieces(plan: Plan, text: str) -> Iterator[str]:
    """The arguments that are found in a text."""
    for step in plan.steps:
        for name, source in step.arguments.items():
            nodes = (node for one in source.survivors for node in walk(one))
            if any(isinstance(node, Match) and node.base == Root(text) for node in nodes):
                yield name


def _form(texts: Sequence[str]) -> str | None:
    """The regular expression of texts that have the same words at the same places but for some; None of others."""
    rows = [text.split(" ") for text in texts]
    if len(rows) < BELIEVED or len({len(row) for row in rows}) != 1:
        return None
    columns = [set(column) for column in zip(*rows, strict=True)]
    if sum(len(column) == 1 for column in columns) * 2 < len(columns):
        return None  # by chance as many words
    return " ".join(_word(sorted(column)) for column in columns)


def _word(words: Sequence[str]) -> str:
    """One word, or what varies, with the marks that stand around it in all texts."""
    if len(words) == 1:
        return re.escape(words[0]).replace("\\-", "-")
    ends = {re.findall(r"\W*$", word)[0] for word in words}
    end = re.escape(ends.pop()) if len(ends) == 1 else ""
    return r"\S+" + end


def _free(plan: Plan, name: str) -> str:
    taken = {*plan.inputs, *(step.name for step in plan.steps)}
    while name in taken:
        name += "_"
    return name
