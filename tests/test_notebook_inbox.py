"""The inbox: everything that waits for a person, over all runs of a log, answered where it stands."""

import html
import time

import pytest

import agentkit as ak
from agentkit.notebook import inbox as inboxes
from agentkit.notebook.live_inbox import LiveInbox
from agentkit.testing import ScriptedModel, call


@ak.tool(writes=True, approve=True)
def pay(amount: float) -> dict:
    """Pay an amount to somebody and return the receipt of it."""
    return {"paid": amount}


def waits(log, name="payer", amount=5.0):
    agent = ak.Agent(name, ScriptedModel([call("pay", amount=amount), "done"]), tools=[pay])
    run = agent.run("go", log=log)
    with pytest.raises(ak.RunPaused):
        run.result(timeout=10)
    return run


@pytest.fixture
def live(log, monkeypatch):
    """Opens a live inbox; what it tells its browser is in `told`."""
    monkeypatch.setattr(inboxes, "_LOOK", 0.02)
    told = []
    monkeypatch.setattr(LiveInbox, "send", lambda _self, message, buffers=None: told.append(message))
    inbox = LiveInbox(ak.pending(log), "here")
    inbox.told = told
    yield inbox
    inbox.close()


def until(holds):
    end = time.monotonic() + 60  # a look that took a second, as the first may, is followed by the next after twenty
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_it_lists_what_waits_oldest_first_at_each_look_anew(log):
    """As approvals, and as text that says how to answer; and that nothing waits."""
    inbox = ak.pending(log)
    assert repr(inbox) == "nothing waits for a person"
    runs = [waits(log, amount=1.0), waits(log, amount=2.0)]
    assert [asked.run_id for asked in inbox] == [run.run_id for run in runs]
    assert len(inbox) == 2
    assert "approve(id)" in repr(inbox)
    runs[0].reject()
    assert [asked.run_id for asked in inbox] == [runs[1].run_id]
    runs[1].cancel()


def test_the_cards_of_a_fan_out_are_made_of_one_reading_of_their_run(log, monkeypatch):
    """However many of its items ask, each with its own arguments."""
    pipeline = ak.Pipeline("many", input={"amounts": list[float]})

    @pipeline.step(each="amounts", concurrency=20)
    def item(amount: float, ctx: ak.Context) -> dict:
        return ctx.call(pay, amount=amount)

    run = pipeline.run(amounts=[float(at) for at in range(20)], log=log)
    with pytest.raises(ak.RunPaused):
        run.result(timeout=10)
    read, found = [], log.run
    monkeypatch.setattr(log, "run", lambda run_id: read.append(run_id) or found(run_id))
    cards = ak.pending(log).cards()
    assert sorted(card["arguments"]["amount"] for card in cards) == list(range(20))
    assert read == [run.run_id]
    run.cancel()


def test_what_anybody_wrote_stays_text(log):
    """In the list that a notebook keeps."""
    hostile = "<script>alert(1)</script>\x1b[31m"
    agent = ak.Agent("asker", ScriptedModel([call("ask_person", question=hostile), "done"]), tools=[ak.ask_person])
    run = agent.run("go", log=log)
    with pytest.raises(ak.RunPaused):
        run.result(timeout=10)
    shown = ak.pending(log)._repr_mimebundle_()["text/html"]
    assert "<script" not in shown
    assert "\x1b" not in html.unescape(shown)
    run.cancel()


def test_a_live_inbox_is_told_what_begins_to_wait_and_an_answer_there_goes_on_with_the_run(log, live):
    """Whoever's run it is; what is answered is gone from it."""
    run = waits(log)
    until(lambda: live.told and live.told[-1]["cards"])  # the first look may come before the run waits
    (shown,) = live.told[-1]["cards"]
    assert (shown["run"], shown["run_id"], shown["arguments"]) == ("payer", run.run_id, {"amount": 5.0})
    live._take(live, {"kind": "answer", "id": shown["id"], "verdict": "approve"}, [])
    until(lambda: any(message["kind"] == "told" for message in live.told))
    assert run.result(timeout=10) == "done"
    assert run.store.answers(run.run_id)[shown["id"]].through == "notebook"
    until(lambda: any(message.get("cards") == [] for message in live.told))


def test_where_the_definition_is_not_here_it_says_what_to_run(embedded_log, monkeypatch):
    """The answer is given all the same: it is in the log."""
    from agentkit.runner.watch import watch

    run = waits(embedded_log, name="elsewhere")
    monkeypatch.setattr(watch, "tell", lambda _run_id, _answers: False)
    monkeypatch.setattr(ak.Run, "resume", refuse)
    monkeypatch.setattr(embedded_log.store, "holder", lambda _run_id: None)
    inbox = LiveInbox(ak.pending(embedded_log), "here")
    told = inbox._give({"id": run.pending[0].id, "verdict": "reject"})
    assert not told.get("bad")
    assert "ak.resume(" in told["text"]
    inbox.close()


def refuse(run, **_options):
    raise ak.ResumeError(f"there is no agent here; define it, then ak.resume({run.run_id!r})")


def test_a_question_that_waits_no_more_says_so(log, live):
    """A late click is told, and does nothing."""
    told = live._give({"id": "nobody", "verdict": "approve"})
    assert told["bad"]
    assert "does not wait any more" in told["text"]
