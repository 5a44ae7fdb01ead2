"""What a person is asked, and what their answers do."""

import contextlib
import threading
import time
from datetime import timedelta

import pytest
from small_agents import SOON, bodies, paused

import agentkit as ak
from agentkit.errors import ApprovalError, ResumeError
from agentkit.events import ApprovalAnswered, ApprovalExpired, ApprovalRequested
from agentkit.runner.driver import Driver
from agentkit.runner.engine import engine
from agentkit.runner.recorder import now
from agentkit.runner.run import Run
from agentkit.runner.watch import watch
from agentkit.store import Answer
from agentkit.testing import FunctionModel, ScriptedModel, call

pytestmark = pytest.mark.filterwarnings("ignore::agentkit.tools.linting.AgentKitWarning")  # small tools will do here


class Till:
    """A tool that pays, and what it paid."""

    def __init__(self, **options):
        self.paid = []

        @ak.tool(writes=True, **{"approve": True, **options})
        def pay(amount: float, to: str = "ada") -> dict:
            """Pay somebody some money. Returns what was paid.

            Args:
                amount: how much, in USD.
                to: who gets it.
            """
            self.paid.append((amount, to))
            return {"paid": amount, "to": to}

        self.tool = pay


def leave(run):
    """As if the process that paused the run had gone: nobody looks for its answers any more."""
    engine().call(lambda: watch.forget(run._driver))
    for one in (run, *run.children()):
        run._store.unwatch(one.run_id)


def agent_of(model, *tools, **options):
    return ak.Agent("payer", model, tools=tools, decisions="off", **options)


def told(run):
    return [message.content for message in run.state.messages if message.role == "tool"]


def test_approve_runs_the_call_and_records_who(log):
    """The verdict is a fact: who, when, through what, and the digest of what was shown."""
    till = Till()
    run = agent_of(ScriptedModel([call("pay", amount=5), "ok"]), till.tool).run("hi", log=log)
    (asked,) = paused(run)
    assert till.paid == []
    answered = run.approve(asked.id, comment="go")
    assert "goes on" in repr(answered)
    assert run.result(SOON) == "ok"
    assert till.paid == [(5.0, "ada")]
    (fact,) = bodies(run, ApprovalAnswered)
    assert (fact.verdict, fact.comment, fact.through, fact.digest) == ("approve", "go", "python", asked.digest)
    assert fact.who
    assert fact.answered_at


def test_edited_arguments_run_and_the_model_is_told(log):
    """A person's change is validated, run, and said."""
    till = Till()
    run = agent_of(ScriptedModel([call("pay", amount=500), "ok"]), till.tool).run("hi", log=log)
    paused(run)
    run.approve(edit={"amount": 5})
    run.result(SOON)
    assert till.paid == [(5.0, "ada")]
    assert told(run)[0]["result"] == {"paid": 5.0, "to": "ada"}
    assert "A person changed the arguments" in told(run)[0]["note"]


def test_the_model_is_told_of_an_edit_that_failed(log):
    """Also where the edited call ends in an error."""

    @ak.tool(writes=True, approve=True)
    def pay(amount: float) -> dict:
        """Pay somebody some money. Returns what was paid.

        Args:
            amount: how much, in USD.
        """
        raise ak.ToolError("no money")

    run = agent_of(ScriptedModel([call("pay", amount=500), "ok"]), pay).run("hi", log=log)
    paused(run)
    run.approve(edit={"amount": 5})
    run.result(SOON)
    assert "A person changed the arguments" in told(run)[0]["error"]["note"]


@pytest.mark.parametrize("edit", [{"amount": "much"}, {"amuont": 3}])
def test_a_wrong_edit_is_refused_and_uses_nothing_up(log, edit):
    """The error names the argument; the question is still open."""
    till = Till()
    run = agent_of(ScriptedModel([call("pay", amount=500), "ok"]), till.tool).run("hi", log=log)
    paused(run)
    with pytest.raises(ApprovalError, match=next(iter(edit))):
        run.approve(edit=edit)
    assert len(run.pending) == 1
    run.approve()
    assert run.result(SOON) == "ok"


def test_a_wrong_edit_is_refused_where_only_the_log_knows_the_tool(log):
    """By its recorded schema; what was not edited is not held against it."""
    run = agent_of(ScriptedModel([call("pay", amount=500), "ok"]), Till().tool).run("hi", log=log)
    [asked] = paused(run)
    elsewhere = ak.Run(log.store, run.run_id)
    with pytest.raises(ApprovalError, match="'much' is not of type 'number'"):
        elsewhere.approve(asked.id, edit={"amount": "much"})
    elsewhere.approve(asked.id, edit={"amount": 5})
    assert run.result(SOON) == "ok"


def test_reject_tells_the_model_the_reason(log):
    """The run goes on; nothing ran."""
    till = Till()
    run = agent_of(ScriptedModel([call("pay", amount=5), "ok"]), till.tool).run("hi", log=log)
    paused(run)
    run.reject(reason="too late")
    assert run.result(SOON) == "ok"
    assert till.paid == []
    assert told(run)[0]["rejected"]["message"] == "too late"


def test_answer_is_the_result_of_a_question(log):
    """`ask_person` ends with what the person said."""
    run = agent_of(ScriptedModel([call("ask_person", question="Which?", options=["a", "b"]), "ok"]), ak.ask_person).run(
        "hi", log=log
    )
    (asked,) = paused(run)
    assert (asked.kind, asked.prompt, asked.options) == ("question", "Which?", ("a", "b"))
    with pytest.raises(ApprovalError, match="answer"):
        run.approve()
    run.answer(None, "b")
    assert run.result(SOON) == "ok"
    assert told(run) == ["b"]


def test_answer_can_stand_for_a_call(log):
    """A person gives the result instead of running it; the model is told so."""
    till = Till()
    run = agent_of(ScriptedModel([call("pay", amount=5), "ok"]), till.tool).run("hi", log=log)
    paused(run)
    run.answer(None, {"paid": 4})
    run.result(SOON)
    assert till.paid == []
    assert told(run)[0]["result"] == {"paid": 4}
    assert "person gave this result" in told(run)[0]["note"]


def test_several_pending_and_no_id_are_listed(log):
    """An id, or the beginning of one, says which."""
    till = Till()
    turn = [call("pay", amount=1), call("pay", amount=2)]
    run = agent_of(ScriptedModel([turn, "ok"]), till.tool).run("hi", log=log)
    first, second = paused(run)
    with pytest.raises(ApprovalError) as several:
        run.approve()
    assert first.id in str(several.value)
    assert second.id in str(several.value)
    with pytest.raises(ApprovalError, match="0 pending approvals begin with 'zz'"):
        run.approve("zz")
    run.approve(second.id[:8])
    run.reject(first.id)
    assert run.result(SOON) == "ok"
    assert till.paid == [(2.0, "ada")]


def test_who_answers_second_is_told_who_was_first(log):
    """Also when the answer was taken up long ago."""
    till = Till()
    model = ScriptedModel([call("pay", amount=5), call("pay", amount=6), "ok"])
    run = agent_of(model, till.tool).run("hi", log=log)
    (asked,) = paused(run)
    run.approve(asked.id)
    with pytest.raises(ApprovalError, match=r"already answered: approve by "):
        run.reject(asked.id)
    paused(run)
    with pytest.raises(ApprovalError, match=r"already answered: approve by "):
        run.reject(asked.id)


def test_nothing_pending_is_an_error(log):
    """It says what the run does instead."""
    run = agent_of(ScriptedModel(["ok"])).run("hi", log=log)
    run.result(SOON)
    with pytest.raises(ApprovalError, match="succeeded"):
        run.approve()


def test_an_answer_from_another_handle_is_taken_up(log):
    """Whoever finds the run in the log can answer; the process that paused it goes on."""
    till = Till()
    agent = agent_of(ScriptedModel([call("pay", amount=5), "ok"]), till.tool)
    run = agent.run("hi", log=log)
    (asked,) = paused(run)
    assert [found.id for found in log.pending()] == [asked.id]
    log.run(run.run_id).approve()
    assert run.result(SOON) == "ok"
    assert log.pending() == []


def test_a_listener_may_answer_at_once(log):
    """An answer that comes while the run is pausing is not missed."""
    till = Till()
    for _ in range(20):
        go = threading.Event()

        async def think(request, go=go):
            if len(request.messages) > 1:
                return "ok"
            return call("pay", amount=5)

        run = agent_of(FunctionModel(think), till.tool).run("hi", log=log)
        while not run.pending:
            pass
        run.approve()
        assert run.result(SOON) == "ok"


def test_an_approval_nobody_answers_expires(log):
    """It counts as a no, and the model is told."""
    till = Till()
    run = agent_of(ScriptedModel([call("pay", amount=5), "ok"]), till.tool, approval_expires=0.05).run("hi", log=log)
    while run.status != "succeeded":
        with contextlib.suppress(ak.RunPaused):
            run.result(SOON)
    assert till.paid == []
    assert told(run)[0]["rejected"]["type"] == "Expired"
    assert len(bodies(run, ApprovalExpired)) == 1
    (asked,) = bodies(run, ApprovalRequested)
    with pytest.raises(ApprovalError):
        run.approve()
    assert asked.expires


def test_an_answer_that_was_there_before_expiry_counts(log):
    """Both compete for one place; the first one has it."""
    till = Till()
    run = agent_of(ScriptedModel([call("pay", amount=5), "ok"]), till.tool, approval_expires=3600).run("hi", log=log)
    (asked,) = paused(run)
    late = Answer(verdict="expired", answered_at=now() + timedelta(hours=2))
    log.store.answer(run.run_id, asked.id, Answer(verdict="approve", who="eve", answered_at=now()))
    assert log.store.answer(run.run_id, asked.id, late).who == "eve"
    assert run.result(SOON) == "ok"
    assert till.paid == [(5.0, "ada")]


def test_a_predicate_decides_and_its_verdict_is_a_fact(log):
    """It is asked once; also the verdict that nobody needs to be asked is recorded."""
    asked_about = []

    def over_fifty(call):
        asked_about.append(call.args["amount"])
        return call.args["amount"] > 50

    till = Till(approve=over_fifty)
    model = ScriptedModel([call("pay", amount=5), call("pay", amount=500), "ok"])
    agent = agent_of(model, till.tool)
    run = agent.run("hi", log=log)
    (asked,) = paused(run)
    assert asked.arguments == {"amount": 500.0, "to": "ada"}
    again = ak.resume(run.run_id, log=log)
    paused(again)
    again.approve()
    assert again.result(SOON) == "ok"
    assert asked_about == [5.0, 500.0]
    assert [fact.verdict for fact in bodies(run, ApprovalAnswered)] == ["not_required", "approve"]


@pytest.mark.parametrize("error", [ValueError("oops"), SystemExit(2)])
def test_a_predicate_that_raises_asks(log, error):
    """Asking is the safe answer, and the person sees what went wrong."""

    def broken(call):
        raise error

    till = Till(approve=broken)
    run = agent_of(ScriptedModel([call("pay", amount=5), "ok"]), till.tool).run("hi", log=log)
    (asked,) = paused(run)
    assert type(error).__name__ in asked.because
    run.approve()
    assert run.result(SOON) == "ok"


def test_a_tool_that_changed_meanwhile_asks_again(log):
    """An approval is bound to the tool's source and to the arguments."""
    first = Till()
    run = agent_of(FunctionModel(think_pay), first.tool).run("hi", log=log)
    (asked,) = paused(run)

    @ak.tool(writes=True, approve=True)
    def pay(amount: float, to: str = "ada") -> dict:
        """Pay somebody some money, now in another way. Returns what was paid.

        Args:
            amount: how much, in USD.
            to: who gets it.
        """
        return {"paid": amount, "now": "otherwise"}

    log.store.unwatch(run.run_id)
    changed_agent = agent_of(FunctionModel(think_pay), pay)
    again = ak.resume(run.run_id, log=log)
    again.approve(asked.id)
    (changed,) = paused(again)
    assert (changed.because, changed.id != asked.id) == ("changed", True)
    again.approve()
    assert again.result(SOON) == "ok"
    assert again.state.calls["tool/pay/1"].result == {"paid": 5.0, "now": "otherwise"}
    assert changed_agent.name == run.state.name


def think_pay(request):
    return "ok" if len(request.messages) > 1 else call("pay", amount=5)


def test_a_tool_that_is_gone_cannot_be_resumed(log):
    """The error names the tool that the run waits at."""
    run = agent_of(FunctionModel(think_pay), Till().tool).run("hi", log=log)
    paused(run)
    without = agent_of(FunctionModel(think_pay), ak.ask_person)
    with pytest.raises(ResumeError, match="no tool 'pay' any more"):
        ak.resume(run.run_id, log=log)
    assert without.name == run.state.name


def test_stop_ends_the_run(log):
    """`resolve(id, "stop")` is for what is in doubt; other words are refused."""
    run = agent_of(FunctionModel(think_pay), Till().tool).run("hi", log=log)
    paused(run)
    with pytest.raises(ApprovalError, match="not 'maybe'"):
        run.resolve(None, "maybe")
    with pytest.raises(ApprovalError, match="it takes"):
        run.resolve(None, "happened")


def test_reads_run_before_the_pause_and_writes_in_order(log):
    """Reads at once; a write after a gated call waits for it; the model sees results in its own order."""
    done = []

    @ak.tool
    def read(what: str) -> str:
        """Read something that is somewhere. Returns what it says.

        Args:
            what: its name.
        """
        done.append(f"read {what}")
        return what

    @ak.tool(writes=True)
    def write(what: str) -> str:
        """Write something that is somewhere. Returns what it says.

        Args:
            what: its name.
        """
        done.append(f"write {what}")
        return what

    till = Till()
    turn = [
        call("write", what="1"),
        call("read", what="a"),
        call("pay", amount=3),
        call("write", what="2"),
        call("read", what="b"),
    ]
    run = agent_of(ScriptedModel([turn, "ok"]), read, write, till.tool).run("hi", log=log)
    paused(run)
    assert sorted(done) == ["read a", "read b", "write 1"]
    run.approve()
    run.result(SOON)
    assert done[-1] == "write 2"
    assert told(run) == ["1", "a", {"paid": 3.0, "to": "ada"}, "2", "b"]


def test_reads_of_one_turn_run_at_the_same_time(log):
    """Each waits for the other: one after the other they would wait for ever."""
    both = threading.Barrier(2)

    @ak.tool
    def meet(name: str) -> str:
        """Meet the other one, at the same time. Returns the name.

        Args:
            name: who.
        """
        both.wait(SOON)
        return name

    model = ScriptedModel([[call("meet", name="a"), call("meet", name="b")], "ok"])
    assert agent_of(model, meet).run("hi", log=log).result(SOON) == "ok"


def test_an_equal_write_asks(log):
    """A write equal to one that was done in this run is asked about, showing what was done."""
    till = Till(approve=False)
    model = ScriptedModel([call("pay", amount=5), call("pay", amount=5), call("pay", amount=6), "ok"])
    run = agent_of(model, till.tool).run("hi", log=log)
    (asked,) = paused(run)
    assert asked.because == "repeated"
    assert asked.shows[0]["step"] == "tool/pay/1"
    assert till.paid == [(5.0, "ada")]
    run.approve()
    assert run.result(SOON) == "ok"
    assert till.paid == [(5.0, "ada"), (5.0, "ada"), (6.0, "ada")]


def test_of_many_who_answer_at_once_one_wins(log):
    """All the others are told who it was; the call runs once."""
    till = Till()
    run = agent_of(ScriptedModel([call("pay", amount=5), "ok"]), till.tool).run("hi", log=log)
    (asked,) = paused(run)
    together = threading.Barrier(8)
    outcomes = []

    def answer():
        together.wait(SOON)
        try:
            outcomes.append(log.run(run.run_id).approve(asked.id).verdict)
        except ApprovalError as error:
            outcomes.append(str(error))

    threads = [threading.Thread(target=answer) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON)
    assert run.result(SOON) == "ok"
    assert till.paid == [(5.0, "ada")]
    assert outcomes.count("approve") == 1
    assert sum("already answered: approve by" in outcome for outcome in outcomes) == 7


def test_a_run_that_another_process_took_up_is_followed(log):
    """Its handle here waits for what comes of it, and this process goes on where the other one lets go."""
    till = Till()
    run = agent_of(ScriptedModel([call("pay", amount=5), "ok"]), till.tool).run("hi", log=log)
    (asked,) = paused(run)
    elsewhere = log.store.claim(run.run_id)
    log.store.answer(run.run_id, asked.id, Answer(verdict="approve", answered_at=now()))
    with pytest.raises(TimeoutError):
        run.result(0.5)
    log.store.release(elsewhere)
    assert run.result(SOON) == "ok"
    assert till.paid == [(5.0, "ada")]


def test_one_unreadable_inbox_stops_no_other_run(log, monkeypatch):
    """A disk that fails for a moment delays what it concerns, and nothing else."""
    elsewhere = ak.open_log("memory:")
    till = Till()
    model = FunctionModel(lambda request: "ok" if len(request.messages) > 1 else call("pay", amount=5))
    agent = agent_of(model, till.tool)
    unlucky, run = agent.run("hi", log=elsewhere), agent.run("hi", log=log)
    (first,), (second,) = paused(unlucky), paused(run)
    failed = threading.Event()

    def fail(_run_id):
        failed.set()
        raise OSError("too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(elsewhere.store, "answers", fail)
        assert failed.wait(SOON)
        log.store.answer(run.run_id, second.id, Answer(verdict="approve", answered_at=now()))
        assert run.result(SOON) == "ok"
    elsewhere.store.answer(unlucky.run_id, first.id, Answer(verdict="approve", answered_at=now()))
    assert unlucky.result(SOON) == "ok"


def test_a_look_that_fails_is_followed_by_the_next(log, monkeypatch):
    """No thread to be had, for example: the answer is found later."""
    till = Till()
    run = agent_of(ScriptedModel([call("pay", amount=5), "ok"]), till.tool).run("hi", log=log)
    (asked,) = paused(run)
    failed = threading.Event()

    def fail(_driver):
        failed.set()
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr("agentkit.runner.watch._answers", fail)
        assert failed.wait(SOON)
    log.store.answer(run.run_id, asked.id, Answer(verdict="approve", answered_at=now()))
    assert run.result(SOON) == "ok"


def test_who_failed_to_take_a_run_up_leaves_it_to_who_watches_it(log):
    """Two handles of one process: the one that cannot go on does not take the answers from the other."""
    till = Till()
    run = agent_of(ScriptedModel([call("pay", amount=5), "ok"]), till.tool).run("hi", log=log)
    (asked,) = paused(run)
    wrong = Driver(log.store, run.run_id, ak.Agent("another", ScriptedModel([])).definition)
    engine().spawn(wrong.resume())
    assert wrong.settled.wait(SOON)
    assert isinstance(wrong.error, ResumeError)
    log.store.answer(run.run_id, asked.id, Answer(verdict="approve", answered_at=now()))
    assert run.result(SOON) == "ok"


def test_who_was_not_quick_enough_to_take_a_run_up_follows_it(log):
    """Another activation of this process took it up in the same moment."""
    till = Till()
    agent = agent_of(ScriptedModel([call("pay", amount=5), "ok"]), till.tool)
    run = agent.run("hi", log=log)
    (asked,) = paused(run)
    claim = log.store.claim(run.run_id)  # stands for the other activation
    late = Driver(log.store, run.run_id, agent.definition)
    engine().spawn(late.resume())
    assert late.settled.wait(SOON)
    log.store.release(claim, watch=True)
    log.store.answer(run.run_id, asked.id, Answer(verdict="approve", answered_at=now()))
    assert Run(log.store, run.run_id, driver=late).result(SOON) == "ok"


def test_a_run_that_nobody_is_told_of_any_more_goes_on_when_it_is_answered(log):
    """This process said that it watches, and does not."""
    till = Till()
    agent = agent_of(ScriptedModel([call("pay", amount=5), "ok"]), till.tool)
    run = agent.run("hi", log=log)
    paused(run)
    engine().call(lambda: watch.forget(run._driver))
    fresh = log.run(run.run_id)
    assert "in this process" in fresh.approve().then
    assert fresh.result(SOON) == "ok"


def test_an_approval_after_its_time_is_none(log):
    """Also where nobody was there to say so in time: the run goes on with a no."""
    till = Till()
    agent = agent_of(ScriptedModel([call("pay", amount=5), "ok"]), till.tool, approval_expires=1)
    run = agent.run("hi", log=log)
    (asked,) = paused(run)
    leave(run)
    while now() <= asked.expires:
        time.sleep(0.05)
    fresh = log.run(run.run_id)
    with pytest.raises(ApprovalError, match="already answered: expired"):
        fresh.approve()
    assert fresh.resume().result(SOON) == "ok"
    assert told(fresh)[0]["rejected"]["type"] == "Expired"
    assert till.paid == []


def test_an_answer_in_the_inbox_that_came_too_late_is_none(log):
    """Whoever put it there did not look at the clock."""
    till = Till()
    run = agent_of(ScriptedModel([call("pay", amount=5), "ok"]), till.tool, approval_expires=3600).run("hi", log=log)
    (asked,) = paused(run)
    late = Answer(verdict="approve", answered_at=asked.expires + timedelta(seconds=1))
    log.store.answer(run.run_id, asked.id, late)
    assert run.result(SOON) == "ok"
    assert len(bodies(run, ApprovalExpired)) == 1
    assert till.paid == []


def test_an_approved_call_that_is_tried_again_is_asked_about_once(log):
    """What a person said covers the step across its attempts, with one key; the next call is asked about anew."""
    keys = []

    @ak.tool(writes=True, idempotent=True, approve=True, retry=ak.Retry(max_attempts=3, initial=0))
    def pay(amount: float, ctx: ak.Context) -> dict:
        """Pay somebody some money. Returns what was paid.

        Args:
            amount: how much, in USD.
        """
        keys.append(ctx.idempotency_key)
        if len(keys) < 3:
            raise TimeoutError("slow")
        return {"paid": amount}

    run = agent_of(ScriptedModel([call("pay", amount=5), call("pay", amount=5), "done"]), pay).run("pay", log=log)
    paused(run)
    run.approve()
    (second,) = paused(run)
    assert (len(keys), len(set(keys))) == (3, 1)
    assert len(bodies(run, ApprovalRequested)) == 2
    run.approve(second.id)
    assert run.result(SOON) == "done"
    assert (len(keys), len(set(keys))) == (4, 2)
