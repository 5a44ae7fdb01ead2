"""What a live trace is told: each thing once, in order, of whatever process, and no more than what is new."""

import asyncio
import gc
import json
import subprocess
import sys
import threading
import time
import weakref

import agentkit as ak
from agentkit.notebook import feed
from agentkit.notebook.feed import Feed
from agentkit.testing import FunctionModel, ScriptedModel, call


@ak.tool
def look(what: str) -> dict:
    """Look something up and return all that is known of it."""
    return {"found": what}


@ak.tool(writes=True, approve=True)
def pay(amount: float) -> dict:
    """Pay an amount to somebody and return the receipt of it."""
    return {"paid": amount}


class Page:
    """What a browser knows: it holds rows by id, and checks the numbers of what it is told."""

    def __init__(self, run):
        self.messages, self.over = [], threading.Event()
        self.feed = Feed(run, self.take, self.over.set)
        self.reset()
        self.feed.start()

    def reset(self):
        first = self.feed.snapshot()
        self.number, self.cards, self.text = first["n"], first["cards"], {}
        self.comments = dict(first["comments"])
        self.rows = {row["id"]: row for row in first["rows"]}

    def take(self, message):
        assert message["n"] == self.number + 1
        self.number = message["n"]
        self.messages.append(message)
        for row in message["rows"]:
            assert row["parent"] is None or row["parent"] in self.rows
            self.rows[row["id"]] = row
        for row, piece in message["text"].items():
            self.text[row] = self.text.get(row, "") + piece
        self.cards = message.get("cards", self.cards)
        self.comments |= message.get("comments", {})

    def until(self, holds, seconds=20):
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, f"{self.rows}"
            time.sleep(0.02)

    def said(self):
        """What people said, by row."""
        return {row: [(one["who"], one["text"]) for one in ones] for row, ones in self.comments.items()}

    @property
    def size(self):
        return sum(len(json.dumps(message)) for message in self.messages)


def payer(*turns):
    return ak.Agent("payer", ScriptedModel([*turns, "done"]), tools=[look, pay])


def rows_of(run):
    """The rows that a trace which opens now begins with."""
    feed = Feed(run, lambda _message: None)
    rows = {row["id"]: row for row in feed.snapshot()["rows"]}
    feed.close()
    return rows


def test_what_was_told_is_what_a_trace_that_opens_later_shows(log):
    """Rows by deltas are the rows of the whole, at the pause and at the end."""
    run = payer(call("look", what="x"), call("pay", amount=5.0)).run("go", log=log)
    page = Page(run)
    page.until(lambda: page.cards)
    assert page.rows == rows_of(run)
    run.approve()
    assert page.over.wait(20)
    assert page.cards == []
    assert page.rows == rows_of(run)


def test_streamed_text_is_told_in_pieces_by_its_step(log):
    """Under the row that is written at this moment."""
    go = threading.Event()

    async def slow(_request):
        while not go.is_set():
            await asyncio.sleep(0.01)
        return "some words"

    run = ak.Agent("a", FunctionModel(slow)).run("go", log=log)
    page = Page(run)
    go.set()
    assert page.over.wait(20)
    assert page.text == {f"{run.run_id}/model/1": "some words"}


def test_a_trace_that_missed_something_is_whole_again(log):
    """A snapshot holds everything, and its number goes before the next message's."""
    run = payer(call("pay", amount=5.0)).run("go", log=log)
    page = Page(run)
    page.until(lambda: page.cards)
    page.rows, page.number = {}, None
    page.reset()
    run.approve()
    assert page.over.wait(20)
    assert page.rows == rows_of(run)


def test_child_runs_appear_below_their_call(log):
    """With their own steps, and their questions among the cards."""
    inner = ak.Agent("inner", ScriptedModel([call("pay", amount=1.0), "paid"]), "Pay it.", tools=[pay])
    run = ak.Agent("outer", ScriptedModel([call("inner", task="go"), "ok"]), tools=[inner]).run("hi", log=log)
    page = Page(run)
    page.until(lambda: page.cards)
    (child,) = run.children()
    assert page.rows[child.run_id]["parent"] == f"{run.run_id}/tool/inner/1"
    assert page.cards[0]["run_id"] == child.run_id
    run.approve()
    assert page.over.wait(20)
    assert page.rows == rows_of(run)


def test_a_run_of_another_handle_is_followed_through_the_log(log):
    """As one of another process is: nothing is told by who executes it."""
    run = payer(call("pay", amount=5.0)).run("go", log=log)
    page = Page(log.run(run.run_id))
    page.until(lambda: page.cards)
    run.approve()
    assert page.over.wait(20)
    assert page.rows == rows_of(run)


def test_an_answer_of_another_view_takes_the_card_away(log):
    """Before the run has taken it up."""
    run = payer(call("pay", amount=5.0)).run("go", log=log)
    pages = [Page(run), Page(run)]
    for page in pages:
        page.until(lambda page=page: page.cards)
    run.reject(reason="no")
    for page in pages:
        assert page.over.wait(20)
        assert page.cards == []


def test_a_card_has_what_a_person_needs(log):
    """The arguments with their schema, the reason, and where it is asked."""
    run = payer(call("pay", amount=5.0, why="it is due")).run("go", log=log)
    page = Page(run)
    page.until(lambda: page.cards)
    (card,) = page.cards
    assert (card["name"], card["arguments"], card["why"]) == ("pay", {"amount": 5.0}, "it is due")
    assert card["schema"]["amount"]["type"] == "number"
    assert card["step"] == "tool/pay/1"
    run.cancel()


def test_a_run_that_ended_before_is_told_to_have_ended(log):
    """Its snapshot is the whole, and the end is said."""
    run = payer().run("go", log=log)
    run.result(timeout=10)
    page = Page(run)
    assert page.over.wait(5)
    assert page.rows == rows_of(run)


def test_what_is_told_grows_with_what_is_new(log):
    """Of 10,000 items: a few messages of a bounded size for each, and a snapshot that is of the rows' own size."""
    pipeline = ak.Pipeline("p", input={"numbers": list[int]})

    @pipeline.step(each="numbers", concurrency=64)
    def work(number: int) -> int:
        return number

    sizes = {}
    for count in (1_000, 10_000):
        run = pipeline.run(numbers=list(range(count)), log=log)
        page = Page(run)
        assert page.over.wait(150)
        sizes[count] = page.size
        assert len(page.rows) == count + 2
        snapshot = len(json.dumps(page.feed.snapshot()))
        assert snapshot < 400 * count
        assert page.size < 1000 * count
    assert sizes[10_000] < 20 * sizes[1_000]


def test_a_closed_trace_leaves_nothing_behind(log):
    """Neither in the run, nor a thread that serves it."""
    run = payer(call("pay", amount=5.0)).run("go", log=log)
    page = Page(run)
    page.until(lambda: page.cards)
    kept = weakref.ref(page.feed)
    assert run._driver.audience.followers()
    page.feed.close()
    assert not run._driver.audience.followers()
    page.feed = None
    page.until(lambda: gc.collect() >= 0 and kept() is None)
    page.until(lambda: "agentkit-trace" not in {thread.name for thread in threading.enumerate()})
    run.cancel()


def test_a_trace_of_trouble_does_not_stop_the_others(log):
    """Nor does it print."""
    run = payer(call("pay", amount=5.0)).run("go", log=log)

    def broken(_message):
        raise OSError("the browser is gone")

    feed = Feed(run, broken)
    feed.start()
    page = Page(run)
    page.until(lambda: page.cards)
    run.approve()
    page.until(page.over.is_set)
    feed.close()


DIES = """
import sys, time
import agentkit as ak
from agentkit.testing import ScriptedModel, call

@ak.tool
def wait() -> str:
    "Wait a long time. Returns a word."
    print(run.run_id, flush=True)
    time.sleep(60)
    return "over"

run = ak.Agent("a", ScriptedModel([call("wait")]), tools=[wait]).run("go", log=ak.open_log(sys.argv[1]))
run.result()
"""


def test_an_interrupted_run_is_said_to_be(embedded_log):
    """A process that died wrote no event of it: its trace says so as soon as nobody holds the run."""
    command = [sys.executable, "-W", "ignore", "-c", DIES, embedded_log.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        run_id = process.stdout.readline().strip()
        page = Page(embedded_log.run(run_id))
        page.until(lambda: f"{run_id}/tool/wait/1" in page.rows)
        assert page.rows[run_id]["status"] == "running"
        process.kill()
    page.until(lambda: page.rows[run_id]["status"] == "interrupted")
    page.feed.close()


def test_a_very_long_runs_first_rows_are_there_before_the_rest_is_read(log, monkeypatch):
    """The beginning travels with the trace; the rest comes in parts, in order, each row once; then it is loaded."""
    monkeypatch.setattr(feed, "_FIRST", 10)
    monkeypatch.setattr(feed, "_PART", 16)
    run = ak.Agent("long", ScriptedModel([*(call("look", what=str(i)) for i in range(30)), "done"]), tools=[look]).run(
        "go", log=log
    )
    run.result(timeout=20)
    page = Page(log.run(run.run_id))  # as a process has it that did not execute it
    assert 1 < len(page.rows) < 10
    assert not page.feed.loaded.is_set()
    assert page.over.wait(20)
    assert len(page.rows) == 62
    assert all(len(message["rows"]) < 20 for message in page.messages)
    assert [message["loading"] for message in page.messages][-1:] == [False]
    assert page.rows[run.run_id]["status"] == "ok"


def test_rows_that_do_not_travel_with_the_trace_follow_it(log, monkeypatch):
    """Of a run that this process executed: nothing is read again."""
    monkeypatch.setattr(feed, "_PART", 16)
    run = ak.Agent("long", ScriptedModel([*(call("look", what=str(i)) for i in range(30)), "done"]), tools=[look]).run(
        "go", log=log
    )
    run.result(timeout=20)
    told = []
    one = Feed(run, told.append)
    first = one.snapshot(most=5)
    assert (len(first["rows"]), first["loading"]) == (5, True)
    while not one.is_over:
        one.tick()
    assert [len(message["rows"]) for message in told] == [16, 16, 16, 9]


def test_who_answered_is_told_to_every_trace(log):
    """Who, what, through what: also where another process or a second view answered."""
    run = ak.Agent("payer", ScriptedModel([call("pay", amount=5.0), "done"]), tools=[pay]).run("go", log=log)
    page = Page(run)
    page.until(lambda: page.cards)
    assert page.cards[0]["origins"] == {"amount": "the model's own"}
    log.run(run.run_id).by("elsewhere").reject(reason="no")
    page.until(lambda: not page.cards)
    (told,) = [text for message in page.messages for text in message.get("answered", ())]
    assert told.startswith("pay: reject by ")
    assert "through elsewhere" in told
    run.result(timeout=10)


def test_a_comment_is_told_to_every_trace_once(log):
    """Under its step's row; of a row only, whose comments are new; a trace that opens later has all."""
    run = payer(call("look", what="x"), call("pay", amount=5.0)).run("go", log=log)
    pages = [Page(run), Page(log.run(run.run_id))]
    row = f"{run.run_id}/tool/look/1"
    for page in pages:
        page.until(lambda page=page: page.cards)
    run.comment("wrong term", "tool/look/1", by="ada")
    log.run(run.run_id).comment("on the whole", by="bob")
    wanted = {row: [("ada", "wrong term")], run.run_id: [("bob", "on the whole")]}
    for page in pages:
        page.until(lambda page=page: page.said() == wanted)
        page.reset()
        assert page.said() == wanted
    told = len(pages[0].messages)
    run.comment("I agree", "tool/look/1", by="eve")
    for page in pages:
        page.until(lambda page=page: len(page.comments[row]) == 2)
    (news,) = [message["comments"] for message in pages[0].messages[told:] if "comments" in message]
    assert list(news) == [row]
    run.reject(reason="no")
    run.result(timeout=10)


def test_what_is_said_of_a_childs_step_stands_below_it(log):
    """And of a step that has no row, below the run."""
    inner = ak.Agent("inner", ScriptedModel([call("pay", amount=1.0), "paid"]), "Pay it.", tools=[pay])
    run = ak.Agent("outer", ScriptedModel([call("inner", task="go"), "ok"]), tools=[inner]).run("hi", log=log)
    page = Page(run)
    page.until(lambda: page.cards)
    (child,) = run.children()
    child.comment("too much?", "tool/pay/1", by="ada")
    page.until(lambda: page.said() == {f"{child.run_id}/tool/pay/1": [("ada", "too much?")]})
    run.cancel()


def test_after_the_end_a_trace_tells_what_others_say_when_somebody_looks(log):
    """Nobody follows the run any more; who looks is told what is new, once."""
    run = payer(call("look", what="x")).run("go", log=log)
    page = Page(run)
    assert page.over.wait(20)
    assert not page.feed.look_again()
    log.run(run.run_id).comment("wrong term", "tool/look/1", by="ada")
    assert page.feed.look_again()
    assert not page.feed.look_again()
    assert page.said() == {f"{run.run_id}/tool/look/1": [("ada", "wrong term")]}
    assert Page(run).said() == page.said()
