"""Promotion on tasks with known truth: what pipelines that were learned from few runs do with what they never saw.

    uv run python bench_promotion.py [--seeds 4] [--held-out 250] [--json FILE]

Every family of `tests/families`, learned from 1, 2, 3, 5 and 10 noisy runs, on cases whose ids, names and amounts no
run had; the negative controls; the agent beside its pipeline on the same cases; and how long promoting many long runs
takes. Outcomes: equal (the true writes and output), deopt (it stopped, and wrote nothing untrue), wrong (a write that
is not true), error (anything else). "then right" counts the deopts after which the agent, in the same run, did the
rest as it has to be done. "of shown" is the equal share of the cases that go a way which the runs took: what is done
with a status that no run had, they do not determine. About five minutes on two processors.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import measure

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from families.catalogue import FAMILIES
from families.controls import CONTROLS

HEADER = (
    "family",
    "runs",
    "refused",
    "held out",
    "equal",
    "of shown",
    "deopt",
    "then right",
    "wrong",
    "error",
    "wrong at most",
)
BESIDE = (
    *(
        "family",
        "cases",
        "settled",
        "model calls",
        "by pipeline",
        "x fewer",
        "USD per 1,000",
        "by pipeline",
        "x cheaper",
    ),
    *("p50 ms", "by pipeline", "p95 ms", "by pipeline"),
)
ENOUGH = 0.95  # of the held-out cases that go a way which the runs showed are equal, from five runs on
SECONDS = 10.0  # for promoting a thousand runs of twenty steps


def measured(*given: object) -> dict[str, Any]:
    """One part in a fresh process."""
    return measure.script("promotion_figures.py", *given)


def side_by_side(names: Sequence[str], part: Callable[[str], dict[str, Any]], processes: int) -> dict[str, Any]:
    """The same part of several, so many at one time; who watches is told of each that is done."""

    def one(name: str) -> dict[str, Any]:
        found = part(name)
        print(f"  done: {name[:80]}", file=sys.stderr, flush=True)
        return found

    with ThreadPoolExecutor(processes) as pool:
        return dict(zip(names, pool.map(one, names), strict=True))


def family_row(name: str, runs: str, found: dict[str, Any]) -> list[str]:
    """One line: what became of the cases, and the rate that no wrong write bounds (3/n)."""
    judged = sum(found[outcome] for outcome in ("equal", "deopt", "wrong", "error"))
    equal, shown = found["of_shown"]
    shares = ((found["equal"], judged), (equal, shown), (found["deopt"], judged))
    share = [f"{count / of:.1%}" if of else "-" for count, of in shares]
    bound = f"{3 / judged:.2%}" if judged and not found["wrong"] else "-"
    return [
        *(name, runs, str(len(found["refused"])), f"{judged:,}", *share, str(found["settled"])),
        *(str(found["wrong"]), str(found["error"]), bound),
    ]


def total_row(name: str, found: dict[str, dict[str, Any]]) -> list[str]:
    """A family's line over all numbers of runs."""
    summed = {key: sum(one[key] for one in found.values()) for key in ("equal", "deopt", "settled", "wrong", "error")}
    summed["of_shown"] = [sum(one["of_shown"][at] for one in found.values()) for at in range(2)]
    return family_row(name, "all", {**summed, "refused": [why for one in found.values() for why in one["refused"]]})


def control_row(name: str, found: dict[str, Any]) -> list[str]:
    """One negative control."""
    return [*family_row(name, str(CONTROLS[name].runs), found)[:-1], found["not right"] or "right"]


def beside_row(name: str, found: dict[str, Any]) -> list[str]:
    """The agent beside its pipeline; what the pipeline leaves to the agent counts for the pipeline."""
    agent, pipeline = found["agent"], found["pipeline"]

    def fewer(what: str) -> str:
        return f"{agent[what] / pipeline[what]:.1f}" if pipeline[what] else "all"

    cells = [name, str(found["cases"]), f"{found['settled'] / found['cases']:.0%}"]
    cells += [f"{agent['calls']:.2f}", f"{pipeline['calls']:.2f}", fewer("calls")]
    cells += [f"{agent['usd'] * 1000:.3f}", f"{pipeline['usd'] * 1000:.3f}", fewer("usd")]
    return cells + [measure.digits(one[what]) for what in ("p50_ms", "p95_ms") for one in (agent, pipeline)]


def whys(found: dict[str, dict[str, Any]]) -> list[str]:
    """What went wrong, where something did."""
    return [
        f"{name}, {runs} runs, {outcome}: {why}"
        for name, by_runs in found.items()
        for runs, one in by_runs.items()
        for outcome in ("wrong", "error")
        for why in one["whys"][outcome]
    ]


def verdict(families: dict[str, Any], controls: dict[str, Any], scale: dict[str, Any]) -> list[str]:
    """What was to be shown and was not."""
    missed = [
        f"{name}: a wrong write" for name, by_runs in families.items() if any(one["wrong"] for one in by_runs.values())
    ]
    for name, by_runs in families.items():
        for runs in ("5", "10") if FAMILIES[name].DETERMINED else ():
            equal, shown = by_runs[runs]["of_shown"]
            if by_runs[runs]["kept"] or equal < ENOUGH * shown:
                missed.append(f"{name}: {equal:,} of {shown:,} equal from {runs} runs, {by_runs[runs]['kept']} refused")
    missed += [f"{name}: {found['not right']}" for name, found in controls.items() if found["not right"]]
    if scale["seconds"] > SECONDS:
        missed.append(f"promoting {scale['runs']:,} runs took {scale['seconds']:.1f} s, of {SECONDS:.0f}")
    return missed


def scale_line(found: dict[str, Any]) -> str:
    """How long promoting many long runs took, and what it needed."""
    made = f"refused: {found['refused'][0]}" if found["refused"] else f"a module of {found['lines']} lines"
    return (
        f"promoting {found['runs']:,} runs of {found['steps']:.0f} steps: {found['seconds']:.2f} s; the process had "
        f"at most {found['before_mb']:.0f} MB before and {found['peak_mb']:.0f} MB then; {made}"
    )


def main(given: Sequence[str] | None = None) -> int:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=4, help="training sets for each number of runs")
    parser.add_argument("--held-out", type=int, default=250, help="held-out cases a training set")
    parser.add_argument("--beside", type=int, default=40, help="cases that the agent and its pipeline both settle")
    parser.add_argument("--runs", type=int, default=1000, help="runs of 20 steps that are promoted at once")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", nargs="*", default=list(FAMILIES), help="these families alone, and no controls")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(given)
    facts = {"machine": measure.machine(Path()), "versions": measure.versions(["jupyter-agentkit"])}
    print(measure.heading("Promotion", facts))

    families = side_by_side(
        options.only, lambda name: measured("family", name, options.seeds, options.held_out), options.processes
    )
    rows = [family_row(name, runs, one) for name, by_runs in families.items() for runs, one in by_runs.items()]
    print(measure.table(HEADER, rows), "\n")
    print(measure.table(HEADER, [total_row(name, found) for name, found in families.items()]), "\n")
    print(*whys(families), "", sep="\n")

    names = list(CONTROLS) if set(options.only) == set(FAMILIES) else []
    halves = ["|".join(half) for half in (names[::2], names[1::2]) if half]
    found = side_by_side(
        halves, lambda some: measured("controls", some, options.seeds, options.held_out // 4), options.processes
    )
    controls = {name: one for half in found.values() for name, one in half.items()}
    if controls:
        header = ("control", *HEADER[1:-1], "as it has to be")
        print(measure.table(header, [control_row(name, controls[name]) for name in names]), "\n")

    both = side_by_side(options.only, lambda name: measured("beside", name, 1, options.beside), options.processes)
    print(measure.table(BESIDE, [beside_row(name, found) for name, found in both.items()]), "\n")

    scale = measured("scale", options.runs)
    print(scale_line(scale))
    missed = verdict(families, controls, scale)
    print("", *(f"MISSED  {line}" for line in missed), "all goals met" if not missed else "", sep="\n")
    measure.write_json(
        options.json,
        {"facts": facts, "families": families, "controls": controls, "beside": both, "scale": scale, "missed": missed},
    )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
