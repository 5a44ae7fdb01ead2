"""A run as a text tree: exact trees of runs whose events are made by hand."""

from datetime import UTC, datetime, timedelta
from textwrap import dedent
from typing import Annotated

import pytest
from pydantic import Field

import agentkit as ak
from agentkit.errors import LogCorrupt
from agentkit.events import (
    ApprovalAnswered,
    ApprovalExpired,
    ApprovalRequested,
    Checked,
    Commented,
    Decided,
    ErrorInfo,
    Event,
    Graded,
    HistoryTrimmed,
    ModelFailed,
    ModelRequested,
    ModelResponded,
    Note,
    Origin,
    RetryScheduled,
    RunCancelledEvent,
    RunFailedEvent,
    RunPausedEvent,
    RunResumed,
    RunStarted,
    RunSucceeded,
    ToolFailed,
    ToolStarted,
    ToolSucceeded,
)
from agentkit.fold import fold
from agentkit.messages import ToolCall
from agentkit.render import WIDTH, Trace, trace, tree
from agentkit.testing import ScriptedModel, call
from agentkit.text import cut

BEGAN = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)
RUN = "019aa1b2-3c4d-7000-8000-000000000001"
CHILD = "019aa1b2-3c4e-7000-8000-000000000002"
BROKEN = ErrorInfo(type="ConnectionError", message="no route to host")


class Story:
    """A run's events, one after the other, at times that the test sets."""

    def __init__(self, name="support", given="Order A-1042 arrived broken", run_id=RUN, **started):
        self.run_id, self.events, self.ms, self.turn, self.calls = run_id, [], 0.0, 0, {}
        self.add(RunStarted(kind="agent", definition_sha256="0" * 64, input=given, **started), name=name)

    def add(self, body, *, after=0.0, **columns):
        """Record something `after` so many ms."""
        self.ms += after
        ts = BEGAN + timedelta(milliseconds=self.ms)
        self.events.append(Event(run_id=self.run_id, seq=len(self.events) + 1, ts=ts, body=body, **columns))
        return self

    def ask(self, attempt=1):
        self.turn += attempt == 1
        body = ModelRequested(request_sha256="0" * 64, messages=1)
        return self.add(body, after=100, step=f"model/{self.turn}", name="gpt", attempt=attempt)

    def say(self, *calls, text=None, cost=0.001, attempt=1):
        """The model answers after 250 ms; each call is (tool, arguments, why)."""
        proposed = []
        for tool, arguments, _why in calls:
            count = self.calls[tool] = self.calls.get(tool, 0) + 1
            proposed.append(ToolCall(id=f"{tool}{count}", name=tool, arguments=arguments))
        used = {"input_tokens": 1200, "output_tokens": 30, "cost_usd": cost}
        body = ModelResponded(text=text, tool_calls=tuple(proposed))
        self.add(body, after=250, step=f"model/{self.turn}", name="gpt", attempt=attempt, **used)
        for one, (tool, _arguments, why) in zip(proposed, calls, strict=True):
            self.add(Decided(action=tool, call_id=one.id, why=why), step=self.step(one.id), name=tool)
        if not calls:
            self.add(Decided(action="answer"), step=f"model/{self.turn}")
        return self

    def fail(self, error=BROKEN, attempt=1, **body):
        columns = {"step": f"model/{self.turn}", "name": "gpt", "attempt": attempt, "cost_usd": 0.0}
        return self.add(ModelFailed(error=error, **body), after=50, **columns)

    @staticmethod
    def step(call_id):
        tool = call_id.rstrip("0123456789")
        return f"tool/{tool}/{call_id[len(tool) :]}"

    def start(self, call_id, arguments, attempt=1, child=None):
        body = ToolStarted(call_id=call_id, arguments=arguments, idempotency_key="k", child_run_id=child)
        return self.add(body, after=10, step=self.step(call_id), attempt=attempt)

    def give(self, call_id, result, **body):
        return self.add(ToolSucceeded(call_id=call_id, result=result, **body), after=40, step=self.step(call_id))

    def lose(self, call_id, error=BROKEN, **body):
        return self.add(ToolFailed(call_id=call_id, error=error, **body), after=40, step=self.step(call_id))

    def gate(self, approval_id, arguments=None, kind="call", prompt="Run refund?", call_id="refund1", **body):
        step = None if call_id is None else self.step(call_id)
        body = ApprovalRequested(kind=kind, prompt=prompt, arguments=arguments, **body)
        self.add(body, step=step, name="refund", approval_id=approval_id)
        return self

    def answer(self, approval_id, verdict, call_id="refund1", **body):
        step = None if call_id is None else self.step(call_id)
        body = ApprovalAnswered(verdict=verdict, who="ann", **body)
        return self.add(body, after=60_000, step=step, approval_id=approval_id)

    def pause(self):
        return self.add(RunPausedEvent(why="approval"), status="paused")

    @property
    def state(self):
        return fold(self.events)

    def shows(self, expected, **options):
        text = tree(self.state, **options)
        assert text == dedent(expected).strip(), f"\n{text}"


ORDER = {"order_id": "A-1042"}
REFUND = {"order_id": "A-1042", "amount": 80.0}


def looked_up():
    """A run that looked an order up and asks the model again."""
    story = Story().ask().say(("find_order", ORDER, "see what was bought"))
    return story.start("find_order1", ORDER).give("find_order1", {"status": "delivered"}).ask()


def wants_refund():
    return looked_up().say(("refund", REFUND, "it arrived broken"), text="I will refund it.")


def test_a_finished_run():
    """One line for the run, one a model call, one a tool call, and what each was about."""
    story = looked_up().say(text="It is on its way.").add(RunSucceeded(output="It is on its way."), after=5)
    story.add(Graded(verdict="good"))
    story.shows("""
    ✓ support 019aa1b2-3c4d · succeeded · 755 ms · 2,400 + 60 tokens · $0.0020 · 2 model calls
    │  input: 'Order A-1042 arrived broken'
    ├─ ✓ model/1 gpt · 250 ms · 1,200 + 30 tokens · $0.0010
    │  └─ ✓ find_order(order_id='A-1042') · 40 ms
    │        why: 'see what was bought'
    │        → {'status': 'delivered'}
    ├─ ✓ model/2 gpt · 250 ms · 1,200 + 30 tokens · $0.0010
    ├─ → 'It is on its way.'
    └─ · graded good
    """)


def test_what_people_said_stands_below_its_step():
    """Whole, on several lines where it is long; of the run at the end, with its step's name where that is not shown."""
    story = looked_up().say(text="It is on its way.").add(RunSucceeded(output="It is on its way."), after=5)
    long = "this term was wrong: the supplier lists the product's number, and not the name that we have on our shelf"
    for step, text in (
        ("tool/find_order/1", long),
        ("model/2", "ok\x1b[31m\nthen"),
        (None, "good"),
        ("model/9", "gone"),
    ):
        story.add(Commented(id=text, text=text, who="ada", said_at=datetime(2026, 1, 2, 3, 4, tzinfo=UTC)), step=step)
    story.shows(r"""
    ✓ support 019aa1b2-3c4d · succeeded · 755 ms · 2,400 + 60 tokens · $0.0020 · 2 model calls
    │  input: 'Order A-1042 arrived broken'
    ├─ ✓ model/1 gpt · 250 ms · 1,200 + 30 tokens · $0.0010
    │  └─ ✓ find_order(order_id='A-1042') · 40 ms
    │        why: 'see what was bought'
    │        → {'status': 'delivered'}
    │        comment by ada, 2026-01-02 03:04 UTC: this term was wrong: the supplier
    │          lists the product's number, and not the name that we have on our shelf
    ├─ ✓ model/2 gpt · 250 ms · 1,200 + 30 tokens · $0.0010
    │     comment by ada, 2026-01-02 03:04 UTC: ok\x1b[31m then
    ├─ → 'It is on its way.'
    ├─ · comment by ada, 2026-01-02 03:04 UTC: good
    └─ · comment on model/9 by ada, 2026-01-02 03:04 UTC: gone
    """)


def test_a_run_that_waits_for_approval_says_how_to_answer():
    """The id is as short as is unique."""
    wants_refund().gate("3f2a" + "0" * 12, REFUND, because="policy").pause().shows("""
    ? support 019aa1b2-3c4d · paused · 2,400 + 60 tokens · $0.0020 · 2 model calls
    │  input: 'Order A-1042 arrived broken'
    ├─ ✓ model/1 gpt · 250 ms · 1,200 + 30 tokens · $0.0010
    │  └─ ✓ find_order(order_id='A-1042') · 40 ms
    │        why: 'see what was bought'
    │        → {'status': 'delivered'}
    └─ ✓ model/2 gpt · 250 ms · 1,200 + 30 tokens · $0.0010
       │  text: 'I will refund it.'
       └─ ? refund(order_id='A-1042', amount=80.0) · waits for a person
             why: 'it arrived broken'
             approval 3f2a: run.approve("3f2a"), or run.reject("3f2a", reason=…)
    """)


@pytest.mark.parametrize(
    ("verdict", "more", "line"),
    [
        ("approve", {"comment": "fine"}, "approval 3f2a: approved by ann: 'fine'"),
        ("edit", {"edits": {"amount": 20.0}}, "approval 3f2a: approved by ann with {'amount': 20.0}"),
        ("reject", {"comment": "too much"}, "approval 3f2a: rejected by ann: 'too much'"),
        ("answer", {"value": "yes"}, "approval 3f2a: answered by ann: 'yes'"),
        ("happened", {}, "approval 3f2a: ann said that it happened"),
        ("did_not", {}, "approval 3f2a: ann said that it did not happen"),
        ("stop", {}, "approval 3f2a: stopped by ann"),
    ],
)
def test_an_answered_approval_says_who_and_what(verdict, more, line):
    """Every verdict has its words."""
    text = tree(wants_refund().gate("3f2a" + "0" * 12, REFUND).answer("3f2a" + "0" * 12, verdict, **more).state)
    assert line in text


def test_an_expired_approval_says_so():
    """Nobody answered."""
    story = wants_refund().gate("3f2a" + "0" * 12, REFUND)
    story.add(ApprovalExpired(reason="late"), step="tool/refund/1", approval_id="3f2a" + "0" * 12)
    assert "approval 3f2a: expired: nobody answered in time" in tree(story.state)


@pytest.mark.parametrize(
    ("kind", "ways"),
    [
        ("question", 'run.answer("3f2a", …)'),
        ("in_doubt", 'run.resolve("3f2a", "happened", result=…), or "did not", or "stop"'),
        ("budget", 'run.approve("3f2a", edit={"usd": …, "model_calls": …}), or run.reject("3f2a")'),
        ("loop", 'run.approve("3f2a"), or run.reject("3f2a")'),
    ],
)
def test_each_kind_of_question_says_how_to_answer_it(kind, ways):
    """Also where it is about the run and not about a call."""
    call_id = "refund1" if kind in {"question", "in_doubt"} else None
    story = wants_refund().gate("3f2a" + "0" * 12, REFUND, kind=kind, prompt="What now?", call_id=call_id).pause()
    text = tree(story.state)
    assert "asks: 'What now?'" in text
    assert f"approval 3f2a: {ways}" in text


def test_two_approvals_that_begin_alike_are_told_apart():
    """A shorter id would be refused."""
    story = looked_up().say(("refund", REFUND, None), ("refund", REFUND, None))
    story.gate("3f2a11" + "0" * 10, REFUND).gate("3f2a12" + "0" * 10, REFUND, call_id="refund2")
    text = tree(story.state)
    assert 'run.approve("3f2a11")' in text
    assert 'run.approve("3f2a12")' in text


def test_retries():
    """What failed, how often, and when the next attempt is due."""
    due = BEGAN + timedelta(seconds=7)
    story = Story().ask().fail(ErrorInfo(type="ModelError", message="rate limit", retryable=True))
    story.add(RetryScheduled(due=due, delay=1, error=""), step="model/1", status="waiting")
    story.ask(attempt=2).say(("find_order", ORDER, None), attempt=2)
    story.start("find_order1", ORDER).lose("find_order1", retrying=True)
    story.add(RetryScheduled(due=due, delay=1, error=""), step="tool/find_order/1", status="waiting")
    story.shows("""
    ↻ support 019aa1b2-3c4d · waiting · 1,200 + 30 tokens · $0.0010 · 2 model calls
    │  input: 'Order A-1042 arrived broken'
    └─ ✓ model/1 gpt · 400 ms · 1,200 + 30 tokens · $0.0010 · 2 attempts
       │  ✗ ModelError: rate limit
       └─ ↻ find_order(order_id='A-1042') · waiting
             ✗ ConnectionError: no route to host
             ↻ the next attempt is due at 12:00:07 UTC
    """)


def test_an_unknown_effect_and_a_failed_run():
    """A write that may have happened is said so."""
    story = wants_refund().start("refund1", REFUND).lose("refund1", effect="unknown").ask().fail()
    story.add(RunFailedEvent(error=BROKEN), after=5)
    story.shows("""
    ✗ support 019aa1b2-3c4d · failed · 955 ms · 2,400 + 60 tokens · $0.0020 · 3 model calls
    │  input: 'Order A-1042 arrived broken'
    ├─ ✓ model/1 gpt · 250 ms · 1,200 + 30 tokens · $0.0010
    │  └─ ✓ find_order(order_id='A-1042') · 40 ms
    │        why: 'see what was bought'
    │        → {'status': 'delivered'}
    ├─ ✓ model/2 gpt · 250 ms · 1,200 + 30 tokens · $0.0010
    │  │  text: 'I will refund it.'
    │  └─ ✗ refund(order_id='A-1042', amount=80.0) · 40 ms
    │        why: 'it arrived broken'
    │        ✗ ConnectionError: no route to host
    │        effect unknown: it may have happened; a person is asked before this tool runs again
    ├─ ✗ model/3 gpt · failed · 50 ms
    │     ✗ ConnectionError: no route to host
    └─ ✗ ConnectionError: no route to host
    """)


def test_an_unknown_price_is_never_zero():
    """One unknown cost makes the sum unknown."""
    story = Story().ask().say(text="Hello.", cost=None)
    story.shows("""
    ▸ support 019aa1b2-3c4d · running · 1,200 + 30 tokens · cost unknown · 1 model call
    │  input: 'Order A-1042 arrived broken'
    └─ ✓ model/1 gpt · 250 ms · 1,200 + 30 tokens · cost unknown
          text: 'Hello.'
    """)


def test_checks_notes_trims_and_a_cancelled_run():
    """What happened between the calls stands where it happened."""
    story = looked_up().say(text="42")
    story.add(
        Checked(passed=False, error=ErrorInfo(type="Refused", message="be polite")), step="model/2", name="polite"
    )
    story.add(HistoryTrimmed(keep_from=2, dropped=1, tokens_before=1000, tokens_after=400))
    story.add(Note(text="cache hit", data={"age": 3}), step="tool/find_order/1").add(Note(text="by hand"))
    story.add(RunCancelledEvent(who="ann"), after=10)
    story.shows("""
    ✗ support 019aa1b2-3c4d · cancelled · 760 ms · 2,400 + 60 tokens · $0.0020 · 2 model calls
    │  input: 'Order A-1042 arrived broken'
    ├─ ✓ model/1 gpt · 250 ms · 1,200 + 30 tokens · $0.0010
    │  └─ ✓ find_order(order_id='A-1042') · 40 ms
    │        why: 'see what was bought'
    │        note: cache hit {'age': 3}
    │        → {'status': 'delivered'}
    ├─ ✗ model/2 gpt · 250 ms · 1,200 + 30 tokens · $0.0010
    │     text: '42'
    │     refused by polite: 'be polite'
    ├─ · history trimmed from here on: the oldest messages left out (1), about 1,000 → 400 tokens
    ├─ · note: by hand
    └─ ✗ cancelled by ann
    """)


def test_what_is_going_on_takes_so_far():
    """With the time given, a live run shows how long it takes."""
    story = looked_up()
    story.shows(
        """
    ▸ support 019aa1b2-3c4d · running · 1 min 30 s so far · 1,200 + 30 tokens · $0.0010 · 2 model calls
    │  input: 'Order A-1042 arrived broken'
    ├─ ✓ model/1 gpt · 250 ms · 1,200 + 30 tokens · $0.0010
    │  └─ ✓ find_order(order_id='A-1042') · 40 ms
    │        why: 'see what was bought'
    │        → {'status': 'delivered'}
    └─ ▸ model/2 gpt · running · 1 min 30 s so far
    """,
        time=BEGAN + timedelta(seconds=90),
    )


def test_an_interrupted_run():
    """The reader's word for a run that nobody executes, and what a crash left in doubt."""
    story = wants_refund().start("refund1", REFUND).add(RunResumed())
    story.shows(
        """
    ! support 019aa1b2-3c4d · interrupted · 2,400 + 60 tokens · $0.0020 · 2 model calls
    │  input: 'Order A-1042 arrived broken'
    ├─ ✓ model/1 gpt · 250 ms · 1,200 + 30 tokens · $0.0010
    │  └─ ✓ find_order(order_id='A-1042') · 40 ms
    │        why: 'see what was bought'
    │        → {'status': 'delivered'}
    └─ ✓ model/2 gpt · 250 ms · 1,200 + 30 tokens · $0.0010
       │  text: 'I will refund it.'
       └─ ! refund(order_id='A-1042', amount=80.0) · interrupted
             why: 'it arrived broken'
    """,
        status="interrupted",
    )


def test_what_a_killed_process_had_in_hand_is_interrupted():
    """Its clock does not go on, nor that of the runs below it."""
    child = Story(name="refunds", given={"order_id": "A-1042"}, run_id=CHILD).ask()
    story = wants_refund().start("refund1", REFUND, child=CHILD)
    text = tree(
        story.state,
        children=lambda _run_id: child.state,
        status="interrupted",
        time=BEGAN + timedelta(seconds=90),
    )
    assert "! refund(order_id='A-1042', amount=80.0) · interrupted\n" in text
    assert "! refunds 019aa1b2-3c4e · interrupted · 1 model call\n" in text
    assert text.endswith("! model/1 gpt · interrupted")
    assert "▸" not in text
    assert "so far" not in text


def test_nobody_is_asked_by_what_ended():
    """Neither on the line of the call nor below it."""
    story = wants_refund().gate("3f2a" + "0" * 12, REFUND, because="policy").pause()
    text = tree(story.add(RunCancelledEvent(who="ann"), after=10).state)
    assert "· refund(order_id='A-1042', amount=80.0) · withdrawn" in text
    assert "approval 3f2a: withdrawn: nobody has to answer any more" in text
    assert "waits for a person" not in text


def test_a_sub_agents_tree_is_nested():
    """Its approvals are answered through the run that called it."""
    child = Story("researcher", "Which carrier?", CHILD, parent_step="tool/researcher/1")
    child.ask().say(("refund", REFUND, None)).gate("77aa" + "0" * 12, REFUND).pause()
    story = Story().ask().say(("researcher", {"task": "Which carrier?"}, "delegate"))
    story.start("researcher1", {"task": "Which carrier?"}, child=CHILD).pause()
    story.shows(
        """
    ? support 019aa1b2-3c4d · paused · 1,200 + 30 tokens · $0.0010 · 1 model call
    │  input: 'Order A-1042 arrived broken'
    └─ ✓ model/1 gpt · 250 ms · 1,200 + 30 tokens · $0.0010
       └─ ? researcher(task='Which carrier?') · paused
          │  why: 'delegate'
          └─ ? researcher 019aa1b2-3c4e · paused · 1,200 + 30 tokens · $0.0010 · 1 model call
             │  input: 'Which carrier?'
             └─ ✓ model/1 gpt · 250 ms · 1,200 + 30 tokens · $0.0010
                └─ ? refund(order_id='A-1042', amount=80.0) · waits for a person
                      approval 77aa: run.approve("77aa"), or run.reject("77aa", reason=…)
    """,
        children={CHILD: child.state}.get,
    )


def test_a_sub_agent_that_left_no_events():
    """A child's beginning can be lost in a crash; its caller still shows."""
    story = Story().ask().say(("researcher", {"task": "x"}, None)).start("researcher1", {"task": "x"}, child=CHILD)
    assert "· run 019aa1b2-3c4e has no events here" in tree(story.state)


def test_a_run_that_names_itself_as_its_child_is_shown_once():
    """A damaged log does not make the display endless."""
    story = Story().ask().say(("researcher", {"task": "x"}, None)).start("researcher1", {"task": "x"}, child=RUN)
    assert tree(story.state, children=lambda _run_id: story.state).count("model/1") == 1


def test_a_fork_says_where_it_comes_from():
    """And shows the steps it shares."""
    parent = looked_up()
    origin = Origin(kind="fork", run_id=RUN, seq=5)
    fork = Story(run_id=CHILD, origin=origin)
    text = tree(fold(fork.events, fold(parent.events[:5])))
    assert "forked from run 019aa1b2-3c4d at event 5" in text
    assert "find_order(order_id='A-1042')" in text


def test_of_a_very_long_run_the_middle_is_left_out():
    """The first ten and the last forty model calls are shown."""
    story = Story()
    for _ in range(200):
        story.ask().say(text="…")
    text = tree(story.state)
    assert "├─ … 150 model calls are left out here; run.events() has them" in text
    assert text.count("model/") == 50
    assert "model/10 " in text
    assert "model/161 " in text


def test_what_a_model_wrote_stays_words_and_lines_stay_short():
    """No escape sequence, no line break, no change of direction, no line over the width."""
    evil = "\x1b[31mred\r\n\u202eback" + "漢字" * 200
    story = Story(evil, evil).ask().say((evil, {evil: evil}, evil), (evil, evil, None), text=evil)
    text = tree(story.add(RunFailedEvent(error=ErrorInfo(type=evil, message=evil, context={evil: evil}))).state)
    assert not set(text) & {"\x1b", "\r", "\u202e"}
    assert all(cut(line, WIDTH) == line for line in text.split("\n"))


class Unreadable:
    """A run whose log cannot be read."""

    run_id = RUN

    def look_again(self):
        raise LogCorrupt("line 3 of the journal\nis torn")


def test_a_broken_log_shows_as_a_line():
    """A repr never raises."""
    assert repr(trace(Unreadable())) == f"✗ run {RUN} cannot be shown: LogCorrupt: line 3 of the journal is torn"


def test_a_run_shows_its_trace(log):
    """`run`, `run.trace`, `print(run.trace)` and the notebook all give the tree."""

    @ak.tool
    def double(number: Annotated[int, Field(ge=0, le=1000)]) -> int:
        """Double a whole number. Returns the product as a whole number.

        Args:
            number: the number to double, for example 21.
        """
        return 2 * number

    helper = ak.Agent("helper", ScriptedModel([call("double", number=21), "42"]), tools=[double])
    boss = ak.Agent("boss", ScriptedModel([call("helper", task="double 21"), "It is 42."]), tools=[helper])
    run = boss.run("What is twice 21?", log=log)
    assert run.result() == "It is 42."
    assert isinstance(run.trace, Trace)
    assert repr(run) == str(run.trace) == repr(run.trace) == run.trace._repr_mimebundle_()["text/plain"]
    assert "helper(task='double 21')" in repr(run)
    assert "double(number=21)" in repr(run)
    assert repr(log.run(run.run_id)) == repr(run)
