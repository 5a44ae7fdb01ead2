"""Figures of promotion in one fresh process: `promotion_figures.py WHAT … SEEDS HELD_OUT` prints them as JSON.

WHAT is `family NAME`, `controls NAME|NAME|…`, `beside NAME` (the agent beside its pipeline), or `scale` (SEEDS runs).
"""

import json
import resource
import sys
import time
from pathlib import Path
from statistics import median, quantiles
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import measure  # noqa: E402
import promotion_scale  # noqa: E402
from families.catalogue import FAMILIES  # noqa: E402  tests are no package: their folder has to be on the path first
from families.controls import CONTROLS  # noqa: E402
from families.harness import (  # noqa: E402
    NOISE,
    RUNS,
    Figures,
    control_figures,
    family_figures,
    inputs,
    learn,
    not_right,
)
from families.judging import judge  # noqa: E402
from families.solve import finish  # noqa: E402
from families.stand_in import StandIn  # noqa: E402

import agentkit as ak  # noqa: E402

OUTCOMES = ("equal", "deopt", "wrong", "error")
SECONDS = 0.05  # a model's answer; a hosted one takes about a second, so the ratio is what counts
LEARNED = 10  # runs, where the agent is beside its pipeline


def as_json(figures: Figures) -> dict[str, Any]:
    """The counts, and why where something is not right."""
    known = [one for one in figures.judged if one.shown]
    return {
        **{outcome: figures.counts[outcome] for outcome in OUTCOMES},
        "of_shown": [sum(one.outcome == "equal" for one in known), len(known)],
        "settled": figures.settled,
        "kept": figures.kept,
        "refused": figures.refused,
        "whys": {outcome: figures.whys(outcome)[:3] for outcome in OUTCOMES[1:]},
    }


def of_family(name: str, seeds: int, held_out: int) -> dict[str, Any]:
    """A family's figures, by the number of runs that were learned from."""
    return {
        str(runs): as_json(
            family_figures(ak.promote, FAMILIES[name], runs=runs, seeds=range(1, seeds + 1), held_out=held_out)
        )
        for runs in RUNS
    }


def of_controls(names: str, seeds: int, held_out: int) -> dict[str, Any]:
    """The negative controls' figures, and what is not as they say."""
    found: dict[str, Any] = {}
    for name in names.split("|"):
        control = CONTROLS[name]
        figures = control_figures(ak.promote, control, seeds=range(1, seeds + 1), held_out=held_out)
        found[name] = {**as_json(figures), "not right": not_right(control, figures)}
    return found


def beside(name: str, seeds: int, held_out: int) -> dict[str, Any]:
    """What settling the same held-out cases costs by the agent, and by its pipeline and the agent where that stops."""
    family, log, model = FAMILIES[name], ak.open_log("memory:"), StandIn(SECONDS)
    training = [family.case(number, "training") for number in range(LEARNED)]
    promotion = learn(ak.promote, family, training, log, noise=NOISE, seed=0)
    pipeline = None if promotion.refused else promotion.load(model=model)
    by_agent, by_pipeline, settled = [], [], 0
    for seed in range(seeds * held_out):
        alone = agent_cost(family, seed, log)
        by_agent.append(alone)
        cost, done = ([0.0, 0.0, 0.0], False) if pipeline is None else pipeline_cost(pipeline, model, family, seed, log)
        settled += done
        by_pipeline.append(cost if done else [one + other for one, other in zip(cost, alone, strict=True)])
    return {"cases": len(by_agent), "settled": settled, "agent": spent(by_agent), "pipeline": spent(by_pipeline)}


def agent_cost(family: Any, seed: int, log: ak.Log) -> list[float]:
    """Model calls, USD and seconds of the agent for one held-out case."""
    case = family.case(seed, "held_out")
    case.world.fails, case.world.seed = NOISE, seed
    start = time.perf_counter()
    run = family.new_agent(family.policy(NOISE, seed, SECONDS)).run(case.input, deps=case.world, log=log)
    finish(run, case)
    return [run.usage.model_calls, run.cost or 0.0, time.perf_counter() - start]


def pipeline_cost(
    pipeline: ak.Pipeline, model: StandIn, family: Any, seed: int, log: ak.Log
) -> tuple[list[float], bool]:
    """The same of the pipeline, and whether the case was settled, be it by the agent that it handed over to."""
    case = family.case(seed, "held_out")
    model.cases = [case]
    start = time.perf_counter()
    judged = judge(pipeline.run(**inputs(case), deps=case.world, log=log), case)
    return [judged.model_calls, judged.cost_usd, time.perf_counter() - start], judged.settled


def spent(costs: list[list[float]]) -> dict[str, float]:
    """Means of calls and cost, and the middle and the high end of the time, ms."""
    calls, usd, seconds = (list(column) for column in zip(*costs, strict=True))
    high = quantiles(seconds, n=20)[-1]
    return {
        "calls": sum(calls) / len(calls),
        "usd": sum(usd) / len(usd),
        "p50_ms": median(seconds) * 1000,
        "p95_ms": high * 1000,
    }


def scale(runs: int) -> dict[str, Any]:
    """Promoting many long runs of a log on disk, as it is by default: seconds, and what the process grew by."""
    with measure.fresh_folder(None) as folder:
        log = ak.open_log(folder / ".agentkit")
        ids = promotion_scale.record(runs, log)
        before, start = _peak_mb(), time.perf_counter()
        promotion = ak.promote(promotion_scale.agent, runs=ids, log=log)
        source = "" if promotion.refused else promotion.source
        seconds, peak = time.perf_counter() - start, _peak_mb()
        log.close()
    return {
        "runs": len(ids),
        "steps": promotion_scale.STEPS,
        "seconds": seconds,
        "before_mb": before,
        "peak_mb": peak,
        "refused": [str(reason) for reason in promotion.refused],
        "lines": len(source.splitlines()),
    }


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    what, *rest = sys.argv[1:]
    if what == "scale":
        print(json.dumps(scale(int(rest[0]))))
    else:
        part = {"family": of_family, "controls": of_controls, "beside": beside}[what]
        print(json.dumps(part(rest[0], int(rest[1]), int(rest[2]))))
