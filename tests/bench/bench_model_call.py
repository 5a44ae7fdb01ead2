"""What agentkit adds to one model call: litellm called directly, and through agentkit, in turns in one process.

uv run python bench_model_call.py [--repetitions 15] [--calls 20] [--json FILE]
"""

import argparse
import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import measure

GOAL = 1.1
MODEL = "openai/gpt-5-mini"
ASKED = "Where is order A-1042?"
# who is compared with what: the adapter and a run stream, so their base is a streamed call
BASES = {
    "adapter": "litellm, streamed",
    "adapter, whole": "litellm, whole",
    "a run, log in memory": "litellm, streamed",
    "a run, log on disk": "litellm, streamed",
}
Work = Callable[[], None]


@contextmanager
def provider() -> Iterator[str]:
    """The address of a provider on loopback that answers at once, in a process of its own."""
    command = [sys.executable, str(measure.HERE / "provider.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().strip()
        if not url.startswith("http://127.0.0.1:"):  # without an address litellm asks the real provider
            raise RuntimeError(f"the provider on loopback did not start: it said {url!r}")
        yield url
        process.stdin.close()


def contestants(url: str, folder: Path, loop: asyncio.AbstractEventLoop) -> dict[str, Work]:
    """One call each, ready to be measured."""
    import litellm

    import agentkit as ak
    from agentkit.messages import ModelRequest, UserMessage
    from agentkit.models.litellm import LitellmModel

    once = {"model": MODEL, "messages": [{"role": "user", "content": ASKED}], "api_base": url, "max_retries": 0}
    request = ModelRequest(instructions="", messages=(UserMessage(content=ASKED),))

    async def streamed() -> None:
        async for _chunk in await litellm.acompletion(**once, stream=True, stream_options={"include_usage": True}):
            pass

    async def whole() -> None:
        await litellm.acompletion(**once)

    model = LitellmModel(MODEL, settings={"api_base": url})
    unstreamed = LitellmModel(MODEL, settings={"api_base": url, "stream": False})
    agent = ak.Agent("support", model)
    memory, disk = ak.open_log("memory:"), ak.open_log(folder / ".agentkit")
    return {
        "litellm, streamed": lambda: loop.run_until_complete(streamed()),
        "litellm, whole": lambda: loop.run_until_complete(whole()),
        "adapter": lambda: loop.run_until_complete(model.respond(request)),
        "adapter, whole": lambda: loop.run_until_complete(unstreamed.respond(request)),
        "a run, log in memory": lambda: agent.run(ASKED, log=memory).result(timeout=60),
        "a run, log on disk": lambda: agent.run(ASKED, log=disk).result(timeout=60),
    }


def measured(work: Work, calls: int) -> dict[str, float]:
    """Milliseconds a call, wall and CPU of the whole process."""
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(calls):
        work()
    return {
        "wall_ms": (time.perf_counter() - wall) * 1000 / calls,
        "cpu_ms": (time.process_time() - cpu) * 1000 / calls,
    }


def rows(results: dict[str, list[dict[str, float]]]) -> list[list[str]]:
    """One row a contestant: wall and CPU a call; how many times its base's, and how much more, within a repetition."""
    found = []
    for name, own in results.items():
        row = [name]
        for kind in ("wall_ms", "cpu_ms"):
            mine = [result[kind] for result in own]
            row.append(str(measure.spread(mine)))
            if name in BASES:
                base = [result[kind] for result in results[BASES[name]]]
                added = [one - other for one, other in zip(mine, base, strict=True)]
                row += [measure.digits(measure.ratios(mine, base).median), str(measure.spread(added))]
            else:
                row += ["-", "-"]
        found.append(row)
    return found


def show(report: dict[str, Any]) -> bool:
    """Print the table; say whether the goal is met."""
    print(measure.heading("One model call", report["facts"]))
    columns = ("a call", "wall ms", "x litellm", "added ms", "CPU ms", "x litellm", "added ms")
    print(measure.table(columns, rows(report["results"])), "\n")
    adapter, direct = (
        [result["cpu_ms"] for result in report["results"][name]] for name in ("adapter", "litellm, streamed")
    )
    ratio = measure.ratios(adapter, direct).median
    print(f"goal: the adapter takes at most {GOAL} x the CPU of a streamed call: {ratio:.2f}")
    print("met" if ratio <= GOAL else "MISSED")
    return ratio <= GOAL


def main(given: Sequence[str] | None = None) -> int:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=15)
    parser.add_argument("--calls", type=int, default=20, help="calls of each contestant in a repetition")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(given)
    os.environ |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "OPENAI_API_KEY": "a key that nobody looks at"}
    # closed at the end: litellm leaves a task in it, which an interpreter that ends can die of
    with measure.fresh_folder(None) as folder, provider() as url, asyncio.Runner() as runner:
        calls = contestants(url, folder, runner.get_loop())
        for work in calls.values():  # once unmeasured: the first call of each imports what it needs
            measured(work, 3)
        report: dict[str, Any] = {
            "facts": {
                "machine": measure.machine(folder),
                "versions": measure.versions(["jupyter-agentkit", "litellm"]),
            },
            "results": measure.interleave(
                list(calls), options.repetitions, lambda name: measured(calls[name], options.calls)
            ),
        }
    met = show(report)
    measure.write_json(options.json, report)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
