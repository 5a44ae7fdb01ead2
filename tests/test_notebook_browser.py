"""The live trace as a person meets it: in JupyterLab and Notebook 7, in a browser, with clicks."""

import json
import subprocess
import sys
import time
from importlib.metadata import version

import lab
import pytest

pytestmark = lab.MARKS

HOSTILE = "<script>window.hacked=1</script><img src=x onerror='window.hacked=1'><a href='javascript:1'>x</a>\x1b[31m"

SHOP = f"""
import time
import warnings
from typing import Annotated, Literal
from pydantic import Field
import agentkit as ak
from agentkit.testing import FunctionModel, call

warnings.simplefilter("ignore")

HOSTILE = {HOSTILE!r}

def played(*turns):
    return FunctionModel(lambda request: turns[sum(message.role == "assistant" for message in request.messages)])

@ak.tool
def find_order(order_id: str) -> dict:
    '''Look up one order. Returns its items and total in USD.'''
    return {{"order_id": order_id, "total": 80.0, "items": ["lamp", "shade"]}}

@ak.tool(writes=True, approve=True)
def refund(order_id: str, amount: float) -> dict:
    '''Refund part of an order. Returns the receipt.'''
    return {{"refund_id": "R-7", "amount": amount}}

@ak.tool
def wait(seconds: float) -> str:
    '''Wait. Returns when it is over.'''
    time.sleep(seconds)
    return "over"

@ak.tool(writes=True, approve=True)
def dangerous(text: str) -> dict:
    '''Do what is dangerous. Returns the text.'''
    return {{"text": text, HOSTILE: [HOSTILE]}}

@ak.tool(writes=True)
def send(text: str, seconds: float) -> dict:
    '''Send a text to the customer. Returns whether it was sent.'''
    time.sleep(seconds)
    return {{"sent": True}}

tools = [find_order, refund, ak.ask_person, wait, dangerous, send]
look = call("find_order", order_id="A-1042", why="the ticket names the order")
pay = call("refund", order_id="A-1042", amount=80.0, why="it arrived broken", instead_of="a new lamp")
again = call("refund", order_id="A-1042", amount=5.0, why="for the trouble")
which = call("ask_person", question="Which colour?", options=["red", "blue"])
support = ak.Agent("support", played(look, pay, again, which, "Done."), "You are brief.", tools=tools)
asker = ak.Agent("asker", played(which, "Thanks."), tools=tools)
payer = ak.Agent("payer", played(pay, "Paid."), tools=tools)
sleeper = ak.Agent("sleeper", played(look, call("wait", seconds=8.0), pay, "Rested."), tools=tools)
hostile = ak.Agent(
    HOSTILE, played(call("dangerous", text=HOSTILE, why=HOSTILE, instead_of=HOSTILE), HOSTILE), tools=tools
)
both = ak.Agent("both", played(look, call("wait", seconds=0.01), "Done."), tools=tools)
thrifty = ak.Agent("thrifty", played(look, "Done."), tools=tools, budget=ak.Budget(model_calls=1))
sender = ak.Agent("sender", played(call("send", text="sorry", seconds=6.0), "Sent."), tools=tools)
fan = ak.Pipeline("fan", input={{"numbers": list[int]}})

@fan.step(each="numbers", concurrency=16)
def double(number: int) -> int:
    return 2 * number

@fan.step(approve=True, writes=True)
def keep(double: list[int]) -> int:
    return len(double)

@ak.tool(writes=True, approve=True)
def ship(weight: Annotated[float, Field(gt=0, le=50)], way: Literal["land", "air"] = "land") -> str:
    '''Ship a parcel. Returns how it went.

    Args:
        weight: of the parcel, in kilograms.
        way: how it travels.
    '''
    return f"{{weight:g}} kg by {{way}}"

parcel = ak.Pipeline("parcel", input={{"weight": float}})

@parcel.step
def sends(weight: float, ctx: ak.Context) -> str:
    return ctx.call(ship, weight=weight)
"""


@pytest.fixture(scope="module")
def browser():
    with lab.chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    """Both servers, which start while the first test of the other runs."""
    folder = tmp_path_factory.mktemp("servers")
    both = {}
    for app in ("lab", "notebook"):
        both[app] = lab.Server(app, folder / app, AGENTKIT_LOG=str(folder / "log"))
        (both[app].root / "shop.py").write_text(SHOP)
        both[app].start()
    yield both
    for server in both.values():
        server.stop()


@pytest.fixture
def pages(browser, servers, request):
    """Opens notebooks of some cells; their kernels end with the test."""
    server = servers[getattr(request, "param", "lab")]
    server.wait()
    context = browser.new_context(viewport={"width": 1280, "height": 900})

    def opened(*cells, beside=""):
        name = f"{request.node.name.partition('[')[0]}{beside}.ipynb"
        server.write(name, *cells)
        return lab.Notebook(context.new_page(), server, name).open()

    yield opened
    for number, page in enumerate(context.pages):  # of a failed test: what was seen last
        lab.picture(page, f"{request.node.name}-{number}-last")
    context.close()
    server.end_sessions()


def command(server, *words):
    """What a person types in a terminal."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "agentkit", *words],
        env=server.env,
        cwd=server.root,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode in {0, 3}, done.stdout + done.stderr
    return done.stdout


def converted(notebook):
    """A saved notebook as nbconvert's page."""
    path = notebook.server.root / notebook.name
    words = [sys.executable, "-m", "nbconvert", "--to", "html", path.name]
    done = subprocess.run(
        words, env=notebook.server.env, cwd=path.parent, capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return path.with_suffix(".html")


@pytest.mark.parametrize("pages", ["lab", "notebook"], indirect=True)
def test_a_run_is_seen_approved_edited_rejected_and_answered_in_its_cell(pages):
    """Rows appear as things happen; each question has its card; the end is there, and in the saved notebook."""
    notebook = pages("from shop import *", "run = support.run('The lamp of A-1042 arrived broken')\nrun", "run.output")
    notebook.run(0)
    notebook.run(1)
    notebook.is_at(1, "tool/refund/1", "asked")
    notebook.picture(f"{notebook.server.app}-approval")
    notebook.card(1).get_by_label("amount").fill("much")
    notebook.click(1, "approve as edited")
    notebook.sees(1, "amount: much is no number")
    notebook.card(1).get_by_label("amount").fill("60")
    notebook.click(1, "approve as edited")
    notebook.is_at(1, "tool/refund/1", "ok")
    notebook.is_at(1, "tool/refund/2", "asked")
    notebook.card(1).get_by_label("reason, comment or answer").fill("once is enough")
    notebook.click(1, "reject")
    notebook.is_at(1, "tool/refund/2", "rejected")
    notebook.sees(1, "Which colour?")
    notebook.click(1, "blue")
    notebook.is_at(1, "", "ok")
    notebook.row(1, "tool/refund/1").click()
    notebook.sees(1, '"R-7"')
    notebook.picture(f"{notebook.server.app}-ended")
    notebook.run(2)
    notebook.sees(2, "Done.")
    notebook.save()
    (output,) = notebook.server.read(notebook.name)[1]["outputs"]
    html = "".join(output["data"]["text/html"])
    assert "application/vnd.jupyter.widget-view+json" not in output["data"]
    for shown in ("once is enough", "60", "blue", "arrived broken"):
        assert shown in html


def test_a_killed_kernels_run_goes_on_in_the_next_one(pages):
    """Re-run the defining cell, then `ak.resume(run_id)`: the finished step is not done again, and buttons are back."""
    notebook = pages(
        "from shop import *",
        "run = sleeper.run('go')\nrun",
        "again = ak.resume(open('id').read())\nagain",
        "open('id', 'w').write(run.run_id)",
    )
    for cell in (0, 1, 3):
        notebook.run(cell)
    notebook.is_at(1, "tool/wait/1", "running")
    notebook.js("await panel.sessionContext.session.kernel.restart();")
    notebook.until("panel.sessionContext.session?.kernel?.status === 'idle'")
    notebook.run(0)
    notebook.run(2)
    notebook.is_at(2, "tool/find_order/1", "ok")
    notebook.is_at(2, "tool/refund/1", "asked", seconds=60)
    notebook.click(2, "approve")
    notebook.is_at(2, "", "ok")


def test_a_saved_notebook_shows_the_run_without_a_kernel(pages):
    """Saved while it waits, opened without its kernel: what happened, what waits, and how to go on; no widget."""
    notebook = pages("from shop import *", "run = payer.run('go')\nrun")
    notebook.run(0)
    notebook.run(1)
    notebook.is_at(1, "tool/refund/1", "asked")
    notebook.until("JSON.stringify(panel.content.widgets[1].model.outputs.toJSON()).includes('pending since')")
    notebook.save()
    notebook.server.ask("DELETE", f"/api/kernels/{notebook.kernel()}")
    name = notebook.name
    page = notebook.page.context.new_page()
    notebook.page.close()
    reader = lab.Notebook(page, notebook.server, name)
    reader.open(kernel=False)
    reader.sees(1, "waits for a person")
    reader.sees(1, "ak.resume(")
    reader.picture("reopened-without-a-kernel")
    assert "model not found" not in reader.output(1).inner_text()
    assert reader.output(1).locator(".agentkit").count() == 0


def test_the_terminal_answers_while_this_kernels_cell_sleeps(pages):
    """A synchronous cell keeps the kernel busy; the run, its trace and the inbox do not need it."""
    notebook = pages(
        "from shop import *", "run = payer.run('go')\nrun", "open('run', 'w').write(run.pending[0].id); time.sleep(20)"
    )
    notebook.run(0)
    notebook.run(1)
    notebook.is_at(1, "tool/refund/1", "asked")
    notebook.start(2)
    file = notebook.server.root / "run"
    while not (file.exists() and file.read_text()):
        time.sleep(0.1)
    command(notebook.server, "approve", file.read_text())
    notebook.is_at(1, "", "ok", seconds=15)
    assert notebook.js("return panel.content.widgets[2].model.executionState;") == "running"


BUSY_KERNELS_HEAR = "7.0" <= version("ipykernel") < "7.4"
"""Whether a click reaches a kernel that executes a synchronous cell: in those versions by a thread beside it."""


def test_a_card_knows_within_seconds_whether_clicks_reach_a_busy_kernel(pages):
    """Where they do, the run goes on while the cell sleeps; where not, it says so, what does, and when that is over."""
    notebook = pages("from shop import *", "run = payer.run('go')\ndisplay(run)\ntime.sleep(12)")
    notebook.run(0)
    notebook.start(1)
    notebook.card(1).wait_for(timeout=10_000)
    if BUSY_KERNELS_HEAR:
        notebook.click(1, "approve")
        notebook.is_at(1, "", "ok", seconds=8)
        assert notebook.js("return panel.content.widgets[1].model.executionState;") == "running"
        return
    began = time.monotonic()
    notebook.sees(1, "Clicks do not reach the kernel now")
    assert time.monotonic() - began < 4
    notebook.sees(1, "agentkit approve ")
    notebook.picture("busy-cell")
    notebook.click(1, "approve")
    notebook.sees(1, "takes it when its cell is done")
    notebook.is_at(1, "", "ok", seconds=30)


def test_what_anybody_wrote_stays_text_in_the_live_trace(pages):
    """Markup, scripts and links in the agent's name, the question, reasons, arguments, results and the answer."""
    notebook = pages("from shop import *", "run = hostile.run(HOSTILE)\nrun")
    notebook.run(0)
    notebook.run(1)
    notebook.is_at(1, "tool/dangerous/1", "asked")
    notebook.picture("hostile")
    notebook.click(1, "approve")
    notebook.is_at(1, "", "ok")
    for step in ("", "model/1", "tool/dangerous/1", "model/2"):
        notebook.row(1, step).click()
        notebook.output(1).locator(".agentkit-details pre:visible").first.wait_for()
        assert notebook.output(1).locator("script, img, a").count() == 0
    assert notebook.page.evaluate("window.hacked") is None
    notebook.until("JSON.stringify(panel.content.widgets[1].model.outputs.toJSON()).includes('approval')")
    notebook.save()
    page = notebook.page.context.new_page()
    page.goto(converted(notebook).as_uri())
    shown = page.locator(".agentkit-trace")
    shown.get_by_text("window.hacked").first.wait_for()
    lab.picture(page, "hostile-nbconvert")
    assert shown.locator("script, img, a").count() == 0
    assert page.evaluate("window.hacked") is None


def test_another_notebook_answers_and_its_kernel_need_not_know_the_agent(pages):
    """What waits is in the log; the kernel that paused the run takes it up."""
    notebook = pages("from shop import *", "run = payer.run('go')\nrun", "open('asked', 'w').write(run.run_id)")
    for cell in (0, 1, 2):
        notebook.run(cell)
    notebook.is_at(1, "tool/refund/1", "asked")
    other = pages("import agentkit as ak\nak.open_log().run(open('asked').read())", beside="-too")
    other.run(0)
    other.card(0).get_by_label("amount").fill("7")
    other.click(0, "approve as edited")
    other.is_at(0, "", "ok")
    notebook.page.bring_to_front()
    notebook.is_at(1, "", "ok")
    notebook.row(1, "tool/refund/1").get_by_text("'amount': 7").wait_for()


def test_a_trace_takes_the_theme_and_the_width_of_its_page(pages):
    """Dark where the notebook is; on a narrow page nothing stands out of it; the keyboard walks the rows."""
    notebook = pages("from shop import *", "run = support.run('The lamp arrived broken')\nrun")
    notebook.run(0)
    notebook.run(1)
    notebook.is_at(1, "tool/refund/1", "asked")
    colour = "panel.content.widgets[1].node.querySelector('.agentkit')"
    colour = f"getComputedStyle({colour}).backgroundColor"
    light = notebook.js(f"return {colour};")
    notebook.js("await jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'});")
    notebook.until(f"{colour} !== arg", light)
    notebook.click(1, "approve")
    notebook.is_at(1, "tool/refund/2", "asked")
    tree = notebook.output(1).get_by_role("tree")
    tree.focus()
    for _ in range(2):
        tree.press("ArrowDown")
    notebook.sees(1, "You are")
    notebook.picture("dark-wide")
    notebook.js("jupyterapp.shell.collapseLeft();")
    notebook.page.set_viewport_size({"width": 620, "height": 900})
    notebook.until("panel.content.widgets[1].node.querySelector('.agentkit').clientWidth < 520")
    notebook.picture("dark-narrow")
    root = notebook.output(1).locator(".agentkit")
    assert root.evaluate("root => root.scrollWidth <= root.clientWidth")
    notebook.js("await jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Light'});")


def test_two_views_of_a_run_agree(pages):
    """Displayed twice; whichever is clicked, both know."""
    notebook = pages("from shop import *", "run = payer.run('go')\nrun", "run")
    for cell in (0, 1, 2):
        notebook.run(cell)
    notebook.card(1).wait_for()
    notebook.card(2).wait_for()
    notebook.click(2, "approve")
    notebook.is_at(1, "", "ok")
    notebook.is_at(2, "", "ok")
    assert notebook.output(1).locator(".agentkit-card").count() == 0


def test_a_reloaded_page_is_live_again(pages):
    """The browser forgets everything; the kernel does not."""
    notebook = pages("from shop import *", "run = payer.run('go')\nrun")
    notebook.run(0)
    notebook.run(1)
    notebook.is_at(1, "tool/refund/1", "asked")
    notebook.save()
    notebook.open()
    notebook.click(1, "approve")
    notebook.is_at(1, "", "ok")


def test_a_thousand_items_are_one_row_until_they_are_opened(pages):
    """And when they are, the page holds a screenful of them."""
    notebook = pages("from shop import *", "run = fan.run(numbers=list(range(1000)))\nrun")
    notebook.run(0)
    notebook.run(1)
    notebook.is_at(1, "keep", "asked", seconds=60)
    notebook.has_rows(1, 3)  # a view that missed something asks for all of it, and is empty meanwhile
    notebook.picture("fan-out")
    notebook.row(1, "double").locator(".agentkit-fold").click()
    notebook.is_at(1, "double[3]", "ok")
    assert notebook.output(1).locator(".agentkit-row").count() < 60


def test_the_inbox_answers_for_every_run_of_the_log(pages):
    """What waits appears in it, whoever asks; an answer resumes the run here, where its agent is defined."""
    notebook = pages(
        "from shop import *\nfor asked in ak.pending(): ak.open_log().run(asked.run_id).cancel()",
        "ak.pending()",
        "run = payer.run('go')\nask = asker.run('go')",
    )
    notebook.run(0)
    notebook.run(1)
    notebook.sees(1, "nothing waits for a person")
    notebook.run(2)
    notebook.sees(1, "2 wait for a person")
    notebook.output(1).locator(".agentkit-card").filter(has_text="payer").get_by_role("button", name="approve").click()
    notebook.sees(1, "1 waits for a person")
    notebook.sees(1, "the run goes on in this process")
    notebook.picture("inbox")
    notebook.click(1, "red")
    notebook.sees(1, "nothing waits for a person")


def test_a_cell_that_waits_for_a_person_shows_the_card_and_asks_where_an_answer_arrives(pages):
    """By a click where a busy kernel takes one; else by its input box, which the card points to."""
    notebook = pages("from shop import *", "run = payer.run('go')\nrun.wait()")
    notebook.run(0)
    notebook.start(1)
    notebook.card(1).wait_for()
    box = notebook.output(1).locator(".jp-Stdin-input").first
    if BUSY_KERNELS_HEAR:
        notebook.click(1, "approve")
    else:
        box.wait_for()
        notebook.sees(1, "asks this in its input box")
        notebook.picture("waits-by-its-box")
        box.fill("a")
        box.press("Enter")
    notebook.sees(1, "Paid.")
    notebook.is_at(1, "", "ok")
    assert notebook.output(1).locator(".agentkit-card").count() == 0


def test_a_shortcut_answers_only_in_its_card_and_when_it_is_confirmed(pages):
    """Alt+A, then Enter; any other key takes it back, and Enter alone does nothing."""
    notebook = pages("from shop import *", "run = payer.run('go')\nrun", "run.status")
    notebook.run(0)
    notebook.run(1)
    card = notebook.card(1)
    card.get_by_role("button", name="approve").click(trial=True)  # it takes clicks by now
    card.focus()
    card.press("Enter")
    card.press("Alt+a")
    notebook.sees(1, "Enter: approve; any other key: not")
    notebook.picture("armed")
    card.press("x")
    card.press("Enter")
    notebook.run(2)
    notebook.sees(2, "paused")
    card.press("Alt+a")
    card.press("Enter")
    notebook.is_at(1, "", "ok")
    notebook.sees(1, "refund: approve by")


def test_what_a_trace_shows_is_filtered_copied_linked_and_graded(pages):
    """One tool's calls; JSON and Markdown; http(s) links; a grade with its reason, which the document has too."""
    link = "from agentkit import registry\nregistry.link('Elsewhere', lambda run: f'https://example.org/{run}')\n"
    link += "registry.link('Nowhere', lambda run: 'javascript:alert(1)')"
    notebook = pages(f"from shop import *\n{link}", "run = both.run('go')\nrun", "run.state.grade, run.state.grade_why")
    notebook.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    notebook.run(0)
    notebook.run(1)
    notebook.is_at(1, "", "ok")
    shown = notebook.output(1)
    assert [link.inner_text() for link in shown.get_by_role("link").all()] == ["Elsewhere ↗"]
    shown.get_by_label("show only one tool's calls").select_option("wait")
    notebook.sees(1, "3 shown")
    assert notebook.row(1, "tool/find_order/1").count() == 0
    shown.get_by_role("button", name="copy JSON").click()
    notebook.sees(1, "copied")
    assert len(json.loads(notebook.page.evaluate("navigator.clipboard.readText()"))) == 3
    notebook.row(1, "tool/wait/1").click()
    shown.locator(".agentkit-details pre:visible").first.wait_for()
    shown.get_by_role("button", name="copy Markdown").click()
    notebook.until(
        "(navigator.clipboard.readText().then(text => window.copied = text), window.copied?.startsWith('✓'))"
    )
    assert '**result**\n\n```json\n"over"\n```' in notebook.page.evaluate("window.copied")
    shown.get_by_label("why").fill("as it should be")
    shown.get_by_role("button", name="good").click()
    notebook.sees(1, "graded good: as it should be")
    notebook.picture("graded")
    notebook.run(2)
    notebook.sees(2, "('good', 'as it should be')")
    notebook.until("JSON.stringify(panel.content.widgets[1].model.outputs.toJSON()).includes('graded good')")


def test_a_call_within_a_step_is_edited_by_its_types_after_a_restart_too(pages):
    """By a kernel that never saw the pipeline: bounds, a choice, what each argument means, and where it came from."""
    notebook = pages(
        "from shop import *",
        "run = parcel.run(weight=8.5)\nrun",
        "open('parcel', 'w').write(run.run_id)",
        "import agentkit as ak\nak.open_log().run(open('parcel').read())",
    )
    for cell in (0, 1, 2):
        notebook.run(cell)
    notebook.is_at(1, "sends/call/ship/1", "asked")
    notebook.js("await panel.sessionContext.session.kernel.restart();")
    notebook.until("panel.sessionContext.session?.kernel?.status === 'idle'")
    notebook.run(3)
    notebook.sees(3, "of the parcel, in kilograms. · from: the run's input at weight")
    weight, way = notebook.card(3).get_by_label("weight"), notebook.card(3).get_by_label("way")
    weight.fill("80")
    notebook.click(3, "approve as edited")
    notebook.sees(3, "weight: 80 is too large: 50 is the most")
    notebook.picture("step-call")
    weight.fill("12")
    way.select_option("air")
    notebook.click(3, "approve as edited")
    notebook.is_at(3, "", "ok")
    notebook.sees(3, "12 kg by air")


def test_the_graph_of_an_agents_run_is_a_picture_in_its_cell(pages):
    """In the notebook's colours, with all that it says as words that can be read."""
    notebook = pages("from shop import *", "run = asker.run('go')\nrun", "run.graph")
    notebook.run(0)
    notebook.run(1)
    notebook.sees(1, "Which colour?")
    notebook.click(1, "blue")
    notebook.is_at(1, "", "ok")
    notebook.run(2)
    picture = notebook.output(2).get_by_role("img", name="asker")
    picture.locator("text", has_text="1 answered").wait_for()
    paper = "el => getComputedStyle(el.querySelector('.page')).fill"
    light = picture.evaluate(paper)
    notebook.picture("agent-graph-light")
    notebook.js("await jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'});")
    notebook.until("document.body.dataset.jpThemeLight === 'false'")
    assert picture.evaluate(paper) != light
    notebook.picture("agent-graph-dark")
    notebook.js("await jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Light'});")


def test_a_budget_is_raised_in_the_card(pages):
    """It says what was used so far; what is no budget is told."""
    notebook = pages("from shop import *", "run = thrifty.run('go')\nrun")
    notebook.run(0)
    notebook.run(1)
    notebook.sees(1, "Used so far: 1 model calls")
    notebook.card(1).get_by_label("model_calls").fill("1.5")
    notebook.click(1, "raise it")
    notebook.sees(1, "1.5 is no whole number")
    notebook.picture("budget")
    notebook.card(1).get_by_label("model_calls").fill("5")
    notebook.click(1, "raise it")
    notebook.is_at(1, "", "ok")


def test_what_is_in_doubt_after_a_kernel_died_is_resolved_in_the_card(pages):
    """It happened, with its result; it is not run again."""
    notebook = pages(
        "from shop import *",
        "run = sender.run('go')\nrun",
        "open('doubt', 'w').write(run.run_id)",
        "again = ak.resume(open('doubt').read())\nagain",
    )
    for cell in (0, 1, 2):
        notebook.run(cell)
    notebook.is_at(1, "tool/send/1", "running")
    notebook.js("await panel.sessionContext.session.kernel.restart();")
    notebook.until("panel.sessionContext.session?.kernel?.status === 'idle'")
    notebook.run(0)
    notebook.run(3)
    notebook.sees(3, "send: did it happen?")
    notebook.picture("in-doubt")
    notebook.card(3).get_by_label("reason, comment or answer").fill('{"sent": true}')
    notebook.click(3, "it happened")
    notebook.is_at(3, "", "ok")
    notebook.sees(3, "send: happened by")
