"""The command line: what each verb prints, where, and with which exit code."""

import contextlib
import getpass
import json
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pexpect
import pytest

import agentkit as ak

SHOP = """
import time
import agentkit as ak
from agentkit.testing import FunctionModel, call

@ak.tool
def find_order(order_id: str) -> dict:
    '''Look up one order. Returns its total in USD.'''
    return {"total": 80.0}

@ak.tool(writes=True, approve=True)
def refund(order_id: str, amount: float, ctx: ak.Context) -> dict:
    '''Refund part of an order. Returns the receipt.'''
    return {"refund_id": "R-7", "amount": amount, "by": ctx.deps}

@ak.tool
def wait(seconds: float) -> str:
    '''Wait. Returns when it is over.'''
    time.sleep(seconds)
    return "over"

def played(*turns):
    said = lambda request: turns[sum(message.role == "assistant" for message in request.messages)]
    return FunctionModel(said, usage=ak.Usage(input_tokens=4, output_tokens=2, cost_usd=0.5))

tools = [find_order, refund, ak.ask_person, wait]
look = call("find_order", order_id="A-1", why="to see it")
pay = call("refund", order_id="A-1", amount=80.0)
support = ak.Agent("support", played(look, pay, "Done.\\x1b[31m red"), tools=tools)
asker = ak.Agent("asker", played(call("ask_person", question="Which one?"), "Thanks."), tools=tools)
which = call("ask_person", question="Which one?", options=["red", "blue"])
chooser = ak.Agent("chooser", played(which, "Thanks."), tools=tools)
echo = ak.Agent("echo", FunctionModel(lambda request: str(request.messages[0].content)))
sleeper = ak.Agent("sleeper", played(call("wait", seconds=4.0), call("wait", seconds=0.1), "rested"), tools=tools)
walker = ak.Agent("walker", played(call("wait", seconds=0.5), call("wait", seconds=3.0), "there"), tools=tools)
broken = ak.Agent("broken", FunctionModel(lambda request: 1 / 0), retry=ak.Retry(max_attempts=1))

def clerk():
    return "a clerk"

twice = ak.Pipeline("twice", input={"n": int})

@twice.step
def doubled(n: int) -> int:
    if n < 0:
        raise ValueError("below nothing")
    return 2 * n

greet = ak.Pipeline("greet", input={"name": str, "times": (int, 1)})

@greet.step(approve=lambda call: call.args["name"] == "Bob", writes=True)
def greeting(name: str, times: int) -> str:
    return f"Hello {name}" * times

naps = ak.Pipeline("naps", input={"n": int})

@naps.step
def nap(n: int) -> int:
    time.sleep(0.1)
    return n
"""
COMMAND = [sys.executable, "-W", "ignore", "-m", "agentkit"]


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A folder with a module of agents and a log."""
    (tmp_path / "shop.py").write_text(textwrap.dedent(SHOP))
    (tmp_path / ".agentkit").mkdir()
    monkeypatch.delenv("AGENTKIT_LOG", raising=False)
    return tmp_path


@pytest.fixture
def agentkit(shop):
    """Runs a command in that folder; gives its exit code, standard output and standard error."""

    def run(*arguments, given=None):
        done = subprocess.run(
            [*COMMAND, *arguments], cwd=shop, input=given, capture_output=True, text=True, timeout=120, check=False
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout, done.stderr

    return run


def test_a_run_that_waits_is_approved_from_another_process(agentkit):
    """3 says that it waits; what to type is printed, and works; the output alone is on standard output."""
    code, out, err = agentkit("run", "shop:support", "Order A-1 broke")
    assert (code, out) == (3, "")
    assert "? refund(order_id='A-1', amount=80.0) · waits for a person" in err
    assert "agentkit approve " in err
    code, out, err = agentkit("approve", "--comment", "the photo shows it")
    assert (code, out) == (0, "Done.\\x1b[31m red\n")
    assert "approved by" in err


def test_an_edit_and_its_reason_reach_the_log(agentkit):
    """--edit takes JSON; what ran is what the person said."""
    agentkit("run", "shop:support", "hi")
    code, _, _ = agentkit("approve", "--edit", '{"amount": 5}')
    assert code == 0
    _, out, _ = agentkit("show", "--json")
    steps = {step["name"]: step for step in json.loads(out)["steps"]}
    assert json.loads(steps["refund"]["result"])["amount"] == 5.0


def test_comments_of_several_people_are_seen_by_all(agentkit):
    """On a run that waits, from processes that do not have it, and on one that has ended; in the tree, JSON and SQL."""
    agentkit("run", "shop:support", "hi")
    _, out, _ = agentkit("pending", "--json")
    [asked] = json.loads(out)
    run = asked["run_id"][:13]
    code, out, err = agentkit("comment", run, "the photo\x1b[31m is old", "--step", "tool/refund/1", "--by", "ada")
    assert (code, out) == (0, "")
    assert err.endswith(" UTC, ada on tool/refund/1: the photo\\x1b[31m is old\n")
    assert agentkit("approve")[0] == 0
    assert agentkit("comment", run, "-", "--by", "bob", given="asked the supplier,\nok\n")[0] == 0
    _, out, _ = agentkit("show", run)
    assert re.search(r"comment by ada, .* UTC: the photo\\x1b\[31m is old\n", out)
    assert re.search(r"· comment by bob, .* UTC: asked the supplier, ok\n", out)
    _, out, _ = agentkit("show", run, "--json")
    assert [(one["step"], one["who"], one["through"]) for one in json.loads(out)["comments"]] == [
        ("tool/refund/1", "ada", "cli"),
        (None, "bob", "cli"),
    ]
    _, out, _ = agentkit("sql", "SELECT who, text FROM comments ORDER BY seq", "--json")
    assert json.loads(out)[1] == {"who": "bob", "text": "asked the supplier,\nok"}
    code, _, err = agentkit("comment", run, "x", "--step", "tool/refnd/1")
    assert code == 2
    assert "no step 'tool/refnd/1'; did you mean 'tool/refund/1'?" in err


def test_reject_answer_and_grade(agentkit):
    """Each verb of a run is a command."""
    agentkit("run", "shop:support", "hi")
    assert agentkit("reject", "--reason", "no photo")[0] == 0
    assert agentkit("run", "shop:asker", "hi")[0] == 3
    _, out, _ = agentkit("pending", "--json")
    [asked] = json.loads(out)
    assert asked["prompt"] == "Which one?"
    code, out, _ = agentkit("answer", asked["id"][:6], "the blue one")
    assert (code, out) == (0, "Thanks.\n")
    assert agentkit("grade", asked["run_id"], "good", "--why", "quick")[0] == 0
    _, out, _ = agentkit("sql", "SELECT name, grade FROM runs ORDER BY started_at", "--json")
    assert json.loads(out) == [{"name": "support", "grade": None}, {"name": "asker", "grade": "good"}]


@pytest.mark.parametrize(("rule", "amount"), [("all", 80.0), ("none", None)])
def test_a_rule_answers_where_nobody_sits(agentkit, rule, amount):
    """`--approve all` lets the call run, `none` rejects it; both end the run."""
    code, out, _ = agentkit("run", "shop:support", "hi", "--approve", rule, "--json")
    assert code == 0
    result = json.loads(out)
    assert result["status"] == "succeeded"
    _, out, _ = agentkit("sql", "SELECT result FROM steps WHERE name = 'refund'", "--json")
    [row] = json.loads(out)
    assert (row["result"] and json.loads(row["result"])["amount"]) == amount


def test_input_from_a_file_from_a_pipe_and_deps(agentkit, shop):
    """JSON as JSON, the rest as text; a function named by --deps is called for them."""
    (shop / "given.json").write_text('{"order": 7}')
    assert agentkit("run", "shop.py:echo", "--input", "given.json")[1] == '{"order":7}\n'
    assert agentkit("run", "shop:echo", "--input", "-", given="two words\n")[1] == "two words\n"
    agentkit("run", "shop:support", "hi", "--approve", "all", "--deps", "shop:clerk")
    _, out, _ = agentkit("sql", "SELECT result FROM steps WHERE name = 'refund'", "--json")
    assert json.loads(json.loads(out)[0]["result"])["by"] == "a clerk"


def test_a_failed_run_says_why(agentkit):
    """1, and the error on standard error."""
    code, out, err = agentkit("run", "shop:broken", "hi")
    assert (code, out) == (1, "")
    assert "failed: ZeroDivisionError: division by zero" in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ("run", "shop:suport", "hi"),
            "no agent or pipeline 'suport' in shop. Agents and pipelines there: shop:support, ",
        ),
        (("run", "nowhere:x", "hi"), "there is no module nowhere here"),
        (("run", "shop.py", "hi"), "shop.py defines 10 of them; say which"),
        (("run", "shop:support"), "give what the user says, or --input FILE"),
        (("run", "shop:echo", "--input", "gone.json"), "--input gone.json cannot be read"),
        (("run", "shop:twice", "--input", "gone.jsonl"), "--input gone.jsonl cannot be read"),
        (("run", "shop:twice", "many"), "valid integer"),
        (("run", "shop:twice"), "agentkit: twice: "),
        (("run", "shop:greet", "Ann"), "--set name=value (inputs: name, times)"),
        (("run", "shop:greet", "--set", "nam=Ann"), "write name=value with one of the inputs: name, times"),
        (("run", "shop:echo", "--set", "name=Ann"), "--set names a pipeline's inputs"),
        (
            ("run", "shop:greet", "--set", "name=Ann", "--after", "0123"),
            "--after goes on with one agent's conversation",
        ),
        (("run", "shop:echo", "x", "--usd", "-1"), "a budget is above 0"),
        (("show",), "no run in the log"),
        (("show", "0123"), "no run '0123'"),
        (("approve",), "nothing waits for a person"),
        (("approve", ""), "the question's id is empty"),
        (("run", "shop:echo", "x", "--usd", "nan"), "a budget is above 0"),
        (("resume",), "is unfinished"),
        (("sql", "DROP TABLE events"), "only"),
        (("sql", "SELECT 1", "-p", "x"), "write name=value"),
        (("prune",), "say which runs"),
        (("runs", "--status", "odd"), "no run has the status 'odd'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_wrong_is_said_in_a_line(agentkit, arguments, says):
    """2, nothing on standard output, no traceback."""
    code, out, err = agentkit(*arguments)
    assert (code, out) == (2, "")
    assert says in err


def test_a_module_without_agents_is_said_to_have_none(agentkit, shop):
    """A file of something else is the likelier mistake than one of several agents."""
    (shop / "empty.py").write_text("x = 1")
    for command in (("worker", "empty.py"), ("run", "empty.py", "hi"), ("run", "empty:x", "hi")):
        assert "defines no agent or pipeline; give the module" in agentkit(*command)[2]


def test_a_definition_is_found_by_its_variable_and_not_by_what_it_is_called(agentkit, shop):
    """Who writes the name is told the variable."""
    (shop / "priced.py").write_text("import agentkit as ak\np = ak.Pipeline('always', input={'n': int})")
    code, _, err = agentkit("run", "priced:always", "1")
    assert code == 2
    assert "no agent or pipeline 'always' in priced; the one that is called so is priced:p" in err


def test_a_wrong_edit_is_refused_before_it_is_an_answer(agentkit):
    """2, what is wrong with it, and the question still waits."""
    agentkit("run", "shop:support", "hi")
    code, _, err = agentkit("approve", "--edit", '{"amount": "a lot"}')
    assert (code, "are not valid" in err) == (2, True)
    assert len(json.loads(agentkit("pending", "--json")[1])) == 1


def test_an_answer_is_one_of_the_options(agentkit):
    """By its number, or in its words; another is refused, and says what there is to choose from."""
    agentkit("run", "shop:chooser", "hi")
    assert "'red'|'blue'" in agentkit("pending")[1]
    [asked] = json.loads(agentkit("pending", "--json")[1])
    code, _, err = agentkit("answer", asked["id"], "green")
    assert (code, "choose from: 'red', 'blue'" in err) == (2, True)
    assert agentkit("answer", asked["id"], "2")[:2] == (0, "Thanks.\n")
    _, out, _ = agentkit("sql", "SELECT verdict, through FROM approvals", "--json")
    assert json.loads(out) == [{"verdict": "answer", "through": "cli"}]


def test_where_the_agent_is_not_the_answer_is_kept_for_later(agentkit, shop):
    """3: nobody goes on with the run yet, and what to run is said."""
    agentkit("run", "shop:support", "hi")
    (shop / "shop.py").rename(shop / "moved.py")
    code, _, err = agentkit("approve")
    assert (code, "does not load here" in err) == (3, True)
    (shop / "moved.py").rename(shop / "shop.py")
    assert agentkit("resume")[0] == 0


def test_who_only_looks_makes_no_log(agentkit, shop):
    """A wrong folder, or a typo in --log, is said."""
    (shop / ".agentkit").rmdir()
    assert "there is no log in this folder" in agentkit("runs")[2]
    code, _, err = agentkit("runs", "--log", "typo")
    assert (code, "there is no log at typo" in err) == (2, True)
    assert not (shop / "typo").exists()
    assert not (shop / ".agentkit").exists()


def test_a_module_that_raises_is_a_wrong_command(agentkit, shop):
    """Where and what, in one line."""
    (shop / "bad.py").write_text("import agentkit\n\nx = 1 / 0\n")
    code, _, err = agentkit("run", "bad:x", "hi")
    (shop / "leaves.py").write_text("raise SystemExit(0)")
    assert agentkit("run", "leaves:x", "hi")[0] == 2
    assert (code, err) == (2, "agentkit: bad cannot be imported: ZeroDivisionError, line 3: division by zero\n")


def test_who_comes_second_is_told_who_was_first(agentkit):
    """By the beginning of the question's id, whatever became of the run; without an id, nothing waits."""
    agentkit("run", "shop:asker", "hi")
    [asked] = json.loads(agentkit("pending", "--json")[1])
    assert agentkit("answer", asked["id"], "red")[0] == 0
    code, _, err = agentkit("answer", asked["id"][:4], "blue")
    assert code == 2
    assert f"{asked['id']} was already answered: answer by {getpass.getuser()}, " in err
    for key in ([], ["ffff"], ["%"]):
        code, _, err = agentkit("approve", *key)
        assert (code, "nothing waits for a person" in err) == (2, True)


def test_several_questions_are_listed(agentkit):
    """Without an id the command says which there are, and takes the beginning of one."""
    agentkit("run", "shop:support", "one")
    agentkit("run", "shop:support", "two")
    code, _, err = agentkit("approve")
    assert code == 2
    assert err.count("call: refund(") == 2
    code, out, _ = agentkit("pending")
    first = out.split()[0]
    assert agentkit("approve", first[:8])[0] == 0


def test_the_log_is_asked_with_parameters(agentkit):
    """A value is JSON where it is JSON; results come as a table, as JSON, as CSV."""
    agentkit("run", "shop:echo", "hi")
    query = "SELECT name, model_calls FROM runs WHERE name = $name AND model_calls < $most"
    code, out, err = agentkit("sql", query, "-p", "name=echo", "-p", "most=5", "--csv")
    assert (code, out.replace("\r", "")) == (0, "name,model_calls\necho,1\n")
    code, out, err = agentkit("sql", "-", "-p", "name=echo", "-p", "most=5", given=query)
    assert (out.split(), err) == (["name", "model_calls", "echo", "1"], "(1 row)\n")


def test_events_and_prompts_are_printed(agentkit):
    """One JSON object a line; a prompt is rebuilt."""
    agentkit("run", "shop:echo", "hi")
    _, out, _ = agentkit("events")
    assert [json.loads(line)["type"] for line in out.splitlines()] == [
        "run_started",
        "model_requested",
        "model_responded",
        "decided",
        "run_succeeded",
    ]
    run_id = json.loads(out.splitlines()[0])["run_id"]
    code, out, err = agentkit("prompt", run_id, "model/1")
    assert (code, err) == (0, "")
    assert json.loads(out)["messages"] == [{"content": "hi"}]


def test_a_conversation_goes_on_and_a_run_is_forked(agentkit):
    """--after takes up the answer, `fork` the events up to one."""
    _, out, _ = agentkit("run", "shop:echo", "hi", "--json")
    first = json.loads(out)["run_id"]
    _, out, _ = agentkit("run", "shop:echo", "and now?", "--after", first, "--json")
    assert json.loads(out)["status"] == "succeeded"
    code, out, _ = agentkit("fork", first, "--at", "1")
    assert (code, out) == (0, "hi\n")


def test_a_runs_graph_is_printed_as_lines_mermaid_or_svg(agentkit):
    """An agent's and a pipeline's alike; --json has the steps instead."""
    agentkit("run", "shop:support", "hi", "--approve", "all")
    code, out, _ = agentkit("show", "--graph", "text")
    assert (code, "✓ refund" in out, "✓ end" in out) == (0, True, True)
    assert agentkit("show", "--graph", "mermaid")[1].startswith("flowchart TD\n")
    agentkit("run", "shop:twice", "21")
    assert agentkit("show", "--graph", "svg")[1].startswith("<svg ")
    code, _, err = agentkit("show", "--graph", "svg", "--json")
    assert (code, "give one of them" in err) == (2, True)


def test_pruning_asks_first(agentkit):
    """Without --yes nothing is removed unasked."""
    agentkit("run", "shop:echo", "hi")
    code, _, err = agentkit("prune", "--status", "succeeded", given="n\n")
    assert (code, "give --yes" in err) == (2, True)
    code, _, err = agentkit("prune", "--status", "succeeded", "--yes")
    assert (code, err) == (0, "1 run removed\n")
    assert "no runs yet" in agentkit("runs")[2]


def started(shop, *arguments, mark="tool_started"):
    """A command in the background, once its run is so far."""
    process = subprocess.Popen(
        [*COMMAND, *arguments], cwd=shop, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if any(mark in file.read_text() for file in Path(shop, ".agentkit/journal").glob("*.jsonl")):
            return process
        time.sleep(0.05)
    process.kill()
    raise TimeoutError(process.communicate()[1])


def test_a_person_at_a_terminal_is_asked(shop):
    """The tree is live; what will run is shown argument by argument; an edit is what runs."""
    screen = pexpect.spawn(COMMAND[0], [*COMMAND[1:], "run", "shop:support", "hi"], cwd=str(shop), encoding="utf-8")
    screen.setwinsize(40, 110)
    screen.expect("amount = 80.0", timeout=60)
    screen.expect("reject.?")
    screen.sendline("e")
    screen.expect("as JSON")
    screen.sendline('{"amount": 20}')
    screen.expect(r"approved by \w+ with \{'amount': 20\}")
    screen.expect(r"Done.\\x1b\[31m red")
    screen.expect(pexpect.EOF)
    screen.close()
    assert screen.exitstatus == 0


def test_ctrl_c_pauses_and_resume_goes_on(agentkit, shop):
    """130: what is in flight ends, the rest is done by `agentkit resume`, once."""
    process = started(shop, "run", "shop:sleeper", "hi")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "agentkit resume" in err
    code, out, _ = agentkit("resume")
    assert (code, out) == (0, "rested\n")
    _, out, _ = agentkit("sql", "SELECT count(*) FROM events WHERE type = 'tool_started'", "--csv")
    assert out.split() == ["count_star()", "2"]


def test_a_long_run_says_each_step_where_nothing_can_be_redrawn(agentkit):
    """Into a file or a pipe: a line when a step is done, the tree at the end."""
    code, out, err = agentkit("run", "shop:walker", "hi")
    assert (code, out) == (0, "there\n")
    assert "✓ tool/wait/1 wait · 5" in err.partition("✓ walker")[0]


def test_a_killed_run_is_resumed(agentkit, shop):
    """SIGKILL in the middle of a read: it runs again, and the run ends."""
    process = started(shop, "run", "shop:sleeper", "hi")
    process.kill()
    process.communicate(timeout=60)
    assert "interrupted" in agentkit("show")[1]
    code, out, _ = agentkit("resume")
    assert (code, out) == (0, "rested\n")


def test_a_run_is_cancelled_from_another_process(agentkit, shop):
    """The one who executes it leaves with 4."""
    process = started(shop, "run", "shop:sleeper", "hi")
    with contextlib.closing(ak.open_log(shop / ".agentkit")) as log:  # in no time: the run ends after some seconds
        [(run_id, *_)] = log.runs()
    assert agentkit("cancel", run_id, "--why", "wrong order")[0] == 0
    process.communicate(timeout=60)
    assert process.returncode == 4


def test_a_reader_that_leaves_is_no_error(agentkit, shop):
    """`agentkit events | head -1`."""
    agentkit("run", "shop:echo", "hi")
    done = subprocess.run(
        f"{' '.join(COMMAND)} events | head -1", cwd=shop, shell=True, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""


def test_what_a_model_said_does_nothing_to_the_terminal(agentkit):
    """No command lets an escape through."""
    agentkit("run", "shop:support", "hi", "--approve", "all")
    asked = ("sql", "SELECT text, body FROM model_calls JOIN events USING (run_id, seq)")
    for command in (("show",), ("show", "--json"), ("events",), asked, (*asked, "--csv"), (*asked, "--json")):
        _, out, err = agentkit(*command)
        assert "red" in out
        assert "\x1b" not in out + err, command


def test_the_version_is_printed(agentkit):
    """And every command has help."""
    assert agentkit("--version")[1].startswith("agentkit 0.")
    code, out, _ = agentkit("approve", "--help")
    assert code == 0
    assert "Let a call run" in out


def lines(out):
    return [json.loads(line) for line in out.splitlines()]


def test_a_pipeline_is_run_with_its_inputs(agentkit, shop):
    """By name, from an object in a file or on standard input, or as the only input; its tree is shown."""
    code, out, err = agentkit("run", "shop:greet", "--set", "name=12", "--set", "times=2")
    assert (code, out) == (0, "Hello 12Hello 12\n")
    assert "✓ greet" in err
    (shop / "given.json").write_text('{"name": "Ann", "times": 3}')
    assert agentkit("run", "shop.py:greet", "--input", "given.json", "--set", "times=1")[:2] == (0, "Hello Ann\n")
    assert agentkit("run", "shop:greet", "--input", "-", given='{\n"name": "Eve"\n}')[:2] == (0, "Hello Eve\n")
    assert agentkit("run", "shop:twice", "21")[:2] == (0, "42\n")
    code, out, err = agentkit("run", "shop:twice", "--", "-1")
    assert (code, out) == (1, "")
    assert "below nothing" in err


def test_a_pipelines_run_is_shown_answered_and_resumed(agentkit):
    """The verbs know it as they know an agent's."""
    code, _, err = agentkit("run", "shop:greet", "--set", "name=Bob")
    assert (code, "agentkit approve " in err) == (3, True)
    assert "greet" in agentkit("runs")[1]
    assert "? greet" in agentkit("show")[1]
    assert "greeting" in agentkit("pending")[1]
    assert agentkit("approve")[:2] == (0, "Hello Bob\n")
    assert "succeeded" in agentkit("runs")[1]


def test_a_file_of_lines_is_a_run_a_line(agentkit, shop):
    """JSON lines in, JSON lines out, in order; 1 where one failed; the same command again does only the rest."""
    (shop / "items.jsonl").write_text('{"n": 1}\n\n-2\n3\n')
    code, out, err = agentkit("run", "shop:twice", "--input", "items.jsonl", "--concurrency", "2")
    assert code == 1
    found = lines(out)
    assert [line["index"] for line in found] == [0, 1, 2]
    assert [line.get("output") for line in found] == [2, None, 6]
    assert found[1]["error"] == "ValueError: doubled: below nothing"
    assert "twice: 2 of 3 done, 1 failed" in err
    (shop / "items.jsonl").write_text('{"n": 1}\n-2\n3\n4\n')
    code, out, _ = agentkit("run", "shop:twice", "--input", "items.jsonl")
    assert (code, lines(out)[:3], lines(out)[3]["output"]) == (1, found, 8)
    _, out, _ = agentkit("sql", "SELECT count(*) AS runs FROM runs", "--json")
    assert json.loads(out) == [{"runs": 4}]


@pytest.mark.parametrize("given", ["[1, 2]", "1\n2\n", '{"n": 1}\n{"n": 2}\n'])
def test_many_items_come_from_standard_input_too(agentkit, given):
    """An array, or several lines; 0 when all succeeded."""
    code, out, _ = agentkit("run", "shop:twice", "--input", "-", given=given)
    assert code == 0
    assert [line["output"] for line in lines(out)] == [2, 4]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1\n\n{oops}\n2\n", "items.jsonl, line 3: no JSON: key must be a string"),
        ('1\n"two"\n', "items.jsonl, line 2: twice: "),
        ('{"m": 1}\n', "items.jsonl, line 1: twice: "),
    ],
)
def test_a_wrong_line_is_said_before_anything_starts(agentkit, shop, text, says):
    """2, with file, line and problem."""
    (shop / "items.jsonl").write_text(text)
    code, out, err = agentkit("run", "shop:twice", "--input", "items.jsonl")
    assert (code, out) == (2, "")
    assert says in err
    assert "no runs yet" in agentkit("runs")[2]


def test_items_that_wait_are_answered_and_the_same_command_goes_on(agentkit, shop):
    """3 says that some wait; what to type is printed; by rule nobody needs to."""
    (shop / "items.jsonl").write_text('{"name": "Bob"}\n{"name": "Ann"}\n')
    code, out, err = agentkit("run", "shop:greet", "--input", "items.jsonl")
    assert (code, [line["status"] for line in lines(out)]) == (3, ["paused", "succeeded"])
    assert "agentkit approve " in err
    assert agentkit("approve")[:2] == (0, "Hello Bob\n")
    code, out, _ = agentkit("run", "shop:greet", "--input", "items.jsonl")
    assert (code, [line["output"] for line in lines(out)]) == (0, ["Hello Bob", "Hello Ann"])
    (shop / "items.jsonl").write_text('{"name": "Bob", "times": 2}\n')
    code, out, _ = agentkit("run", "shop:greet", "--input", "items.jsonl", "--approve", "all")
    assert (code, lines(out)[0]["output"]) == (0, "Hello BobHello Bob")


def test_an_agent_runs_a_line_each_too(agentkit, shop):
    """What agents are given is any JSON."""
    (shop / "items.jsonl").write_text('"one"\n"two\x7f"\n')
    code, out, _ = agentkit("run", "shop:echo", "--input", "items.jsonl")
    assert (code, [line["output"] for line in lines(out)]) == (0, ["one", "two\x7f"])
    assert "\x7f" not in out


def test_ctrl_c_stops_many_runs_and_the_same_command_finishes_them(agentkit, shop):
    """130, nothing on standard output; the second call does each of the others once."""
    (shop / "items.jsonl").write_text("".join(f"{n}\n" for n in range(30)))
    process = started(shop, "run", "shop:naps", "--input", "items.jsonl", "--concurrency", "3", mark="step_succeeded")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, ""), err
    assert "call map again" not in err
    assert "the same command goes on" in err
    code, out, _ = agentkit("run", "shop:naps", "--input", "items.jsonl", "--concurrency", "10")
    assert (code, [line["output"] for line in lines(out)]) == (0, list(range(30)))
    _, out, _ = agentkit(
        "sql",
        "SELECT max(n) AS most FROM (SELECT count(*) AS n FROM events WHERE type = 'step_started' GROUP BY run_id)",
        "--json",
    )
    assert json.loads(out) == [{"most": 1}]


def test_a_bar_shows_how_far_many_runs_are(shop):
    """On a terminal; the results are on standard output all the same."""
    (shop / "items.jsonl").write_text("".join(f"{n}\n" for n in range(10)))
    command = [*COMMAND[1:], "run", "shop:naps", "--input", "items.jsonl", "--concurrency", "2"]
    screen = pexpect.spawn(COMMAND[0], command, cwd=str(shop), encoding="utf-8", dimensions=(40, 110))
    screen.expect("naps [1-9] of 10 done, 2 running", timeout=60)
    screen.expect('"index": 9')
    screen.expect("10 of 10 done")
    screen.expect(pexpect.EOF)
    screen.close()
    assert screen.exitstatus == 0


def test_a_pipelines_run_is_forked_from_a_step_or_another_input(agentkit, shop):
    """As in a notebook: `--at STEP`, `--set NAME=VALUE`, or what failed or changed."""
    (shop / "steps.py").write_text(
        "import agentkit as ak\n"
        "double = ak.Pipeline('double', input={'x': int, 'word': (str, 'a')})\n"
        "@double.step\n"
        "def twice(x: int) -> int:\n"
        "    return 2 * x\n"
        "@double.step\n"
        "def said(twice: int, word: str) -> str:\n"
        "    return word * twice\n"
    )
    code, out, _ = agentkit("run", "steps:double", "--set", "x=1")
    assert (code, out) == (0, "aa\n")
    (run_id,) = agentkit("sql", "SELECT run_id FROM runs WHERE name = 'double'", "--csv")[1].split()[1:]
    assert agentkit("fork", run_id, "--set", "word=b")[:2] == (0, "bb\n")
    assert agentkit("fork", run_id, "--at", "twice")[:2] == (0, "aa\n")
    code, _, err = agentkit("fork", run_id)
    assert code == 2
    assert "say from which step on" in " ".join(err.split())


def test_what_failed_of_many_is_tried_again_where_that_is_said(agentkit, shop):
    """The same command keeps a failure; with `--retry` it is done once more, and nothing else is."""
    (shop / "flaky.py").write_text(
        "import pathlib\n"
        "import agentkit as ak\n"
        "once = ak.Pipeline('once', input={'x': int})\n"
        "@once.step\n"
        "def work(x: int) -> int:\n"
        "    with open('done.txt', 'a') as file:\n"
        "        file.write(f'{x} ')\n"
        "    if x == 2 and not pathlib.Path('mended').exists():\n"
        "        raise ValueError('broken')\n"
        "    return x * 10\n"
    )
    (shop / "items.jsonl").write_text("1\n2\n3\n")
    command = ("run", "flaky:once", "--input", "items.jsonl", "--concurrency", "1")
    assert agentkit(*command)[0] == 1
    assert agentkit(*command)[0] == 1
    (shop / "mended").touch()
    code, out, _ = agentkit(*command, "--retry")
    assert code == 0
    assert [line["output"] for line in map(json.loads, out.splitlines())] == [10, 20, 30]
    assert (shop / "done.txt").read_text().split() == ["1", "2", "3", "2"]
