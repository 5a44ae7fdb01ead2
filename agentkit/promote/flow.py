"""The data flow of a promoted pipeline: where each argument comes from, how sure that is, and what was refuted."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from agentkit.promote.expressions import Names
from agentkit.promote.plan import Plan
from agentkit.promote.search import Grade, Source


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a step, or one part of the output.

    Args:
        step: the step; "result" for the output.
        name: the argument's; "" where the output is one value.
        grade: how sure its source is.
        codes: its sources as Python, the simplest first; of a choice what there is to choose from.
        evidence: what the runs showed, in words.
        refuted: explanations that runs contradict, with how many: "order.total refuted by 6 runs".
    """

    step: str
    name: str
    grade: Grade
    codes: tuple[str, ...]
    evidence: str
    refuted: tuple[str, ...] = ()


def arguments_of(plan: Plan) -> list[Argument]:
    """Every argument of every step in order, and the output's parts.

    Args:
        plan: the pipeline.
    """
    return [*_of_steps(plan), *_of_outputs(plan.outputs)]


def _of_steps(plan: Plan) -> Iterator[Argument]:
    for step in plan.steps:
        for name, source in step.arguments.items():
            edited = step.edited.get(name, 0) if not step.asks else 0
            yield _argument(step.name, name, source, edited)


def _of_outputs(outputs: Mapping[str, Mapping[str, Source]]) -> Iterator[Argument]:
    for way, fields in outputs.items():
        for name, source in fields.items():
            yield _argument(f"result ({way})" if way else "result", name, source, 0)


def _argument(step: str, name: str, source: Source, edited: int) -> Argument:
    runs = f"{source.runs} run{'' if source.runs == 1 else 's'}"
    evidence = f"{runs}, {source.different} different value{'' if source.different == 1 else 's'}"
    if edited:
        evidence += f"; a person changed it in {edited}"
    return Argument(
        step=step,
        name=name,
        grade=source.grade,
        codes=tuple(dict.fromkeys(survivor.code(Names()) for survivor in source.survivors)),
        evidence=evidence,
        refuted=tuple(
            f"{one.expression.code(Names())} refuted by {one.runs} run{'' if one.runs == 1 else 's'}"
            for one in source.refuted
        ),
    )
