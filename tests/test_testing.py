"""The models that tests are written with: a script that is followed to its end, and a recording that is asked alike."""

import asyncio
import re

import pytest
from small_agents import SOON, lookup

import agentkit as ak
from agentkit.messages import ModelRequest
from agentkit.testing import (
    RecordedModel,
    RequestDiffers,
    ScriptedModel,
    UnconsumedTurns,
    UnexpectedTurn,
    call,
)

pytestmark = pytest.mark.filterwarnings("ignore::agentkit.tools.linting.AgentKitWarning")  # small tools will do here

ONCE = ak.Retry(max_attempts=1)
TURNS = (call("lookup", what="ships"), "Ships float.")


def agent_of(model, instructions="Be brief.", tools=(lookup,), **options):
    return ak.Agent("sailor", model, instructions, tools=tools, retry=ONCE, **options)


@pytest.fixture
def recording(log):
    """The events of a run with two model calls."""
    run = agent_of(ScriptedModel(TURNS)).run("What do ships do?", log=log)
    assert run.result(SOON) == "Ships float."
    return run.events()


def asked_anew(recording, log, given="What do ships do?", **options):
    """What an agent says whose model is the recording."""
    return agent_of(RecordedModel(recording), **options).run(given, log=log).result(SOON)


def test_a_script_that_is_over_fails_the_run(log):
    """Whoever asks for more is told after which words; the run does not end well."""
    model = ScriptedModel([call("lookup", what="ships")])
    with pytest.raises(ak.RunFailed, match=r"has 1 turns and was asked for another one, after: .*about ships"):
        agent_of(model).run("hi", log=log).result(SOON)
    with pytest.raises(UnexpectedTurn):
        asyncio.run(model.respond(model.requests[-1]))
    assert model.left == 0


def test_a_script_that_is_not_over_fails_the_test(log):
    """`with` sees that each turn was asked for, and lists the others."""
    left = "2 of 3 turns of 'scripted' were not asked for:\n  'two'\n  'three'"
    with pytest.raises(UnconsumedTurns, match=left), ScriptedModel(["one", "two", "three"]) as model:
        assert agent_of(model).run("hi", log=log).result(SOON) == "one"


def test_a_script_that_was_followed_says_nothing(log):
    """Each turn once, in its order."""
    with ScriptedModel(TURNS) as model:
        assert agent_of(model).run("hi", log=log).result(SOON) == "Ships float."
    model.assert_consumed()


def test_what_a_test_raises_is_not_hidden_by_turns_that_are_left():
    """The first error is the one to mend."""
    with pytest.raises(ZeroDivisionError), ScriptedModel(["one"]):
        raise ZeroDivisionError


def test_a_recording_answers_the_same_questions(recording, log):
    """The same prompts get the same answers, and cost nothing."""
    run = agent_of(RecordedModel(recording)).run("What do ships do?", log=log)
    assert (run.result(SOON), run.cost) == ("Ships float.", 0.0)


@ak.tool
def other(what: str) -> str:
    """Look something else up. Returns what is known of it.

    Args:
        what: a word.
    """
    return what


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"instructions": "Be long."}, 'the instructions: recorded was "Be brief.", and asked is "Be long."'),
        ({"tools": [lookup, other]}, "the tools: recorded was …"),
        ({"settings": {"temperature": 1}}, 'the settings: recorded was {}, and asked is {"temperature":1}'),
        ({"output": int}, "the output's schema: recorded was null, and asked is {"),
        ({"given": "What do boats do?"}, 'message 1: recorded was …{"content":"What do ships do?"}, and asked is …'),
    ],
)
def test_a_recording_says_what_is_not_as_it_was(recording, log, changed, said):
    """Another request gets no answer: the message names the first part that differs, and both sides of it."""
    with pytest.raises(ak.RunFailed, match=re.escape(said)) as raised:
        asked_anew(recording, log, **changed)
    assert raised.value.error.type == "RequestDiffers"


def test_a_later_message_that_differs_is_named(recording, log):
    """A tool that gives something else now: its result, the prompt's third message."""

    @ak.tool(name="lookup")
    def changed(what: str) -> str:
        """Look something up. Returns what is known of it.

        Args:
            what: a word.
        """
        return f"nothing about {what}"

    with pytest.raises(ak.RunFailed, match=r"message 3: recorded was .*about ships.* asked is .*nothing about ships"):
        asked_anew(recording, log, tools=[changed])


def test_a_prompt_of_another_length_is_told_the_lengths_there_are(recording, log):
    """And where it leaves the recorded ones."""
    request = log.run(recording[0].run_id).prompt("model/1").request
    longer = request.model_copy(update={"messages": request.messages * 2})
    with pytest.raises(
        RequestDiffers, match=r"prompts of \[1, 3\] messages, not of 2; message 2: recorded was nothing"
    ):
        asyncio.run(RecordedModel(recording).respond(longer))


def test_a_recording_of_a_follow_up_still_says_how_it_ends(recording, log):
    """Its prompts begin with another run's events, which it does not hold: the last message is what can be shown."""
    run = agent_of(ScriptedModel(["They do."])).run("Do they?", after=recording[0].run_id, log=log)
    run.result(SOON)
    request = run.prompt("model/1").request.model_copy(update={"instructions": "Be long."})
    with pytest.raises(RequestDiffers, match=r"instructions, tools, settings or a message differ; .*Do they\?"):
        asyncio.run(RecordedModel(run.events()).respond(request))


def test_a_recording_without_a_model_call_says_so(recording):
    """No digest is to blame."""
    with pytest.raises(RequestDiffers, match="holds no model call"):
        asyncio.run(RecordedModel(recording[:1]).respond(ModelRequest(instructions="", messages=())))
