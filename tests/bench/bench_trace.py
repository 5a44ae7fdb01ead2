"""The live trace in a browser: how soon a run of 10,000 steps is seen, how it scrolls, what it costs on the wire.

In JupyterLab in a Chromium without a window, on this machine; it needs agentkit's own environment, not this folder's:

    uv run python tests/bench/bench_trace.py [--steps 10000] [--repeat 3] [--json FILE]
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import lab

WORK = '''
import time, warnings
import agentkit as ak
from agentkit.testing import FunctionModel, call

warnings.simplefilter("ignore")

@ak.tool
def look(what: str) -> dict:
    """Look something up and return all that is known of it."""
    return {"found": what, "text": "something that was found and is a bit longer"}

@ak.tool(writes=True, approve=True)
def pay(amount: float) -> dict:
    """Pay an amount to somebody and return the receipt of it."""
    return {"paid": amount}

def turns(count, pause=0.0, last=None):
    """A model that looks things up, one after the other, and then says the last thing."""
    asked = iter(range(count))
    def answer(request):
        time.sleep(pause)
        number = next(asked, None)
        if number is None:
            return last or "done"
        return call("look", what=f"thing number {number}", why="because it is the next one")
    return FunctionModel(answer)

def agent(count, pause=0.0):
    return ak.Agent("looker", turns(count, pause), tools=[look, pay], budget=ak.Budget(model_calls=10**6))

class Talker:
    """A model that writes so many tokens a second, for so many seconds."""
'''


class Page:
    """A notebook, and what its kernel sent to it."""

    def __init__(self, page, server, name, *cells):
        self.bytes = 0
        page.on("websocket", lambda socket: socket.on("framereceived", self._count))
        server.write(name, *cells)
        self.notebook = lab.Notebook(page, server, name).open()
        self.page = page

    def _count(self, payload):
        self.bytes += len(payload)

    def first_rows(self, cell):
        """Execute a cell; milliseconds until its trace has a row, and until all is loaded."""
        self.notebook.js(
            """
            const node = () => panel.content.widgets[arg].node;
            window.seen = {begin: performance.now()};
            const look = () => {
              const view = node().querySelector('.agentkit');
              if (view?.querySelector('.agentkit-row')) seen.first ??= performance.now();
              const said = view?.querySelector('.agentkit-said:last-child')?.textContent ?? '';
              if (seen.first && said.includes('steps') && !said.includes('loading')) { seen.all = performance.now(); return; }
              setTimeout(look, 5);
            };
            look();
            """,
            cell,
        )
        self.notebook.start(cell)
        self.notebook.until("window.seen.all", seconds=120)
        seen = self.page.evaluate("window.seen")
        return seen["first"] - seen["begin"], seen["all"] - seen["begin"]


def first_rows(server, context, steps, repeat):
    """A stored run: of ten steps and of many, each in a new kernel and again in the same one."""
    cells = [
        "from work import *",
        "log = ak.open_log()",
        "log.run(open('few').read())",
        "log.run(open('many').read())",
        "log.run(open('many').read())",
    ]
    figures = []
    for number in range(repeat):
        page = Page(context.new_page(), server, f"first-{number}.ipynb", *cells)
        page.notebook.run(0)
        page.notebook.run(1)
        few, many, again = page.first_rows(2), page.first_rows(3), page.first_rows(4)
        figures.append({"few": few, "many": many, "again": again})
        page.page.close()
    return figures


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
        server.wait()
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        make = "for name, count in (('few', 5), ('many', {})):\n    run = agent(count).run('go')\n    run.result()\n    open(name, 'w').write(run.run_id)"
        page = Page(context.new_page(), server, "make.ipynb", "from work import *", make.format(options.steps // 2))
        page.notebook.run(0)
        page.notebook.start(1)
        page.notebook.until("panel.content.widgets[1].model.executionState !== 'running'", seconds=300)
        page.page.close()
        try:
            print(json.dumps(first_rows(server, context, options.steps, options.repeat), indent=1))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
