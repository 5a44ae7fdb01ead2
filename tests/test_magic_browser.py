"""`%%log` as a person meets it in JupyterLab: the table sorts and pages by clicks, Tab offers columns."""

import json

import lab
import pytest

pytestmark = lab.MARKS

HOSTILE = "<script>window.hacked=1</script><img src=x onerror=''window.hacked=1''><a href=''javascript:1''>x</a>"

BEGIN = """
import agentkit as ak
%load_ext agentkit
log = ak.open_log("memory:")
limit = 60
"""
MANY = f"""%%log --log log -o found
SELECT i, 'row ' || i AS name, i % 7 AS week, CASE WHEN i > 3 THEN i / 3.0 END AS share, '{HOSTILE}' AS "{HOSTILE}"
FROM range($limit) AS r(i)"""
AFTER_DUR = {"line": 1, "column": 10}


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    """A notebook in JupyterLab, its first cells executed; one page for all tests."""
    with lab.serving(tmp_path_factory.mktemp("server")) as server, lab.chromium() as browser:
        server.wait()
        page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        server.write(
            "sql.ipynb", BEGIN, MANY, "%%log\nSELECT dur FROM tool_calls", "%%log --log log\nSELECT nme FROM runs"
        )
        notebook = lab.Notebook(page, server, "sql.ipynb").open()
        notebook.run(0)
        notebook.run(1)
        notebook.output(1).locator(".agentkit-grid").wait_for()
        yield notebook


def column(notebook, number):
    """What a column of the table shows, from top to bottom."""
    return notebook.output(1).locator(f".agentkit-grid tbody tr td:nth-child({number})").all_inner_texts()


def button(notebook, name):
    return notebook.output(1).get_by_role("button", name=name)


def test_the_table_pages(notebook):
    """Twenty rows a page, or as many as are chosen, and it says which."""
    assert column(notebook, 1) == [str(i) for i in range(20)]
    button(notebook, "next page").click()
    assert column(notebook, 1) == [str(i) for i in range(20, 40)]
    notebook.output(1).get_by_label("rows a page").select_option("50")
    assert len(column(notebook, 1)) == 50
    notebook.sees(1, "1 to 50 of 60")
    notebook.picture("sql-table")


def test_the_table_sorts_numbers_as_numbers(notebook):
    """Up, down, and as the statement gave them; what is NULL comes last."""
    head = button(notebook, "share")
    head.click()
    assert column(notebook, 1)[:3] == ["4", "5", "6"]
    head.click()
    assert column(notebook, 1)[:3] == ["59", "58", "57"]
    head.click()
    assert column(notebook, 1)[:3] == ["0", "1", "2"]


def test_the_table_is_searched(notebook):
    """By any word of a row."""
    notebook.output(1).get_by_label("search the rows").fill("row 3")
    notebook.sees(1, "1 to 11 of 11")
    notebook.output(1).get_by_label("search the rows").fill("")
    notebook.sees(1, "of 60")


def test_words_stay_words(notebook):
    """Markup in cells and in the columns' names is shown as it is, and nothing of it happens."""
    assert "<script>window.hacked=1</script>" in column(notebook, 5)[0]
    assert notebook.js("return window.hacked ?? null;") is None
    assert notebook.output(1).locator("img, script, a").count() == 0


def test_the_result_is_a_frame(notebook):
    """Kept where `-o` said."""
    notebook.js("panel.content.widgets[2].model.sharedModel.setSource('type(found).__name__, len(found), len(_)');")
    notebook.run(2)
    notebook.sees(2, "('DataFrame', 60, 60)")


def test_tab_offers_columns(notebook):
    """Those of the view that the statement reads, though it is named behind the cursor."""
    source = "%%log\nSELECT dur FROM tool_calls"
    notebook.js("panel.content.widgets[2].model.sharedModel.setSource(arg);", source)
    notebook.js("panel.content.activeCellIndex = 2; panel.content.mode = 'edit';")
    notebook.js(
        "const { editor } = panel.content.widgets[2]; editor.focus(); editor.setCursorPosition(arg);", AFTER_DUR
    )
    notebook.page.keyboard.press("Tab")
    notebook.page.locator(".jp-Completer-item", has_text="duration_ms").wait_for()
    notebook.picture("sql-tab")
    notebook.page.keyboard.press("Enter")
    notebook.until("panel.content.widgets[2].model.sharedModel.getSource().includes('SELECT duration_ms FROM')")


def test_an_error_is_a_few_words(notebook):
    """With the guess, and no traceback."""
    notebook.run(3)
    notebook.sees(3, "did you mean name?")
    shown = notebook.output(3).inner_text()
    assert "Traceback" not in shown
    notebook.picture("sql-error")


def test_the_saved_notebook_holds_plain_html(notebook):
    """The first page of the rows, escaped, and nothing that needs a kernel."""
    notebook.save()
    saved = notebook.server.read("sql.ipynb")
    [output] = saved[1]["outputs"]
    html = "".join(output["data"]["text/html"])
    assert html.count("<tr>") == 21
    assert "<script" not in html
    assert "widget" not in json.dumps(saved)
