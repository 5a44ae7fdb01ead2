"""Comments on a run and on its steps: given by anybody at any time, seen by all, and acted on by nobody."""

import asyncio
import dataclasses
import re
import threading
import time

import pytest
from actors import Actor
from small_agents import SOON, bodies, lookup, paused

import agentkit as ak
from agentkit.errors import ConfigError, RunClaimed
from agentkit.events import Commented, RunResumed
from agentkit.export.recorded import gather
from agentkit.redact import Redactor
from agentkit.runner import comments
from agentkit.runner.run import Run
from agentkit.testing import FunctionModel, ScriptedModel, call

pytestmark = pytest.mark.filterwarnings("ignore::agentkit.tools.linting.AgentKitWarning")  # small tools will do here


def asker(*turns):
    """Looks something up, asks a person, and ends."""
    model = ScriptedModel([call("lookup", what="x"), call("ask_person", question="?"), *turns, "ok"])
    return ak.Agent("asks", model, tools=[lookup, ak.ask_person])


@pytest.fixture
def waiting(log):
    """A run that waits for a person."""
    run = asker().run("hi", log=log)
    paused(run)
    return run


@pytest.fixture
def ended(waiting):
    """A run that has ended."""
    waiting.answer(None, "yes")
    assert waiting.result(SOON) == "ok"
    return waiting


@pytest.fixture
def slow():
    """An agent whose tool takes as long as the test wants; what says that it runs, and what lets it end."""
    there, go = threading.Event(), threading.Event()

    @ak.tool
    def wait(what: str) -> str:
        """Wait until somebody lets it go on. Returns what it was given."""
        there.set()
        go.wait(SOON)
        return what

    yield ak.Agent("waits", ScriptedModel([call("wait", what="x"), "ok"]), tools=[wait]), there, go
    go.set()


def said(run):
    """What people said, as it is recorded."""
    return [(event.step, event.body.who, event.body.text) for event in run.events() if event.type == "commented"]


# when ----------------------------------------------------------------------------------------------------------------


def test_a_running_runs_step_is_commented_while_it_is_in_flight(embedded_log, slow):
    """All see it at once, by SQL too; the run goes on as if nothing was, and its prompts are what they were."""
    agent, there, go = slow
    run = agent.run("hi", log=embedded_log)
    there.wait(SOON)
    run.comment("this search term was wrong", "tool/wait/1", by="ada")
    assert said(run) == [("tool/wait/1", "ada", "this search term was wrong")]
    assert list(embedded_log.sql("SELECT step, who, text FROM comments")) == said(run)
    go.set()
    assert run.result(SOON) == "ok"
    assert all(run.prompt(step).exact for step in run.state.models)
    assert [event.type for event in run.events()].count("commented") == 1


def test_a_paused_run_stays_as_it_is(waiting):
    """It is not taken up for words, and its question is answered as before."""
    before = waiting.state
    waiting.comment("asked the supplier, ok")
    assert said(waiting) == [(None, comments.current_user(), "asked the supplier, ok")]
    assert dataclasses.replace(waiting.state, comments=[], seq=before.seq) == before
    assert waiting.store.holder(waiting.run_id).activity == "watching"
    waiting.answer(None, "yes")
    assert waiting.result(SOON) == "ok"
    assert len(bodies(waiting, RunResumed)) == 1


def test_an_ended_run_is_commented_however_it_ended(ended, log):
    """It has ended as before; a handle that saw the end sees what another one says."""
    ended.comment("good work")
    log.run(ended.run_id).comment("I agree", "model/2", by="bob")
    assert [(one.step, one.text) for one in ended.comments] == [(None, "good work"), ("model/2", "I agree")]
    assert ended.status == "succeeded"
    assert "comment by bob" in str(ended.trace)


def test_an_async_tool_comments_on_the_run_that_called_it(log):
    """It holds up nobody's loop."""

    @ak.tool
    async def think(what: str, ctx: ak.Context) -> str:
        """Think about something, and leave a word on it. Returns it."""
        log.run(ctx.run_id).comment("thinking", by="think")
        return what

    run = ak.Agent("thinks", ScriptedModel([call("think", what="x"), "ok"]), tools=[think]).run("hi", log=log)
    assert run.result(SOON) == "ok"
    assert [one.text for one in run.comments] == ["thinking"]


def test_of_an_ended_run_as_well(ended):
    """Where nobody holds the run, it is recorded although the loop's thread must not wait."""

    async def comment():
        ended.comment("from the loop")

    comments.engine().spawn(comment())
    end = time.monotonic() + SOON
    while not said(ended):
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_child_run_that_waits_is_commented_and_its_caller_knows_nothing(log):
    """The child's events have it; both go on as before."""
    inner = ak.Agent("inner", ScriptedModel([call("ask_person", question="?"), "found"]), "Ask.", tools=[ak.ask_person])
    run = ak.Agent("outer", ScriptedModel([call("inner", task="go"), "ok"]), tools=[inner]).run("hi", log=log)
    paused(run)
    (child,) = run.children()
    child.comment("who knows?", "tool/ask_person/1", by="ada")
    assert said(child) == [("tool/ask_person/1", "ada", "who knows?")]
    assert said(run) == []
    assert "comment by ada" in str(run.trace)
    run.answer(None, "yes")
    assert run.result(SOON) == "ok"


# by whom -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def other(embedded_log):
    """Another process that has the log open."""
    with Actor(embedded_log.url) as actor:
        yield actor


def comment_there(actor, run, text, step=None):
    """Comment from another process."""
    code = "from agentkit.runner.run import Run\nRun(store, run_id).comment(text, step, by='eve')"
    actor(code, run_id=run.run_id, text=text, step=step)


def test_another_process_comments_whatever_the_run_does(embedded_log, other, slow):
    """Who executes it writes it down, then who watches it, and at last who comments; each once."""
    agent, there, go = slow
    run = agent.run("hi", log=embedded_log)
    there.wait(SOON)
    comment_there(other, run, "while it runs", "tool/wait/1")
    assert said(run) == [("tool/wait/1", "eve", "while it runs")]
    run.pause()
    go.set()
    paused(run)
    comment_there(other, run, "while it waits")
    assert said(run)[1:] == [(None, "eve", "while it waits")]
    assert run.resume().result(SOON) == "ok"
    comment_there(other, run, "at the end", "model/2")
    assert [one.text for one in run.comments] == ["while it runs", "while it waits", "at the end"]
    assert len(said(run)) == 3


def test_what_a_process_did_not_come_to_the_next_one_records(embedded_log, other, waiting_there, monkeypatch):
    """It is in the inbox, where all read it; the one whose process stopped loses none, and none comes twice."""
    monkeypatch.setattr(comments, "_SOON", 0.05)
    run = embedded_log.run(waiting_there)
    other.stop()
    run.comment("first")
    assert (said(run), [one.text for one in run.comments]) == ([], ["first"])
    other.kill()
    run.comment("second")
    assert [text for _, _, text in said(run)] == ["first", "second"]
    assert [one.text for one in run.comments] == ["first", "second"]


@pytest.fixture
def waiting_there(other):
    """A run that another process executes."""
    run_id = "019aa1b2-3c4d-7000-8000-000000000001"
    other(
        "from agentkit.events import RunStarted\n"
        "claim(run_id, True)\n"
        "store.append(claims[run_id], [event(run_id, 1, RunStarted(kind='agent', definition_sha256='0'), name='a')])",
        run_id=run_id,
    )
    other("append(run_id)", run_id=run_id)
    return run_id


@pytest.mark.parametrize("what", ["grade", "comment"])
def test_a_comment_whose_process_died_is_recorded_with_the_next_word(ended, what, monkeypatch):
    """It died after the words were kept, and before they were recorded: nobody held the run."""

    def die(*_args):
        raise MemoryError

    with monkeypatch.context() as dying, pytest.raises(MemoryError):
        dying.setattr(comments, "_see_to_it", die)
        ended.comment("the last words")
    assert (said(ended), len(ended.comments)) == ([], 1)
    {"grade": lambda: ended.grade("bad"), "comment": lambda: ended.comment("more")}[what]()
    assert said(ended)[0][2] == "the last words"


def test_who_had_a_run_before_does_not_take_it_from_who_watches_it_now(embedded_log, other, monkeypatch):
    """Its comments are for the one who has it."""
    monkeypatch.setattr(comments, "_SOON", 0.05)
    run = asker().run("hi", log=embedded_log)
    paused(run)
    other("claim(run_id)", run_id=run.run_id)
    other("store.release(claims[run_id], watch=True)", run_id=run.run_id)
    run.comment("for the other one")
    time.sleep(0.5)  # longer than a look into the inbox
    assert run.store.holder(run.run_id).pid == other.pid
    assert [one.text for one in run.comments] == ["for the other one"]


@pytest.mark.parametrize("what", ["resume", "cancel", "answer"])
def test_who_takes_up_a_run_waits_for_a_comment_that_is_being_written(embedded_log, what):
    """A moment's claim for words refuses nobody, and loses no answer."""
    run = asker().run("hi", log=embedded_log)
    asked = paused(run)[0]
    key = asked.id
    fresh = Run(embedded_log.store, run.run_id, definition=run._definition)
    claim = embedded_log.store.claim(run.run_id, activity="noting")
    threading.Timer(0.3, lambda: embedded_log.store.release(claim)).start()
    {"resume": fresh.resume, "cancel": fresh.cancel, "answer": lambda: fresh.answer(key, "yes")}[what]()
    if what == "resume":
        run.answer(key, "yes")
    if what == "cancel":
        with pytest.raises(ak.RunCancelled):
            fresh.result(SOON)
    else:
        assert fresh.result(SOON) == "ok"


def test_who_executes_a_run_is_not_waited_for(embedded_log, slow):
    """It is said at once that the run is taken."""
    agent, there, _ = slow
    run = agent.run("hi", log=embedded_log)
    there.wait(SOON)
    with pytest.raises(RunClaimed):
        comments.record_left(embedded_log.store, run.run_id, Redactor())
    began = time.monotonic()
    with pytest.raises(RunClaimed):
        Run(embedded_log.store, run.run_id, definition=agent.definition).resume()
    assert time.monotonic() - began < 2


# what ----------------------------------------------------------------------------------------------------------------


def test_a_comment_says_when_who_and_about_what(ended):
    """On one line, with nothing in it that acts on a terminal."""
    made = ended.comment("  wrong\x1b[31m\nterm ", "tool/lookup/1", by="ada")
    assert ended.comments == [made]
    assert repr(made) == rf"{made.at:%Y-%m-%d %H:%M} UTC, ada on tool/lookup/1: wrong\x1b[31m term"
    assert repr(dataclasses.replace(made, step=None)).endswith(r"UTC, ada: wrong\x1b[31m term")
    assert made.text == "wrong\x1b[31m\nterm"
    assert made.through == "python"


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("lookup", r"no step 'lookup'; did you mean 'tool/lookup/1'[?] Its steps: model/1, "),
        ("tool/lokup/1", r"did you mean 'tool/lookup/1'"),
        ("model/33", r"did you mean 'model/3"),
        ("nothing like it", "no step 'nothing like it'. Its steps: model/1"),
        (7, "no step 7"),
    ],
)
def test_a_wrong_step_is_refused_with_a_guess(ended, step, words):
    """And nothing is recorded."""
    with pytest.raises(ConfigError, match=words):
        ended.comment("words", step)
    assert ended.comments == []


@pytest.mark.parametrize(
    ("text", "more", "words"),
    [
        ("x" * 10_001, {}, "at most 10,000 characters, and this has 10,001"),
        (" \n", {}, "a comment is empty"),
        (7, {}, "a comment is text, not 7"),
        ("x", {"by": ""}, "the name of who comments is empty"),
        ("x", {"by": "b" * 101}, "at most 100 characters"),
    ],
)
def test_what_is_no_comment_is_refused(ended, text, more, words):
    """Saying what would be one."""
    with pytest.raises(ConfigError, match=words):
        ended.comment(text, **more)
    assert ended.comments == []


def test_a_secret_does_not_reach_the_log(embedded_log):
    """Neither its events nor its inbox; what the agent names is one too."""
    key = "sk-ant-0123456789abcdefghij"
    run = ak.Agent("a", ScriptedModel(["ok"]), redact=[re.compile("EMP-[0-9]+")]).run("hi", log=embedded_log)
    run.result(SOON)
    made = run.comment(f"EMP-7 uses {key}", by="ada")
    assert made.text == "[redacted:text] uses [redacted:api-key]"
    assert key not in str([event.encode() for event in run.events()]) + str(run.store.answers(run.run_id))


def test_many_comment_at_once_and_each_is_there_once(embedded_log):
    """On a run that executes, by threads that know nothing of each other; in an order that stays."""
    go = threading.Event()

    async def think(_request):
        await asyncio.to_thread(go.wait, SOON)
        return "ok"

    run = ak.Agent("a", FunctionModel(think)).run("hi", log=embedded_log)
    threads = [threading.Thread(target=lambda n=n: run.comment(f"word {n}")) for n in range(20)]
    for thread in threads:
        thread.start()
    go.set()
    for thread in threads:
        thread.join(SOON)
    assert run.result(SOON) == "ok"
    assert sorted(text for _, _, text in said(run)) == sorted(f"word {n}" for n in range(20))
    assert run.comments == embedded_log.run(run.run_id).comments


# what it changes: nothing --------------------------------------------------------------------------------------------


def test_a_fork_does_not_begin_with_what_was_said_of_its_parent(waiting):
    """Views count a run's own events only, and so does its trace."""
    waiting.comment("of the parent", "tool/lookup/1")
    fork = waiting.fork(at=waiting.state.seq)
    paused(fork)
    assert fork.comments == []
    assert "comment" not in str(fork.trace)


def test_no_tracing_system_is_told(waiting):
    """A run that waits is exported as one that waits; a comment is none of its events there."""
    before = gather(waiting.store, waiting.run_id)
    waiting.comment("only here")
    after = gather(waiting.store, waiting.run_id)
    assert after == before
    assert after.paused


def test_a_comments_event_holds_what_was_said(ended):
    """Who, when, through what; of the step that the envelope names."""
    made = ended.comment("words", "model/1", by="ada")
    (body,) = bodies(ended, Commented)
    assert body == Commented(id=made.id, text="words", who="ada", through="python", said_at=made.at)
    assert ended.events()[-1].step == "model/1"
