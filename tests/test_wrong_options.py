"""What is no option, no input and no place is refused when it is given: in our words, with what to give instead."""

import re

import pytest
from small_agents import SOON, lookup, paused

import agentkit as ak
from agentkit.errors import ApprovalError, ConfigError, RunNotFound
from agentkit.testing import ScriptedModel, call

pytestmark = pytest.mark.filterwarnings("ignore::agentkit.tools.linting.AgentKitWarning")  # small tools will do here


def agent_with(**options):
    return ak.Agent("a", ScriptedModel(["ok"]), **options)


def pipeline_with(**options):
    pipeline = ak.Pipeline("p", input={"n": int}, **options)
    pipeline.step(lambda n: n + 1, name="more")
    return pipeline


def refuses(said):
    return pytest.raises(ConfigError, match=re.escape(said))


WRONG = [
    ("max_reasks", "3", "max_reasks='3'; give how often in a row a model is asked again, a whole number, 0 or more"),
    ("max_reasks", None, "max_reasks=None"),
    ("max_reasks", -1, "max_reasks=-1"),
    ("max_reasks", True, "max_reasks=True"),
    ("approval_expires", 0, "approval_expires=0; give seconds above 0, or None for never"),
    ("approval_expires", "60", "approval_expires='60'"),
    ("approval_expires", float("nan"), "approval_expires=nan"),
    ("retry", 3, "retry=3; give a policy, for example ak.Retry(max_attempts=3)"),
    ("budget", 0.1, "budget=0.1; say of what: ak.Budget(usd=0.1)"),
    ("budget", 0, "budget=0; say of what: ak.Budget(usd=0.1)"),
    ("budget", {"usd": 1}, "budget={'usd': 1}; say of what: ak.Budget(usd=0.1)"),
    ("fallback", "openai/gpt-5-mini", "fallback='openai/gpt-5-mini'; give a list: fallback=[…]"),
    ("settings", 5, "settings=5; give them by name, for example {'temperature': 0}"),
    ("settings", [("seed", 1)], "settings=[('seed', 1)]; give them by name"),
    ("redact", "pin", "redact='pin'; give a list of fields' names and patterns: redact=['pin']"),
    ("redact", re.compile("x"), "redact=re.compile('x'); give a list"),
    ("redact", 5, "redact=5; give a list"),
    ("redact", [5], "redact=5 is no field's name"),
]


@pytest.mark.parametrize("make", [agent_with, pipeline_with])
@pytest.mark.parametrize(("option", "given", "said"), WRONG)
def test_a_wrong_option_is_refused_when_it_is_given(make, option, given, said):
    """Not by a TypeError in mid-run, and no text is taken letter by letter: an agent's and a pipeline's alike."""
    with refuses(said):
        make(**{option: given})


@pytest.mark.parametrize(("option", "given"), [("tools", lookup), ("checks", len), ("tools", "abc")])
def test_a_single_tool_or_check_is_put_into_a_list(option, given):
    """The message says so."""
    with refuses(f"a: {option}={given!r}; give a list: {option}=[…]"):
        agent_with(**{option: given})


@pytest.mark.parametrize("given", ["3", 0, 2.5])
def test_history_tokens_are_a_whole_number(given):
    """What an agent alone takes is seen to as well."""
    with refuses(f"a: history_tokens={given!r}; give a number of tokens, or None for no limit, a whole number"):
        agent_with(history_tokens=given)


@pytest.mark.parametrize("given", [{"name": 3}, {"name": ""}, {"instructions": 5}, {"instructions": None}])
def test_a_name_and_instructions_are_texts(given):
    """The message says which is not."""
    with pytest.raises(ConfigError, match=r"needs a name, a text|give the system prompt, a text"):
        ak.Agent(**{"name": "z", "model": ScriptedModel(["ok"]), **given})


@pytest.mark.parametrize("how", ["run", "submit", "map"])
@pytest.mark.parametrize("make", [agent_with, pipeline_with])
def test_a_number_is_no_budget_of_a_run(make, how, log):
    """The message shows the budget that was meant, and nothing was started."""
    given = {"items": [1]} if how == "map" else {"input": "hi"} if make is agent_with else {"n": 1}
    with refuses("budget=0.25; say of what: ak.Budget(usd=0.25), or ak.Budget(model_calls=20)"):
        getattr(make(), how)(**given, budget=0.25, log=log)
    assert len(log.runs()) == 0


def test_a_number_is_no_budget_to_resume_with(log):
    """The run waits as before, and goes on with a budget."""
    model = ScriptedModel([call("lookup", what="a"), "ok"])
    run = ak.Agent("a", model, tools=[lookup], budget=ak.Budget(model_calls=1)).run("hi", log=log)
    paused(run)
    with refuses("budget=3; say of what: ak.Budget(usd=3)"):
        run.resume(budget=3)
    assert run.resume(budget=ak.Budget(model_calls=3)).result(SOON) == "ok"


@pytest.mark.parametrize("given", ["", "  \n", None, []])
def test_an_empty_input_is_refused(given, log):
    """A model would answer it all the same, and somebody would pay for that."""
    with refuses(f"a: the input is empty ({given!r}); say what the agent is to do"):
        agent_with().run(given, log=log)
    assert len(log.runs()) == 0


def test_an_empty_item_is_one_that_failed(log):
    """The others are done."""
    model = ScriptedModel(["one", "two"])
    batch = ak.Agent("a", model).map(["say one", "", "say two"], concurrency=1, log=log)
    outputs = batch.result(SOON)
    assert [outputs[0], outputs[2]] == ["one", "two"]
    assert "the input is empty" in outputs[1].message


@pytest.mark.parametrize("tags", [5, None, "abc", [1]])
def test_tags_are_a_list_of_texts(tags, log):
    """A number is no list, and says so."""
    with refuses(f"tags={tags!r}: give a list of texts"):
        agent_with().run("hi", tags=tags, log=log)


@pytest.mark.parametrize("place", [3, "", " ", ["a"]])
def test_a_log_is_a_folder_or_a_url(place, tmp_path, monkeypatch):
    """A number makes no folder of that name."""
    monkeypatch.chdir(tmp_path)
    with refuses(f"{place!r} is no log; give a folder's path or a URL"):
        ak.open_log(place)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("given", [None, 3, b"0"])
def test_a_run_is_asked_for_by_a_text(given, log):
    """The message says where the ids are."""
    with refuses(f"{given!r} is no run's id; give the text, or its beginning; log.runs() lists them"):
        log.run(given)


def test_a_conversation_goes_on_after_a_run(log):
    """What is neither a run nor its id is refused; nothing was started."""
    with refuses("3 is no run's id"):
        agent_with().run("hi", after=3, log=log)


@pytest.mark.parametrize("after", [-5, "1", 1.5])
def test_events_are_asked_for_after_a_seq(after, log):
    """A negative one says nothing of a broken log."""
    run = agent_with().run("hi", log=log)
    run.result(SOON)
    with refuses(f"after={after!r}: give an event's seq, 0 or more"):
        run.events(after=after)
    assert [event.seq for event in run.events(after=0)][:2] == [1, 2]


@pytest.mark.parametrize("until", [0, -1, "2"])
def test_a_replay_ends_at_a_seq(until, log):
    """A run that is there is not said to be missing."""
    run = agent_with().run("hi", log=log)
    run.result(SOON)
    with refuses(f"until={until!r}: give an event's seq, 1 or more"):
        run.replay(until=until)
    assert run.replay(until=1).seq == 1


@ak.tool(writes=True, approve=True)
def pay(amount: float) -> dict:
    """Pay an amount out of the till, for good. Returns the receipt.

    Args:
        amount: how much, in USD.
    """
    return {"paid": amount}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"edit": {"amount": object()}}, "edit.amount: not a JSON value"),
        ({"edit": {"amount": "\udc80"}}, "edit.amount: not a JSON value"),
        ({"edit": {"amount": float("nan")}}, "edit.amount: nan is not JSON"),
        ({"edit": [1]}, "edit=[1]: give the arguments to replace by name, for example edit={'amount': 20}"),
        ({"edit": "x"}, "edit='x': give the arguments to replace by name"),
        ({"edit": []}, "edit=[]: give the arguments to replace by name"),
        ({"comment": 3}, "3 is no comment or reason; give a text"),
        ({"id": 3}, "3 is no approval's id; give the text, or its beginning"),
        ({"id": ""}, "'' is no approval's id"),
    ],
)
def test_what_is_no_answer_leaves_the_question_open(answer, said, log):
    """The message says what to give; the call did not run, and the next answer counts."""
    run = ak.Agent("payer", ScriptedModel([call("pay", amount=5), "paid"]), tools=[pay]).run("pay", log=log)
    (asked,) = paused(run)
    with pytest.raises(ApprovalError, match=re.escape(said)) as raised:
        run.approve(**answer)
    assert "pydantic" not in str(raised.value)
    assert [waits.id for waits in run.pending] == [asked.id]
    run.approve(asked.id, edit={"amount": 4})
    assert run.result(SOON) == "paid"


def test_an_empty_id_still_finds_no_run(log):
    """Every id begins with it."""
    with pytest.raises(RunNotFound):
        log.run("")
