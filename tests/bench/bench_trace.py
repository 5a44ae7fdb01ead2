"""The live trace in a browser: how soon a run of 10,000 steps is seen, how it scrolls, what it costs on the wire.

JupyterLab and a Chromium without a window, on this machine. It needs agentkit's own environment, not this folder's:

    uv run python tests/bench/bench_trace.py [--steps 10000] [--repeat 3] [--json FILE]
"""

import argparse
import json
import sys
import tempfile
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from statistics import median, quantiles

sys.path.insert(0, str(Path(__file__).parents[1]))
import lab

WORK = '''
import asyncio, time, warnings
import agentkit as ak
from agentkit.testing import FunctionModel, ScriptedModel, call

warnings.simplefilter("ignore")

@ak.tool
def look(what: str) -> dict:
    """Look something up and return all that is known of it."""
    return {"found": what, "text": "something that was found and is a bit longer"}

@ak.tool(writes=True, approve=True)
def pay(amount: float) -> dict:
    """Pay an amount to somebody and return the receipt of it."""
    return {"paid": amount}

class Slow(FunctionModel):
    """One that takes its time, and lets the others of its process go on meanwhile."""

    def __init__(self, answer, pause):
        super().__init__(answer)
        self.pause = pause

    async def respond(self, request, *, on_text=None):
        await asyncio.sleep(self.pause)
        return await super().respond(request, on_text=on_text)

def looks(count, pause=0.0):
    """A run that looks things up, one after the other: two steps a time."""
    asked = iter(range(count))
    def answer(request):
        number = next(asked, None)
        if number is None:
            return "done"
        return call("look", what=f"thing number {number}", why="because it is the next one")
    return ak.Agent("looker", Slow(answer, pause), tools=[look], budget=ak.Budget(model_calls=10**6)).run("go")

class Talker(ScriptedModel):
    async def respond(self, request, *, on_text=None):
        for number in range(200 * 20):
            on_text(f"word{number} ")
            await asyncio.sleep(1 / 200)
        return await super().respond(request)

def talks():
    """A run whose model writes 200 tokens a second, for 20 seconds."""
    return ak.Agent("talker", Talker(["done"])).run("go")

def pays():
    payments = [call("pay", amount=float(number)) for number in range(1, 10)]
    return ak.Agent("payer", ScriptedModel([*payments, "done"]), tools=[pay]).run("go")
'''

LOOK = """
const shown = () => panel.content.widgets[arg].node.querySelector('.agentkit');
window.seen = {begin: performance.now()};
const look = () => {
  const said = shown()?.querySelector('.agentkit-bar > .agentkit-said')?.textContent ?? '';
  if (shown()?.querySelector('.agentkit-row')) seen.first ??= performance.now();
  if (seen.first && said.includes('steps') && !said.includes('loading')) seen.all = performance.now();
  else setTimeout(look, 5);
};
look();
"""

FRAMES = """
window.frames_ = null;
const view = panel.content.widgets[arg[0]].node.querySelector('.agentkit-view');
const begin = performance.now(), times = [begin];
const frame = (now) => {
  times.push(now);
  if (arg[1]) view.scrollTop = (view.scrollTop + 400) % view.scrollHeight;
  if (now - begin < 4000) requestAnimationFrame(frame);
  else window.frames_ = times.slice(2).map((time, i) => time - times[i + 1]);
};
requestAnimationFrame(frame);
"""

CLICK = """
const root = () => panel.content.widgets[arg].node.querySelector('.agentkit');
const card = root().querySelector('.agentkit-card');
const begin = performance.now();
window.clicked = null;
card.querySelector('.agentkit-yes').click();
const look = () => { if (!card.isConnected) window.clicked = performance.now() - begin; else setTimeout(look, 2); };
look();
"""


class Page:
    """A notebook, and how many bytes its kernel sent to it."""

    def __init__(self, page, server, name, *cells):
        self.bytes = 0
        page.on("websocket", lambda socket: socket.on("framereceived", self._count))
        server.write(name, *cells)
        self.notebook = lab.Notebook(page, server, name).open()
        self.page = page

    def _count(self, payload):
        self.bytes += len(payload)

    def first_rows(self, cell):
        """Execute a cell; milliseconds until its trace has a row, and until all are there."""
        self.notebook.js(LOOK, cell)
        self.notebook.start(cell)
        self.notebook.until("window.seen.all", seconds=240)
        seen = self.page.evaluate("window.seen")
        return seen["first"] - seen["begin"], seen["all"] - seen["begin"]

    def frames(self, cell, *, scrolls):
        """Milliseconds of each frame, for four seconds."""
        self.notebook.js(FRAMES, [cell, scrolls])
        self.notebook.until("window.frames_", seconds=60)
        return self.page.evaluate("window.frames_")

    def click(self, cell):
        """Milliseconds from a click on "approve" until its card is gone: to the kernel, the log, and back."""
        button = self.notebook.card(cell).get_by_role("button", name="approve", exact=True)
        button.click(trial=True)
        self.notebook.js(CLICK, cell)
        self.notebook.until("window.clicked", seconds=60)
        return self.page.evaluate("window.clicked")


@contextmanager
def opened(server, context, name, *cells):
    """A page whose first cell was executed; its kernel ends with it."""
    page = Page(context.new_page(), server, f"{name}.ipynb", "from work import *\nlog = ak.open_log()", *cells)
    page.notebook.run(0)
    try:
        yield page
    finally:
        page.page.close()
        server.end_sessions()


def store(server, context, steps):
    """Two runs in the log, of ten steps and of many."""
    make = f"for name, count in (('few', 5), ('many', {steps // 2})):\n    run = looks(count)\n    run.result()\n"
    make += "    open(name, 'w').write(run.run_id)"
    with opened(server, context, "store", make) as page:
        page.notebook.start(1)
        page.notebook.until("panel.content.widgets[1].model.executionState !== 'running'", seconds=600)


def show(server, context, repeat):
    """A stored run of ten steps and one of many, in a kernel that showed a run before; then scrolling through it."""
    cells = ["looks(1)", "log.run(open('few').read())", "log.run(open('many').read())"]
    figures = {name: [] for name in ("few: first row", "many: first row", "many: all rows", "many: bytes")}
    frames = {"still": [], "scrolling": []}
    for number in range(repeat):
        with opened(server, context, f"show-{number}", *cells) as page:
            page.first_rows(1)
            figures["few: first row"].append(page.first_rows(2)[0])
            before = page.bytes
            first, every = page.first_rows(3)
            figures["many: first row"].append(first)
            figures["many: all rows"].append(every)
            figures["many: bytes"].append(page.bytes - before)
            page.page.wait_for_timeout(8000)  # the document is written by then
            frames["still"] += page.frames(3, scrolls=False)
            frames["scrolling"] += page.frames(3, scrolls=True)
    yield from figures.items()
    yield from ((f"frames, {name}", times) for name, times in frames.items())


def wire(server, context):
    """Bytes that a step of a live run costs, in a short run and in a long one."""
    for count in (100, 1000):
        with opened(server, context, f"wire-{count}", f"run = looks({count}, 0.01)\nrun") as page:
            page.notebook.start(1)
            page.notebook.is_at(1, "", "ok", seconds=300)
            page.page.wait_for_timeout(1000)
            yield f"bytes a step, {2 * count} steps", [page.bytes / (2 * count)]


def clicks(server, context):
    """A click while nothing else happens, while 200 tokens a second arrive, and among ten live traces."""
    beside = {
        "click: alone": "None",
        "click: 200 tokens/s beside": "talks()",
        "click: ten live traces": "for one in [looks(300, 0.5) for _ in range(9)]: display(one)",
    }
    for number, (name, cell) in enumerate(beside.items()):
        with opened(server, context, f"click-{number}", "pays()", cell) as page:
            page.notebook.run(1)
            page.notebook.run(2)
            page.page.wait_for_timeout(2000)
            yield name, [page.click(1) for _ in range(8)]
            if number:
                yield f"{name}: frames", page.frames(2, scrolls=False)


def line(name, values):
    """A figure as a row of the table."""
    worst = quantiles(values, n=100)[98] if len(values) >= 100 else max(values)
    print(f"| {name} | {median(values):,.1f} | {worst:,.1f} | {'bytes' if 'bytes' in name else 'ms'} |", flush=True)


def main():
    """Measure, print, and keep where that is wanted."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, lab.chromium() as browser:
        server = lab.Server("lab", Path(folder) / "lab", AGENTKIT_LOG=str(Path(folder) / "log"))
        (server.root / "work.py").write_text(WORK)
        server.start()
        figures = {}
        try:
            server.wait()
            context = browser.new_context(viewport={"width": 1280, "height": 900})
            store(server, context, options.steps)
            print(f"| {options.steps:,} steps | median | worst (of many: 99th percentile) | |\n|---|---|---|---|")
            for name, values in chain(
                show(server, context, options.repeat), wire(server, context), clicks(server, context)
            ):
                figures[name] = values
                line(name, values)
        finally:
            server.stop()
    few, many = median(figures["few: first row"]), median(figures["many: first row"])
    print(f"\nfirst row of many steps over that of ten: {many / few:.2f} x")
    long, short = figures["bytes a step, 2000 steps"][0], figures["bytes a step, 200 steps"][0]
    print(f"bytes a step of a long live run over those of a short one: {long / short:.2f} x")
    if options.json:
        options.json.write_text(json.dumps(figures))


if __name__ == "__main__":
    main()
