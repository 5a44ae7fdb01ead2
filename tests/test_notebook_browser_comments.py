"""Comments on a trace's rows as several people meet them: in JupyterLab, in a browser, with clicks and with keys."""

import subprocess
import sys

import lab
import pytest

pytestmark = lab.MARKS

HOSTILE = "<script>window.hacked=1</script><img src=x onerror='window.hacked=1'>"

SHOP = """
import warnings
import agentkit as ak
from agentkit.testing import FunctionModel, call

warnings.simplefilter("ignore")

def played(*turns):
    return FunctionModel(lambda request: turns[sum(message.role == "assistant" for message in request.messages)])

@ak.tool
def find(term: str) -> dict:
    '''Find an article in the supplier's list. Returns its number and price in USD.'''
    return {"number": "L-7", "price": 80.0}

@ak.tool(writes=True, approve=True)
def order(number: str) -> dict:
    '''Order an article from the supplier. Returns the receipt.'''
    return {"ordered": number}

buyer = ak.Agent("buyer", played(call("find", term="lamp", why="to know its number"), call("order", number="L-7"),
                                 "Ordered."), "You buy.", tools=[find, order])
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A JupyterLab whose kernels find the agent."""
    with lab.serving(tmp_path_factory.mktemp("server"), shop=SHOP) as server:
        yield server


@pytest.fixture
def notebook(server):
    """A notebook that shows one run in two cells, which waits for a person."""
    server.wait()
    server.write(
        "buy.ipynb", "from shop import *", "run = buyer.run('A lamp')\nrun", "run", "open('run', 'w').write(run.run_id)"
    )
    with lab.chromium() as browser:
        context = browser.new_context(viewport={"width": 1280, "height": 1000})
        notebook = lab.Notebook(context.new_page(), server, "buy.ipynb").open()
        for cell in (0, 1, 2, 3):
            notebook.run(cell)
        for cell in (1, 2):
            notebook.is_at(cell, "tool/order/1", "asked")
        yield notebook
        notebook.picture("comments-last")
        context.close()
    server.end_sessions()


def comment_in_a_terminal(notebook, text, *words):
    """What a colleague types."""
    run_id = (notebook.server.root / "run").read_text()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "agentkit", "comment", run_id, text, "--by", "eve", *words],
        env=notebook.server.env,
        cwd=notebook.server.root,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def comments(notebook, cell):
    """The words below the row that is open in a cell."""
    return notebook.output(cell).locator(".agentkit-words")


def is_marked(notebook, cell, step, count):
    """Wait until a row says how many comments it has."""
    mark = notebook.row(cell, step).locator(".agentkit-talked").get_by_text(f"✎ {count}", exact=True)
    mark.wait_for(timeout=20_000)


def test_what_one_says_in_a_view_others_see_in_theirs(notebook):
    """By a click or by keys, from a terminal too, while the run waits; whatever the words are, they stay words."""
    shown = notebook.output(1)
    notebook.row(1, "tool/find/1").click()
    shown.get_by_role("button", name="comment", exact=True).click()
    shown.get_by_label("whose words they are").fill("ada")
    shown.get_by_label("comment", exact=True).fill("this search term was wrong:\nthe list has numbers")
    notebook.picture("comments-form")
    shown.get_by_role("button", name="send").click()
    for cell in (1, 2):
        is_marked(notebook, cell, "tool/find/1", 1)
    shown.locator(".agentkit-talk-form").wait_for(state="hidden")

    tree = notebook.output(2).get_by_role("tree")
    tree.focus()
    for _ in range(3):
        tree.press("ArrowDown")
    comments(notebook, 2).get_by_text("the list has numbers").wait_for()
    assert "ada" in notebook.output(2).locator(".agentkit-comment").inner_text()
    tree.press("c")
    notebook.page.keyboard.type(HOSTILE)
    notebook.page.keyboard.press("Enter")
    comments(notebook, 1).get_by_text(HOSTILE, exact=True).wait_for()
    notebook.until("document.activeElement?.getAttribute('role') === 'tree'")
    comment_in_a_terminal(notebook, "asked the supplier, ok", "--step", "tool/find/1")
    for cell in (1, 2):
        is_marked(notebook, cell, "tool/find/1", 3)
        assert comments(notebook, cell).all_inner_texts()[1:] == [HOSTILE, "asked the supplier, ok"]
        assert notebook.output(cell).locator("script, img").count() == 0
    assert notebook.page.evaluate("window.hacked") is None
    notebook.picture("comments-light")

    shown.get_by_role("button", name="comments", exact=True).click()
    notebook.sees(1, "3 shown")
    assert notebook.row(1, "tool/order/1").count() == 0
    notebook.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    shown.get_by_role("button", name="copy Markdown").click()
    notebook.sees(1, "copied")
    assert "`asked the supplier, ok`" in notebook.page.evaluate("navigator.clipboard.readText()")

    notebook.js("await jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab Dark'});")
    notebook.until("document.body.dataset.jpThemeLight === 'false' && !document.getElementById('jupyterlab-splash')")
    shown.locator(".agentkit-talk").scroll_into_view_if_needed()
    notebook.picture("comments-dark")
    notebook.page.set_viewport_size({"width": 620, "height": 1000})
    notebook.picture("comments-dark-narrow")


def test_after_the_end_a_page_hears_what_others_say_and_the_document_keeps_it(notebook):
    """Without a click, within seconds; a saved notebook and nbconvert's page have it, with nothing in it that runs."""
    notebook.click(1, "approve")
    notebook.is_at(1, "", "ok")
    notebook.row(1, "tool/order/1").click()
    comment_in_a_terminal(notebook, HOSTILE, "--step", "tool/order/1")
    is_marked(notebook, 1, "tool/order/1", 1)
    assert comments(notebook, 1).all_inner_texts() == [HOSTILE]
    tree = notebook.output(1).get_by_role("tree")
    tree.focus()
    tree.press("c")
    notebook.page.keyboard.type("once more")
    notebook.page.keyboard.press("Enter")
    is_marked(notebook, 1, "tool/order/1", 2)
    notebook.until("JSON.stringify(panel.content.widgets[1].model.outputs.toJSON()).includes('once more')")
    notebook.save()
    path = notebook.server.root / notebook.name
    done = subprocess.run(
        [sys.executable, "-m", "nbconvert", "--to", "html", path.name],
        env=notebook.server.env,
        cwd=path.parent,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    page = notebook.page.context.new_page()
    page.goto(path.with_suffix(".html").as_uri())
    document = page.locator(".agentkit-trace").first
    document.get_by_text("once more").wait_for()
    document.get_by_text(HOSTILE, exact=True).wait_for()
    lab.picture(page, "comments-nbconvert")
    assert document.locator("script, img, a").count() == 0
    assert page.evaluate("window.hacked") is None
