"""`%log` and `%%log`: SQL in a cell, as a person types it, and what Tab offers there."""

import json
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from small_agents import SOON, lookup
from traitlets.config import Config

import agentkit as ak
from agentkit.notebook import table
from agentkit.rows import Rows
from agentkit.stores.views import COLUMNS
from agentkit.testing import FunctionModel, call

HOSTILE = "<script>window.hacked=1</script><img src=x onerror=alert(1)>\x1b[31m"


@pytest.fixture(scope="module")
def recorded():
    """A log with one run of an agent whose tool was told something hostile."""
    log = ak.open_log("memory:")
    turns = (call("lookup", what=HOSTILE), call("lookup", what="pluggy"), "done")
    model = FunctionModel(lambda request: turns[sum(message.role == "assistant" for message in request.messages)])
    run = ak.Agent("reader", model, tools=[lookup]).run("go", log=log)
    run.result(SOON)
    yield log, run
    log.close()


class Cells:
    """A notebook without a page: cells go in, and what they show and raise comes out."""

    def __init__(self, shell):
        self.shell = shell
        self.shown = []
        self.names = shell.user_ns

    def __call__(self, text):
        self.shown.clear()
        result = self.shell.run_cell(text)
        result.raise_error()
        return [data["text/plain"] for data in self.shown]

    def html(self, text):
        self(text)
        return self.shown[-1]["text/html"]

    def offers(self, text, rest=""):
        """What Tab offers at the end of a text."""
        with provisionalcompleter():
            return [one.text for one in self.shell.Completer.completions(text + rest, len(text))]


@pytest.fixture
def cells(recorded, tmp_path, monkeypatch):
    """A shell with the extension loaded, and variables for the log and the run."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AGENTKIT_LOG", raising=False)
    shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    found = Cells(shell)
    monkeypatch.setattr(shell.display_pub, "publish", lambda data, **_more: found.shown.append(data))
    monkeypatch.setattr(shell, "showtraceback", lambda *_args, **_more: None)
    found("%load_ext agentkit")
    found.names.update(shop=recorded[0], run=recorded[1])
    yield found
    found("%unload_ext agentkit")
    InteractiveShell.clear_instance()


def test_a_cell_of_sql_is_a_frame_and_a_table(cells):
    """The result is shown, kept under a name, and is `_`, as the value of any cell."""
    [text] = cells("%%log --log shop -o calls\nSELECT name, status FROM tool_calls ORDER BY seq")
    assert text.splitlines()[0].split() == ["name", "status"]
    assert isinstance(cells.names["calls"], pd.DataFrame)
    assert list(cells.names["calls"]["name"]) == ["lookup", "lookup"]
    assert cells.names["_"] is cells.names["calls"]


def test_one_line_of_sql_needs_no_cell(cells):
    """`%log SELECT …` is enough for a quick question."""
    [text] = cells("%log --log shop SELECT count(*) AS n FROM runs")
    assert text.split()[:3] == ["n", "-", "1"]


@pytest.mark.parametrize(
    ("value", "sql"),
    [
        ("lookup", "name = $it"),
        (["lookup", "other"], "name IN $it"),
        (("lookup", "other"), "name = ANY($it)"),
        (pd.Series(["lookup"]), "name IN $it"),
        (np.float64(-1), "duration_ms > $it"),
        (datetime(2020, 1, 1, tzinfo=UTC), "ended_at > $it"),
        (pd.Timestamp("2020-01-01", tz="UTC"), "ended_at > $it"),
    ],
)
def test_parameters_are_the_notebooks_variables(cells, value, sql):
    """`$it` is the variable `it`: a text, a number, a time, a list or a column of those."""
    cells.names["it"] = value
    cells(f"%%log --log shop -o found\nSELECT name FROM tool_calls WHERE {sql}")
    assert len(cells.names["found"]) == 2


def test_a_run_is_a_parameter(cells):
    """`$run` is that run's id; a parameter may be called `sql` as well."""
    cells.names["sql"] = "model"
    cells("%%log --log shop -o found\nSELECT step FROM steps WHERE run_id = $run AND kind = $sql ORDER BY step")
    assert list(cells.names["found"]["step"]) == ["model/1", "model/2", "model/3"]


def test_a_parameter_is_never_pasted_into_the_text(cells):
    """What is in it stays a value."""
    cells.names["evil"] = "x' OR 1=1 --"
    cells("%%log --log shop -o found\nSELECT name FROM tool_calls WHERE name = $evil")
    assert len(cells.names["found"]) == 0


@pytest.mark.parametrize(("kind", "type_"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame), ("rows", Rows)])
def test_what_the_result_is_can_be_said(cells, kind, type_):
    """Else it is a frame of the library that is there."""
    cells(f"%%log --log shop --frame {kind} -o found\nSELECT 1 AS x")
    assert isinstance(cells.names["found"], type_)


def test_without_pandas_and_polars_the_result_is_rows(cells, monkeypatch):
    """Nothing more than agentkit is needed."""
    monkeypatch.setitem(sys.modules, "pandas", None)
    monkeypatch.setitem(sys.modules, "polars", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    for name in ("pandas", "polars"):
        monkeypatch.delitem(sys.modules, name)
    cells("%%log --log shop -o found\nSELECT 1 AS x")
    assert cells.names["found"] == Rows(("x",), [(1,)])


def test_another_log_is_named_by_its_folder(cells, tmp_path):
    """A path with blanks goes in quotes; where nothing is, it is not made."""
    ak.open_log(tmp_path / "a b" / ".agentkit").close()
    cells('%%log --log "a b/.agentkit" -o found\nSELECT count(*) AS n FROM runs')
    assert cells.names["found"]["n"][0] == 0
    with pytest.raises(ak.QueryError, match="no such folder, and no variable"):
        cells("%%log --log nowhere\nSELECT 1")
    assert not (tmp_path / "nowhere").exists()


def test_to_look_makes_no_log(cells, tmp_path):
    """Before the first run there is nothing to ask, which is said."""
    with pytest.raises(ak.QueryError, match="no log in this folder or above yet"):
        cells("%log SELECT 1")
    assert not (tmp_path / ".agentkit").exists()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("%%log --log shop\nSELECT nme FROM runs", "did you mean name"),
        ("%%log --log shop\nFROM rnus", "did you mean runs"),
        ("%%log --log shop\nSELECT * FROM runs WHERE run_id = $rnu", r"did you mean \$run"),
        ("%%log --log shop\nSELECT $shop", r"\$shop is a Log: a parameter is a text"),
        ("%%log --log shop\nDELETE FROM runs", "append-only"),
        ("%%log --log shop\nSELECT * FORM runs", "syntax error"),
        ("%%log --log shop\nCOPY runs TO 'x.csv'", "COPY is not one of them"),
        ("%%log --log shop\n\n  \n", "no SQL below"),
        ("%%log --lgo shop\nSELECT 1", "no option --lgo"),
        ("%%log -o a-b\nSELECT 1", "no variable's name"),
        ("%%log --frame spark\nSELECT 1", "pandas, polars, rows"),
    ],
)
def test_what_is_wrong_is_said_in_a_few_words(cells, text, says):
    """With the guess, and without a traceback of agentkit's."""
    with pytest.raises(ak.QueryError, match=says) as raised:
        cells(text)
    shown = "\n".join(raised.value._render_traceback_())
    assert shown.startswith("QueryError: ")
    assert "Traceback" not in shown
    assert len(shown.splitlines()) <= 6


def test_an_error_is_inert(cells):
    """A terminal escape in the statement does nothing when the error repeats it."""
    with pytest.raises(ak.QueryError) as raised:
        cells('%%log --log shop\nSELECT "\x1b[31m" FROM runs')
    assert "\x1b" not in "".join(raised.value._render_traceback_())


def test_alone_it_lists_the_views(cells):
    """Every view with its columns, and what its rows are; as text and as HTML."""
    [text] = cells("%log")
    html = cells.html("%log")
    for view, columns in COLUMNS.items():
        assert view in text
        assert f"<b>{view}</b>" in html
        assert all(column in text and column in html for column in columns)


def test_a_view_is_explained(cells):
    """`%log runs`: what each of its columns is, in full."""
    [text] = cells("%log runs")
    assert COLUMNS["runs"]["status"] in text


def test_hostile_results_stay_text(cells):
    """What a model wrote is no HTML in the document, and no script in the page's data."""
    sql = f"SELECT arguments, '{HOSTILE}' AS \"{HOSTILE}\" FROM steps WHERE kind = 'tool' ORDER BY step"
    html = cells.html(f"%%log --log shop --frame rows -o found\n{sql}")
    assert "<script" not in html
    assert "<img" not in html
    assert "\x1b" not in json.dumps(table.page(cells.names["found"]), ensure_ascii=False)


def test_the_document_holds_the_first_page_and_says_so():
    """Without a kernel a reader sees the first rows, and that there are more."""
    html = table.bundle(Rows(("n",), [(n,) for n in range(500)]))["text/html"]
    assert html.count("<tr>") == table.FIRST + 1
    assert "500 rows, the first 20 shown" in html
    assert "<script" not in html


def test_the_document_is_not_laid_out_as_a_trace():
    """The style sheet of live traces, which is in the same page, says nothing of a plain table's class."""
    html = table.bundle(Rows(("n",), [(1,)]))["text/html"]
    [name] = re.findall(r'<table class="([^"]+)"', html)
    style = (Path(table.__file__).parent / "page" / "trace.css").read_text()
    assert f".{name}" not in style


def test_the_page_gets_what_it_sorts_by():
    """Numbers sort as numbers, whatever they look like; a missing one is none."""
    page = table.page(Rows(("n", "t", "none"), [(10, "b", None), (None, None, None), (9.5, "a", None)]))
    assert page["keys"] == [[10.0, None, 9.5], None, None]
    assert page["cells"] == [["10", "b", None], [None, None, None], ["9.5", "a", None]]


def test_numbers_that_json_does_not_know_do_not_break_the_page():
    """NaN has no place, infinity is at an end, a huge integer keeps its digits."""
    page = table.page(Rows(("n",), [(float("nan"),), (float("inf"),), (2**80,)]))
    assert json.loads(json.dumps(page, allow_nan=False))["keys"][0][0] is None
    assert page["cells"][2] == [str(2**80)]


def test_a_page_is_bounded():
    """However large a result is, a browser gets what it can hold, and is told how much there is."""
    many = table.page(Rows(("n",), [(n,) for n in range(50_000)]))
    wide = table.page(Rows(("t",), [("x" * 10_000,)] * 20_000))
    assert len(many["cells"]) == table.MOST
    assert many["total"] == 50_000
    assert len(json.dumps(wide)) < 5_000_000


@pytest.mark.parametrize(
    ("text", "rest", "first"),
    [
        ("%%log\nSELECT * FROM ru", "", "runs"),
        ("%%log\nSELECT * FROM runs r JOIN st", "", "steps"),
        ("%%log\nFROM steps, ru", "", "runs"),
        ("%%log\nSELECT dur", "\nFROM tool_calls", "duration_ms"),
        ("%%log\nSELECT verd", " FROM approvals", "verdict"),
        ("%%log\nSELECT s.ki", " FROM steps AS s", "kind"),
        ("%%log --log x\nSELECT count(*) FROM runs WHERE st", "", "status"),
        ("%%log\nWITH slow AS (SELECT 1) SELECT * FROM sl", "", "slow"),
        ("%%log\nsel", "", "SELECT"),
        ("%%log -", "", "-o"),
        ("%log ru", "", "runs"),
    ],
)
def test_tab_offers_what_fits_the_place(cells, text, rest, first):
    """Views after FROM, the columns of the views that are read, wherever FROM stands."""
    assert cells.offers(text, rest)[0] == first


def test_tab_offers_the_columns_of_an_alias_alone(cells):
    """After `s.` stand the columns of what s is, all of them and nothing else."""
    assert cells.offers("%%log\nSELECT s.", " FROM steps s") == list(COLUMNS["steps"])


def test_tab_offers_variables_after_a_dollar(cells):
    """Those of the notebook."""
    cells.names["threshold"] = 5
    assert cells.offers("%%log\nFROM runs WHERE cost_usd > $thr") == ["$threshold"]


@pytest.mark.parametrize("text", ["%%log\nSELECT 'ru", "%%log\nSELECT 1 -- ru"])
def test_tab_offers_nothing_in_a_text(cells, text):
    """What stands in quotes or in a comment is no name."""
    assert "runs" not in cells.offers(text)


def test_other_cells_are_completed_as_before(cells):
    """Python stays Python; and nothing is left when the extension is unloaded."""
    assert "shop" in cells.offers("sho")
    assert "runs" not in cells.offers("ru")
    cells("%unload_ext agentkit")
    assert "runs" not in cells.offers("%%log\nSELECT * FROM ru")
    cells("%load_ext agentkit")
