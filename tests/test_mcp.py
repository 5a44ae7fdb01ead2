"""MCP servers as tools: what a tool of one is, what it takes and what it returns."""

import re
import sys

import pytest
from mcp_shop import QUICK, ran, results, stdio
from small_agents import SOON, bodies, paused

import agentkit as ak
from agentkit.definition import InvalidArguments, ToolSpec
from agentkit.errors import ConfigError
from agentkit.events import ToolSucceeded
from agentkit.mcp.arguments import Arguments
from agentkit.mcp.results import as_value
from agentkit.redact import Redactor
from agentkit.testing import ScriptedModel, call


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """One server for the tests that leave it as it was."""
    with stdio(tmp_path_factory.mktemp("shop"), "--pages", "3", env={"API_TOKEN": "hunter2-hunter2"}) as server:
        yield server


def test_an_agent_uses_a_server_from_pypi(log):
    """`mcp-server-time`: its schema reaches the model, its result and its error come back."""
    with ak.MCP.stdio("python", "-m", "mcp_server_time", "--local-timezone", "Europe/Paris") as clock:
        tools = clock.tools(prefix="time_")
        model = ScriptedModel(
            [
                call("time_convert_time", source_timezone="UTC", time="12:00", target_timezone="Asia/Kolkata"),
                call("time_get_current_time", timezone="Nowhere"),
                "half past five",
            ]
        )
        run = ak.Agent("timekeeper", model, "Tell the time.", tools=tools).run("12:00 UTC in Kolkata?", log=log)
        assert run.result(SOON) == "half past five"
    assert [tool.name for tool in model.requests[0].tools] == ["time_get_current_time", "time_convert_time"]
    assert "Europe/Paris" in model.requests[0].tools[0].parameters["properties"]["timezone"]["description"]
    good, bad = (message for message in run.state.messages if message.role == "tool")
    assert good.content["time_difference"] == "+5.5h"
    assert bad.content["error"]["type"] == "ToolError"
    assert "Invalid timezone" in bad.content["error"]["message"]
    assert not any(tool.writes for tool in tools)


# what a tool is -------------------------------------------------------------------------------------------------------


def test_a_servers_tool_is_a_tool(shop):
    """It satisfies the core's protocol, all pages are there in the server's order, and the schema is the server's."""
    tools = shop.tools("order", "note", "grow", "look")
    assert all(isinstance(tool, ToolSpec) for tool in tools)
    assert [tool.name for tool in tools] == ["look", "note", "order", "grow"]
    order = tools[2].schema.parameters
    assert list(order) == ["$schema", "type", "title", "properties", "required", "additionalProperties", "$defs"]
    assert order["properties"]["items"] == {"type": "array", "items": {"$ref": "#/$defs/Item"}, "minItems": 1}
    assert "look" in repr(tools[0])


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("look", (False, False, False, 4)),
        ("note", (True, False, False, 1)),
        ("put", (True, True, False, 4)),
        ("wipe", (True, False, True, 1)),
    ],
)
def test_hints_are_respected_and_unknown_is_a_write(shop, name, what):
    """readOnlyHint reads, idempotentHint may be retried, destructiveHint asks; nothing said is a plain write."""
    (tool,) = shop.tools(name)
    assert (tool.writes, tool.idempotent, tool.approve, tool.retry.max_attempts) == what


def test_what_the_user_says_takes_the_place_of_hints(shop):
    """For all tools, or by name."""
    look, note, wipe = shop.tools("look", "note", "wipe", writes=True, approve={"note": True, "wipe": False})
    assert (look.writes, look.retry.max_attempts) == (True, 1)
    assert (look.approve, note.approve, wipe.approve) == (False, True, False)
    (note,) = shop.tools("note", writes={"note": False})
    assert (note.writes, note.idempotent) == (False, False)
    (note,) = shop.tools("note", idempotent={"note": True}, retry=QUICK, timeout=3)
    assert (note.idempotent, note.retry, note.timeout) == (True, QUICK, 3)


def test_a_destructive_tool_asks_first(shop, log):
    """A person stands before what the server calls destructive."""
    run = ran(log, shop.tools("wipe"), call("wipe"))
    (asked,) = paused(run)
    assert (asked.kind, asked.name, asked.arguments) == ("call", "wipe", {})
    run.approve()
    assert run.result(SOON) == "done"


def test_names_are_made_valid_and_clashes_refused(shop):
    """MCP allows dots and slashes, providers do not; the message says what to write, and that works."""
    with pytest.raises(
        ConfigError, match=r"both be called 'files_read_v2'.*\.tools\('files/read.v2', prefix='other_'\)"
    ):
        shop.tools("files.read/v2", "files/read.v2")
    assert shop.tools("files.read/v2")[0].name == "files_read_v2"
    assert shop.tools("files/read.v2", prefix="other_")[0].name == "other_files_read_v2"
    (long,) = shop.tools("look", prefix="p" * 63)
    assert len(long.name) == 64
    assert long.name != "p" * 63 + "l"


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        (["lok"], {}, "did you mean 'look'"),
        (["look"], {"writes": {"note": True}}, "writes names 'note', and there is no such tool"),
        (["look"], {"prefix": "a b"}, "prefix='a b'; give letters"),
        (["look"], {"timeout": 0}, "timeout=0; give seconds"),
        (["look"], {"approve": {"look": "yes"}}, "approve='yes'; give True"),
    ],
)
def test_a_wrong_option_says_what_to_write(shop, names, options, message):
    """Before any agent is made."""
    with pytest.raises(ConfigError, match=message):
        shop.tools(*names, **options)


def test_a_server_is_no_tool(shop):
    """Nor is a list of tools: the message says what to write."""
    with pytest.raises(ConfigError, match=r"MCP.stdio\(.* is not a tool; it has some: give tools=\[\*server.tools"):
        ak.Agent("clerk", ScriptedModel([]), tools=[shop])
    with pytest.raises(ConfigError, match=r"is not a tool; put a \* before it"):
        ak.Agent("clerk", ScriptedModel([]), tools=[shop.tools("look")])


def test_two_servers_with_one_name_need_a_prefix(shop):
    """The agent says so."""
    with pytest.raises(ConfigError, match=r"two tools are named 'look'.*prefix="):
        ak.Agent("clerk", ScriptedModel([]), tools=[*shop.tools("look"), *shop.tools("look")])


def test_nobody_is_warned_of_words_that_are_not_theirs(shop, recwarn):
    """`ak.lint` still lists them."""
    tools = shop.tools("note")
    ak.Agent("clerk", ScriptedModel([]), tools=tools)
    assert not recwarn.list
    assert ak.lint(tools)


def test_calls_at_once_share_one_server(shop, log):
    """Reads run beside each other: each of these returns when all three are there."""
    assert results(log, shop.tools("meet"), [call("meet"), call("meet"), call("meet")]) == ["met", "met", "met"]


def test_a_chatty_server_neither_stops_nor_floods(shop, log, capfd):
    """Its standard error is read at once and goes nowhere."""
    (told,) = results(log, shop.tools("chatter"), call("chatter"))
    assert told == "said"
    assert capfd.readouterr().err == ""


# arguments ------------------------------------------------------------------------------------------------------------


def test_arguments_are_validated_against_the_servers_schema(shop):
    """Each problem with its path and what was given, as a function's."""
    (order,) = shop.tools("order")
    with pytest.raises(InvalidArguments) as raised:
        order.validate({"items": [{"sku": 1, "count": "1"}, {}], "sped": "fast"})
    assert raised.value.errors == [
        {"path": "items[0].sku", "problem": "1 is not of type 'string'", "input": 1},
        {"path": "items[0].count", "problem": "'1' is not of type 'integer'", "input": "1"},
        {"path": "items[1].sku", "problem": "missing"},
        {"path": "items[1].count", "problem": "missing"},
        {"path": "sped", "problem": "unknown argument; did you mean 'speed'?", "input": "fast"},
    ]


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("not json", ""),
        ([1], ""),
        (None, "items"),
        ({"items": [{"sku": "A-1", "count": float("nan")}]}, "items[0].count"),
    ],
)
def test_what_is_no_object_is_told_so(shop, given, path):
    """Nothing reaches the server."""
    (order,) = shop.tools("order")
    with pytest.raises(InvalidArguments) as raised:
        order.validate(given)
    assert raised.value.errors[0]["path"] == path


def test_a_long_wrong_value_is_not_repeated(shop):
    """The model pays for it once."""
    (order,) = shop.tools("order")
    with pytest.raises(InvalidArguments) as raised:
        order.validate({"items": [{"sku": ["x" * 100_000], "count": 1}]})
    assert len(str(raised.value.errors)) < 1500


def test_a_schema_that_is_none_is_named():
    """With what to leave out."""
    with pytest.raises(ConfigError, match="look: the server's schema for it is no JSON schema"):
        Arguments("look", {"type": "nonsense"})


@pytest.mark.parametrize("part", [{"$ref": "https://example.org/schema.json"}, {"pattern": r"^\p{L}+$"}])
def test_what_cannot_be_checked_here_is_left_to_the_server(part):
    """A schema elsewhere, which is never fetched, and a pattern of another language."""
    arguments = Arguments("look", {"type": "object", "properties": {"name": part}})
    assert arguments.validate({"name": "x"}) == {"name": "x"}


HOURS = {"type": "string", "pattern": "^(a+)+$"}  # that is how long Python's re takes for the text below
SLOW = "a" * 40 + "!"


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"name": HOURS}},
        {"properties": {"name": {"$ref": "#/$defs/Name"}}, "$defs": {"Name": HOURS}},
        {"properties": {"name": {"anyOf": [HOURS, {"type": "null"}]}}},
        {"properties": {"name": {"oneOf": [HOURS, {"type": "string", "minLength": 1}]}}},
        {"properties": {"name": {"not": HOURS}}},
        {"properties": {"name": {"if": HOURS, "then": {"maxLength": 1}}}},
        {"properties": {"name": {"format": "regex"}}, "patternProperties": {"^(a+)+$": {}}, "required": ["name"]},
        {"patternProperties": {"^(a+)+$": {"type": "integer"}}, "additionalProperties": False},
        {"patternProperties": {"^(a+)+$": {"type": "integer"}}, "unevaluatedProperties": False},
        {"propertyNames": HOURS},
        {"$schema": "http://json-schema.org/draft-07/schema#", "properties": {"name": HOURS}},
        {"$schema": "http://json-schema.org/draft-03/schema#", "properties": {"name": {"disallow": [HOURS]}}},
    ],
)
def test_a_servers_patterns_are_never_run(schema):
    """A schema can stop no run, and refuses nothing for want of them; the server judges by its own patterns."""
    arguments = Arguments("look", {"type": "object", **schema})
    given = {"name": SLOW, SLOW: 1}
    assert arguments.validate(given) == given


def test_what_stands_beside_a_pattern_is_checked():
    """Types, lengths, missing and unknown names; an argument may be called pattern."""
    properties = {"name": {**HOURS, "maxLength": 3}, "pattern": {"type": "string"}}
    schema = {"type": "object", "properties": properties, "required": ["pattern"], "additionalProperties": False}
    with pytest.raises(InvalidArguments) as raised:
        Arguments("look", schema).validate({"name": SLOW, "nam": 1})
    assert [problem["path"] for problem in raised.value.errors] == ["name", "pattern", "nam"]
    exact = {"type": "object", "properties": {"pattern": {"not": {"const": "*"}}}}
    with pytest.raises(InvalidArguments):
        Arguments("look", exact).validate({"pattern": "*"})


def test_a_pattern_of_results_is_not_run_either(shop, log):
    """The rest of a tool's schema of results is, and the model sees its schema of arguments whole."""
    order, slow = shop.tools("order", "slow")
    assert results(log, [slow], call("slow")) == [{"answer": SLOW}]
    assert order.schema.parameters["$defs"]["Item"]["properties"]["sku"]["pattern"] == "^[A-Z]-[0-9]+$"


def test_defaults_are_filled_in(shop, log):
    """So that a person approves what the server will do."""
    run = ran(log, shop.tools("order", approve=True), call("order", items=[{"sku": "A-1", "count": 2}]))
    (asked,) = paused(run)
    whole = {"items": [{"sku": "A-1", "count": 2}], "speed": "slow", "gift": None}
    assert asked.arguments == whole
    run.approve()
    assert run.result(SOON) == "done"
    assert bodies(run, ToolSucceeded)[0].result == {"got": whole}


# results --------------------------------------------------------------------------------------------------------------


def test_a_result_is_its_structure_else_its_text(shop, log):
    """Markup and escapes stay words; what the log cannot hold is replaced."""
    structure, odd = results(log, shop.tools("structure", "odd"), call("structure"), call("odd"))
    assert structure == {"answer": 42}
    assert odd == "<script>alert(1)</script>\x1b[31m\ufffd\n| second |"


def test_what_is_no_text_is_described(shop, log):
    """A megabyte of picture reaches neither the log nor the model."""
    (told,) = results(log, shop.tools("picture"), call("picture"))
    assert told == [
        "look:",
        {"type": "image", "media_type": "image/png", "bytes": 1_000_004},
        {"type": "audio", "media_type": "audio/wav", "bytes": 3},
        {"type": "resource", "uri": "file:///a.bin", "media_type": "application/x", "bytes": 1_000_004},
        {"type": "resource", "uri": "file:///a.txt", "text": "a page"},
        {"type": "resource_link", "uri": "https://example.org/b", "name": "b", "bytes": 7},
    ]


def test_a_huge_result_is_cut_and_says_so(shop, log):
    """What a model must not pay for is not in its prompt."""
    (told,) = results(log, shop.tools("huge"), call("huge"))
    assert told["note"] == "cut after 50000 of 5000000 characters; ask for less at a time"
    assert len(told["beginning"]) == 50_000


def test_errors_are_told_as_what_they_are(shop, log):
    """A tool that says it failed did nothing; an error of the protocol keeps the server's words."""
    fail, broken = results(log, shop.tools("fail", "broken"), call("fail"), call("broken"))
    assert (fail["error"]["type"], fail["error"]["message"]) == ("ToolError", "no such order: A-1")
    assert (broken["error"]["type"], broken["error"]["message"]) == ("MCPError", "the disk is on fire")


def test_an_answer_that_breaks_its_promise_is_told_in_brief(shop, log):
    """It does not fit the tool's own schema of results."""
    (told,) = results(log, shop.tools("liar"), call("liar"))
    assert "gave an answer that it must not give" in told["error"]["message"]
    assert len(told["error"]["message"]) < 5000


def test_structure_and_pictures_are_both_told():
    """Neither hides the other; a result without anything is null."""
    import mcp_types

    image = mcp_types.ImageContent(data="AAAA", mime_type="image/png")
    both = mcp_types.CallToolResult(content=[image], structured_content={"answer": 42})
    fact = {"type": "image", "media_type": "image/png", "bytes": 3}
    assert as_value(both, None, Redactor()) == {"result": {"answer": 42}, "content": [fact]}
    assert as_value(mcp_types.CallToolResult(content=[]), None, Redactor()) is None


def test_a_secret_is_taken_out_before_a_result_is_cut():
    """Half of one is as bad."""
    import mcp_types

    said = mcp_types.CallToolResult(content=[mcp_types.TextContent(text="it is hunter2-hunter2")])
    assert "hunter" not in str(as_value(said, 13, Redactor([re.compile("hunter2-hunter2")])))


def test_what_a_server_was_given_does_not_come_back(shop, log):
    """A secret of its environment reaches neither log nor model, though the server says it."""
    run = ran(log, shop.tools("leak"), call("leak"))
    assert run.result(SOON) == "done"
    assert bodies(run, ToolSucceeded)[0].result == "your token is [redacted:text]"
    assert "hunter2" not in "".join(event.model_dump_json() for event in run.events())
    assert "hunter2" not in repr(shop) + repr(shop.tools("leak")) + repr(vars(shop))


# secrets and options --------------------------------------------------------------------------------------------------


def test_the_package_is_asked_for_by_name(monkeypatch):
    """Without the extra, the message is what to type."""
    monkeypatch.setitem(sys.modules, "mcp", None)
    with pytest.raises(ConfigError, match=r"pip install 'jupyter-agentkit\[mcp\]'"):
        ak.MCP.http("http://127.0.0.1:1/mcp")


@pytest.mark.parametrize("options", [{"connect_timeout": 0}, {"max_result": 0}])
def test_an_option_that_cannot_be_is_refused(options):
    """When the server is named, not when it is used."""
    with pytest.raises(ConfigError, match=f"{next(iter(options))}=0; give"):
        ak.MCP.http("http://127.0.0.1:1/mcp", **options)


def test_secrets_are_in_no_repr():
    """Environment, headers, passwords and keys in an address, options whose name says so."""
    one = ak.MCP.stdio("serve", "--api-key", "hunter2", "--token=hunter2", "--port", "1", env={"A": "hunter2"})
    two = ak.MCP.http("https://me:hunter2@example.org/mcp?key=hunter2#hunter2", headers={"X": "hunter2"})
    assert repr(one) == "MCP.stdio('serve', '--api-key', '…', '--token=…', '--port', '1')"
    assert repr(two) == "MCP.http('https://example.org/mcp')"
    assert "hunter2" not in repr([vars(one), vars(two)])
