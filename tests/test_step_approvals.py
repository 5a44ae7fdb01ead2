"""A call that a pipeline's step makes, as who is asked about it sees it: its types, its bounds, and edits."""

import json
import subprocess
import sys
import textwrap
from enum import Enum
from typing import Annotated

import pytest
from pydantic import AfterValidator, Field
from small_agents import SOON, paused
from small_pipelines import events_of, kept, pipeline_of, wait_until

import agentkit as ak
from agentkit.errors import ApprovalError
from agentkit.notebook.details import card
from agentkit.notebook.static import static
from agentkit.runner.recorder import now
from agentkit.store import Answer
from agentkit.testing import FunctionModel

pytestmark = pytest.mark.filterwarnings("ignore::agentkit.tools.linting.AgentKitWarning")  # small tools will do here


class Way(Enum):
    card = "card"
    voucher = "voucher"


def even(amount: float) -> float:
    """What no JSON schema says."""
    assert amount % 2 == 0, "only even amounts"
    return amount


PAID = []


@ak.tool(writes=True, approve=True)
def pay(amount: Annotated[float, Field(gt=0, le=50), AfterValidator(even)], way: Way = Way.card) -> float:
    """Pay somebody. Returns what was paid.

    It cannot be taken back.

    Args:
        amount: how much, in USD.
        way: how it is paid.
    """
    PAID.append(amount)
    return amount


@pytest.fixture(autouse=True)
def till():
    PAID.clear()
    return PAID


def pays(x: int, ctx: ak.Context) -> float:
    return ctx.call(pay, amount=x)


def waiting(log, **options):
    run = pipeline_of(pays, **options).run(x=8, log=log)
    [asked] = paused(run)
    return run, asked


def test_the_card_has_the_types_the_bounds_and_what_the_tool_says(log):
    """As that of an agent's call; a choice that the schema defines elsewhere stands in its place."""
    run, asked = waiting(log)
    shown = card(log.run(run.run_id).state, asked)
    assert shown["arguments"] == {"amount": 8.0, "way": "card"}
    amount, way = shown["schema"]["amount"], shown["schema"]["way"]
    assert (amount["type"], amount["exclusiveMinimum"], amount["maximum"]) == ("number", 0, 50)
    assert amount["description"] == "how much, in USD."
    assert way["enum"] == ["card", "voucher"]
    assert shown["about"].startswith("It cannot be taken back.")


def test_where_an_argument_came_from_is_said(log):
    """The run's input, what a model said in that step, the tool's default, or the step's own code."""

    @ak.tool(writes=True, approve=True)
    def send(what: str, to: str, count: int, way: str = "by night mail") -> str:
        """Send something. Returns where it went."""
        return to

    def sends(x: int, ctx: ak.Context) -> str:
        return ctx.call(send, what=ctx.ask("what?"), to="somewhere else", count=x)

    run = pipeline_of(sends, model=FunctionModel(lambda _request: "a red box")).run(x=4711, log=log)
    [asked] = paused(run)
    assert card(run.state, asked)["origins"] == {
        "what": "a model's answer to sends/ask/1",
        "to": "the code of sends",
        "count": "the run's input at x",
        "way": "the tool's default",
    }


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        ({"amount": 51}, "amount"),
        ({"amount": "a lot"}, "amount"),
        ({"way": "cash"}, "way"),
        ({"amuont": 3}, "did you mean 'amount'"),
    ],
)
def test_an_edit_that_does_not_fit_is_refused_and_uses_nothing_up(log, edit, says):
    """Also by a handle that knows the tool from the log alone; the question is still open."""
    run, asked = waiting(log)
    for handle in (run, ak.Run(log.store, run.run_id)):
        with pytest.raises(ApprovalError, match=says):
            handle.approve(asked.id, edit=edit)
    assert [one.id for one in run.pending] == [asked.id]
    run.approve(edit={"amount": 6, "way": "voucher"})
    assert (run.result(SOON), PAID) == (6, [6.0])


def test_an_edit_that_only_the_tool_can_refuse_is_asked_about_again(log):
    """Nothing ran and nothing is lost: the step asks once more, saying what was wrong."""
    run, asked = waiting(log)
    run.approve(edit={"amount": 7})
    wait_until(lambda: run.pending and run.pending[0].id != asked.id)
    [again] = paused(run)
    assert again.arguments == {"amount": 8.0, "way": "card"}
    assert "the edit does not fit: amount" in again.because
    assert "only even amounts" in again.because
    assert PAID == []
    run.approve(edit={"amount": 4})
    assert (run.result(SOON), PAID) == (4, [4.0])


def test_an_edit_that_nobody_checked_before_is_checked_where_it_runs(log):
    """One that some other program put into the inbox; after it the call can still be approved as it was."""
    run, asked = waiting(log)
    given = Answer(verdict="edit", edits={"amount": "a lot"}, answered_at=now(), who="somebody", through="elsewhere")
    log.store.answer(run.run_id, asked.id, given)
    run.resume()
    wait_until(lambda: run.pending and run.pending[0].id != asked.id)
    run.approve()
    assert (run.result(SOON), PAID) == (8, [8.0])


def test_an_edit_is_checked_while_the_run_still_executes(log):
    """Another step is under way, so the process knows the tool; the run goes on as it would after a pause."""
    import threading

    go = threading.Event()

    def works(x: int) -> int:
        assert go.wait(SOON)
        return x

    run = pipeline_of(pays, works).run(x=8, log=log)
    wait_until(lambda: run.pending)
    [asked] = run.pending
    run.approve(edit={"amount": 7})
    wait_until(lambda: run.pending and run.pending[0].id != asked.id)
    go.set()
    run.approve(edit={"amount": 2})
    wait_until(lambda: run.status == "succeeded")
    assert PAID == [2.0]


def test_a_tool_is_recorded_once_for_all_who_are_asked(log):
    """By its digest: the items of a fan-out do not each carry the schema, and each card has it."""
    pipeline = kept(ak.Pipeline("many", input={"xs": list[int]}))

    @pipeline.step(each="xs", concurrency=24)
    def item(x: int, ctx: ak.Context) -> float:
        return ctx.call(pay, amount=x)

    run = pipeline.run(xs=list(range(2, 50, 2)), log=log)
    asked = paused(run)
    bodies = [body for _, body in events_of(run, "approval_requested")]
    assert (len(asked), sum(body.offered is not None for body in bodies)) == (24, 1)
    assert len({body.offered_sha256 for body in bodies}) == 1
    state = log.run(run.run_id).state
    assert all(card(state, one)["schema"]["amount"]["maximum"] == 50 for one in asked)


def test_a_fork_knows_the_tools_that_its_parent_asked_about(log):
    """It names them by their digest, and its cards have the schema."""
    run, _ = waiting(log)
    run.approve()
    run.result(SOON)
    fork = run.fork(at="pays")
    [asked] = paused(fork)
    [(_, body)] = events_of(fork, "approval_requested")
    assert body.offered is None
    assert card(log.run(fork.run_id).state, asked)["schema"]["amount"]["maximum"] == 50


def test_a_log_that_does_not_say_the_tool_is_shown_as_it_was(log):
    """Of a version before: the arguments without types, an edit is checked where it runs; no step is taken for it."""

    def pay_(x: int, ctx: ak.Context) -> float:
        return ctx.call(pay, amount=x)

    pay_.__name__ = pay_.__qualname__ = "pay"
    run = pipeline_of(pay_).run(x=8, log=log)
    paused(run)
    old = ak.open_log("memory:")
    claim = old.store.claim(run.run_id, new=True)
    events = [
        event.model_copy(update={"body": event.body.model_copy(update={"offered": None, "offered_sha256": None})})
        if event.type == "approval_requested"
        else event
        for event in run.events()
    ]
    old.store.append(claim, events).result(SOON)
    old.store.release(claim)
    run.reject()  # in its own log; in this process one run has that id
    wait_until(lambda: run.state.ended)
    before = old.run(run.run_id)
    [asked] = before.pending
    assert (card(before.state, asked)["schema"], card(before.state, asked)["about"]) == ({}, "")
    before.approve(edit={"amount": 4})
    assert before.result(SOON) == 4


def test_the_saved_page_says_what_the_tool_takes(log):
    """Words beside the question: who reads it there edits by a command. What anybody wrote stays text."""

    @ak.tool(writes=True, approve=True)
    def send(to: Annotated[str, Field(description="<script>alert(1)</script>", max_length=20)]) -> str:
        """Send something. Returns where it went.

        Careful <b>here</b>.
        """
        return to

    def sends(x: int, ctx: ak.Context) -> str:
        return ctx.call(send, to="Ada")

    run = pipeline_of(sends).run(x=1, log=log)
    paused(run)
    page = static(run.state)
    assert "to: text, at most 20 characters · &lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "Careful &lt;b&gt;here&lt;/b&gt;." in page
    assert "<script" not in page


def test_the_terminal_says_what_each_argument_may_be(log, monkeypatch, capsys):
    """Beside its value, where `run.wait()` asks."""
    run, asked = waiting(log)
    monkeypatch.setattr("builtins.input", lambda _prompt: "a")
    run.ask(asked)
    said = capsys.readouterr().out
    assert "  amount = 8.0   (number, over 0, at most 50)" in said
    assert '  way = "card"   (one of "card", "voucher")' in said
    assert run.result(SOON) == 8


SHOP = """
import agentkit as ak
from typing import Annotated, Literal
from pydantic import Field

@ak.tool(writes=True, approve=True)
def pay(amount: Annotated[float, Field(gt=0, le=50)], way: Literal["card", "voucher"] = "card") -> str:
    '''Pay somebody. Returns the receipt.

    Args:
        amount: how much, in USD.
        way: how it is paid.
    '''
    return f"paid {amount:g} by {way}"

shop = ak.Pipeline("shop", input={"x": float})

@shop.step
def buys(x: float, ctx: ak.Context) -> str:
    return ctx.call(pay, amount=x)
"""


@pytest.fixture
def agentkit(tmp_path, monkeypatch):
    """Runs a command in a folder of its own; gives its exit code, standard output and standard error."""
    (tmp_path / ".agentkit").mkdir()
    (tmp_path / "shop.py").write_text(textwrap.dedent(SHOP))
    monkeypatch.delenv("AGENTKIT_LOG", raising=False)

    def run(*arguments):
        command = [sys.executable, "-W", "ignore", "-m", "agentkit", *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout, done.stderr

    return run


def test_a_terminal_without_the_definition_refuses_a_wrong_edit(agentkit, tmp_path):
    """What it needs is in the log; a right one is kept, and whoever has the definition goes on."""
    assert agentkit("run", "shop:shop", "8")[0] == 3
    (tmp_path / "shop.py").rename(tmp_path / "moved.py")
    code, _, err = agentkit("approve", "--edit", '{"amount": 80}')
    assert (code, "80 is greater than the maximum of 50" in err) == (2, True)
    assert len(json.loads(agentkit("pending", "--json")[1])) == 1
    assert agentkit("approve", "--edit", '{"amount": 5, "way": "voucher"}')[0] == 3
    (tmp_path / "moved.py").rename(tmp_path / "shop.py")
    assert agentkit("resume")[:2] == (0, "paid 5 by voucher\n")
