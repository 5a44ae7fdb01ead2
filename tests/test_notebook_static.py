"""A run as plain HTML: complete, escaped, and of a bounded size."""

import html.parser
import re

import pytest

import agentkit as ak
from agentkit.notebook.rows import rows
from agentkit.notebook.static import static
from agentkit.testing import FunctionModel, ScriptedModel, call

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>\x1b[31m</pre><a href='javascript:alert(1)'>"


class Reader(html.parser.HTMLParser):
    """Collects the elements and their attributes, and checks that they nest."""

    def __init__(self):
        super().__init__()
        self.seen, self.open, self.text, self.links = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, {name for name, _ in attrs}))
        self.links += [value for name, value in attrs if name in {"href", "src"}]
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(page):
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    return reader


@ak.tool
def look(what: str) -> dict:
    """Look something up and return all that is known of it."""
    return {"found": what}


@ak.tool(writes=True, approve=True)
def pay(amount: float) -> dict:
    """Pay an amount to somebody and return the receipt of it."""
    return {"paid": amount}


def test_the_trace_holds_every_step_what_it_did_and_what_waits(log):
    """Model calls, tool calls with arguments and results, the question, and how to go on."""
    model = ScriptedModel([call("look", what="x", why="to know"), call("pay", amount=5.0), "done"])
    run = ak.Agent("payer", model, tools=[look, pay]).run("pay it", log=log)
    with pytest.raises(ak.RunPaused):
        run.result(timeout=10)
    text = " ".join(read(run._repr_mimebundle_()["text/html"]).text)
    for shown in ("payer", "look", "to know", '"found": "x"', "pay", "waits for a person", "ak.resume("):
        assert shown in text
    run.approve()
    run.result(timeout=10)
    text = " ".join(read(run._repr_mimebundle_()["text/html"]).text)
    assert '"verdict": "approve"' in text
    assert '"paid": 5.0' in text


def test_a_childs_steps_stand_below_the_call_that_began_it(log):
    """As deep as runs call each other."""
    inner = ak.Agent("inner", ScriptedModel([call("look", what="x"), "found"]), "Look it up.", tools=[look])
    outer = ak.Agent("outer", ScriptedModel([call("inner", task="go"), "ok"]), tools=[inner])
    run = outer.run("hi", log=log)
    run.result(timeout=10)
    children = {child.run_id: child.state for child in run.children()}
    found = {row.id: row for row in rows(run.state, children=children.get)}
    (child,) = [row for row in found.values() if row.kind == "run" and row.parent is not None]
    assert (child.name, found[child.parent].name) == ("inner", "inner")
    assert sum(row.run_id == child.run_id for row in found.values()) == 4


def test_what_anybody_wrote_stays_text(log):
    """Markup, scripts, links and terminal escapes, in every field."""

    @ak.tool(name="look")
    def hostile(what: str) -> dict:
        """Look something up and return all that is known of it."""
        if what == "raise":
            raise ValueError(HOSTILE)
        return {HOSTILE: what}

    turns = [call("look", what=HOSTILE, why=HOSTILE), call("look", what="raise", why="x"), HOSTILE]
    run = ak.Agent(HOSTILE, ScriptedModel(turns, name=HOSTILE), tools=[hostile]).run(HOSTILE, log=log, tags=[HOSTILE])
    run.result(timeout=10)
    run.grade("bad", HOSTILE)
    run.comment(HOSTILE, "tool/look/1", by=HOSTILE)
    run.comment(HOSTILE)
    page = run._repr_mimebundle_()["text/html"]
    reader = read(page)
    assert {tag for tag, _ in reader.seen} <= {"div", "details", "summary", "span", "b", "pre"}
    assert set().union(*(names for _, names in reader.seen)) <= {"class", "style", "open"}
    assert "\x1b" not in page


def test_what_people_said_is_in_the_document(log):
    """Below its row, which is open for it and says how many there are: who, when, and the words as they are."""
    run = ak.Agent("a", ScriptedModel([call("look", what="x"), "end"]), tools=[look]).run("go", log=log)
    run.result(timeout=10)
    plain = run._repr_mimebundle_()["text/html"]
    made = run.comment("wrong term:\ntry the number", "tool/look/1", by="ada")
    log.run(run.run_id).comment("fine on the whole", by="bob")
    page = run._repr_mimebundle_()["text/html"]
    text = "|".join(read(page).text)
    assert "look| |✎ 1|" in text
    assert f"ada| |{made.at:%Y-%m-%d %H:%M} UTC|wrong term:\ntry the number|" in text
    assert "bob| |" in text
    assert "fine on the whole" in text
    assert "✎" not in plain
    assert page.count("<details open>") == plain.count("<details open>") + 2  # the model call and the call below it


def test_of_very_many_comments_the_last_are_shown(log):
    """Each cut where it is long, so that the document stays small."""
    run = ak.Agent("a", ScriptedModel(["end"])).run("go", log=log)
    run.result(timeout=10)
    for number in range(40):
        run.comment(f"{number}:" + "long words " * 800, "model/1")
    page = run._repr_mimebundle_()["text/html"]
    assert "10 earlier comments are left out here" in page
    assert "39:long" in page
    assert "<div>9:long" not in page
    assert len(page) < 200_000


def test_where_else_a_run_is_shown_is_linked_by_http_only(log):
    """Whatever an exporter calls it."""
    run = ak.Agent("a", ScriptedModel(["end"])).run("go", log=log)
    run.result(timeout=10)
    links = [("<b>There", "https://example.org/?a='b'&c"), ("Script", "javascript:alert(1)")]
    reader = read(static(run.state, links=links))
    assert reader.links == ["https://example.org/?a='b'&c"]


def test_a_pipelines_run_is_shown_with_its_items_and_asks(log):
    """Steps in their order, items below their step, what was skipped and why."""
    pipeline = ak.Pipeline("p", input={"words": list[str]}, model=FunctionModel(lambda _request: "7"))

    @pipeline.step(each="words")
    def count(word: str, ctx: ak.Context) -> int:
        return ctx.ask(word, output=int)

    @pipeline.step(when=lambda count: sum(count) > 100)
    def many(count: list[int]) -> int:
        return sum(count)

    run = pipeline.run(words=["a", "b"], log=log)
    run.result(timeout=10)
    shown = [(row.kind, row.step, row.status) for row in rows(run.state)]
    assert shown[:3] == [("run", "", "ok"), ("step", "count", "ok"), ("step", "count[0]", "ok")]
    assert ("model", "count[1]/ask/1/model/1", "ok") in shown
    assert shown[-1] == ("step", "many", "skipped")


def test_a_cancelled_run_asks_nobody(log):
    """The row of what it asked says that this was cancelled, too."""
    run = ak.Agent("a", ScriptedModel([call("ask_person", question="Which?")]), tools=[ak.ask_person]).run(
        "go", log=log
    )
    with pytest.raises(ak.RunPaused):
        run.result(timeout=10)
    assert [row.status for row in rows(run.state)] == ["paused", "ok", "asked"]
    run.cancel()
    assert [row.status for row in rows(run.state)] == ["cancelled", "ok", "cancelled"]


def test_the_size_of_a_trace_is_bounded(log):
    """50 steps are under 100 kB; of 10,000 some are left out, the failed ones not, under 1 MB, and it says so."""

    @ak.tool
    def big(what: str) -> dict:
        """Look something up and return very much of what is known."""
        return {"text": "long words " * 2000}

    turns = [call("big", what="x" * 500 + str(number)) for number in range(25)]
    run = ak.Agent("a", ScriptedModel([*turns, "end"]), tools=[big]).run("go", log=log)
    run.result(timeout=20)
    assert len(static(run.state)) < 100_000

    pipeline = ak.Pipeline("p", input={"numbers": list[int]})

    @pipeline.step(each="numbers", on_error="collect", concurrency=32)
    def work(number: int) -> dict:
        if number == 5000:
            raise ValueError("the bad one")
        return {"number": number, "words": "some words " * 20}

    run = pipeline.run(numbers=list(range(10_000)), log=log)
    run.result(timeout=120)
    run.comment("why this one?", "work[7777]")
    page = static(run.state)
    assert len(page) < 1_000_000
    assert "the bad one" in page
    assert "why this one?" in page
    assert re.search(r"[\d,]+ steps are left out here", page)
