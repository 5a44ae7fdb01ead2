"""The audit as a pipeline: no row is wrong whatever the model says, nothing is asked or written twice."""

import json
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import demo_models
import local_weights
import pexpect
import pytest
from licence_data import Shelf, labels, packages

import agentkit as ak
from agentkit import registry
from agentkit.demo import pipeline as demo
from agentkit.demo.packages import Package, installed
from agentkit.demo.pipeline import audit
from agentkit.demo.summary import decided_by, summary
from agentkit.testing import FunctionModel

SOON = 60
LABELS = labels()


@pytest.fixture(autouse=True)
def play(monkeypatch):
    """Models that need no weights, by name: a pipeline's input is JSON."""
    monkeypatch.setitem(registry.MODELS, "play:", "demo_models:open_asked")


@pytest.fixture
def log():
    return ak.open_log("memory:")


@pytest.fixture
def all_to_the_model(monkeypatch):
    """Plain code decides no row: every package goes to the model."""
    monkeypatch.setattr(demo, "plain_category", lambda _package: None)


def audited(model, log, folder, shelf, *, approve=True, person=None, soon=SOON):
    """Run the pipeline over some packages; `person` answers a package's question, or does not."""
    run = audit.run(model=model, path=str(folder / "r.md"), deps=shelf, log=log)
    while True:
        try:
            run.result(soon)
            return run
        except ak.RunPaused as paused:
            for asked in paused.pending:
                answer_one(run, asked, approve, person)


def answer_one(run, asked, approve, person):
    if asked.kind == "question":
        answer = person(re.search(r"has (\S+) ", asked.prompt)[1]) if person else None
        run.answer(asked.id, answer) if answer else run.reject(asked.id, reason="nobody knows")
    elif approve:
        run.approve(asked.id)
    else:
        run.reject(asked.id, reason="not now")


def rows_of(run):
    """package → (category, who decided)."""
    return {row["package"]: (row["category"], row["by"]) for row in run.state.calls["rows"].result}


def wrong(rows):
    return {package: row for package, row in rows.items() if row[0] not in {"unknown", LABELS[package]}}


def messy(name, **more):
    return Package(
        name=name, version="1.0", **{"license": "Distributed under the MIT terms, see the site of it", **more}
    )


# whatever the model says ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [demo_models.honest, *demo_models.LIARS], ids=lambda answer: answer.__name__)
def test_no_row_is_wrong_whatever_the_model_says(answer, log, tmp_path, all_to_the_model):
    """Sixty messy packages, labelled by hand, read by a model that may lie: a row is right, or nobody decided it."""
    run = audited(f"play:{answer.__name__}", log, tmp_path, Shelf(packages()))
    rows = rows_of(run)
    assert len(rows) == 60
    assert wrong(rows) == {}
    by = Counter(who for _, who in rows.values())
    print(f"\n{answer.__name__}: {dict(by)}, {run.usage.model_calls} model calls")
    said = [json.loads(model.text)["category"] for model in run.state.models.values()]
    assert len(said) >= 60
    if answer is demo_models.honest:
        assert by["nobody"] <= 30  # what is contradictory in itself; the rest is decided
    else:
        assert lies(run) >= 10  # the checks had something to catch


def lies(run):
    """How many of the model's answers were not the category that a person found."""
    names = [package["name"] for package in run.state.calls["messy"].result]
    return sum(
        json.loads(model.text)["category"] != LABELS[names[int(re.match(r"read\[(\d+)\]", path)[1])]]
        for path, model in run.state.models.items()
    )


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 10))])
def test_no_draw_of_nonsense_gets_through(seed, log, tmp_path, all_to_the_model):
    """Other words, other categories, each time: the checks do not depend on luck."""
    liar = demo_models.LIARS[seed % len(demo_models.LIARS)].__name__
    assert wrong(rows_of(audited(f"play:{liar}/{seed + 1}", log, tmp_path, Shelf(packages())))) == {}


def test_what_is_clear_is_asked_of_nobody(log, tmp_path):
    """Plain code's rows are right, and the model reads the others only."""
    run = audited("play:honest", log, tmp_path, Shelf(packages()))
    clear = {row["package"]: row["category"] for row in run.state.calls["clear"].result}
    assert clear
    assert {name: category for name, category in clear.items() if category != LABELS[name]} == {}
    assert not set(clear) & {package["name"] for package in run.state.calls["messy"].result}
    assert run.state.fans["read"].total == 60 - len(clear)


def test_a_second_try_is_told_apart(log, tmp_path, monkeypatch):
    """The first answer is refused with the reason, the second holds: the summary counts it so."""
    tries = iter([("no such words", "permissive"), ("MIT terms", "permissive")])

    def respond(_request):
        return dict(zip(("quotation", "category"), next(tries), strict=True))

    monkeypatch.setattr(demo_models, "open_asked", lambda name: FunctionModel(respond, name=name))
    run = audited("play:twice", log, tmp_path, Shelf([messy("one")]))
    assert decided_by(run)["the model at its second try"] == 1
    assert "1 by the model at its second try" in summary(log, run)
    [[(_, refusal)]] = [model.refusals for model in run.state.models.values() if model.refusals]
    assert refusal.message.startswith("'no such words' is not in what the package says")


def test_a_model_that_cannot_be_asked_ends_the_job(log, tmp_path, monkeypatch):
    """A key that is missing is no question about a package; when it is there, only that is done again."""
    given = []

    def respond(request):
        if not given:
            raise ak.AgentKitError("set SOME_KEY in the environment")
        return {"quotation": "MIT terms", "category": "permissive"}

    monkeypatch.setattr(demo_models, "open_asked", lambda name: FunctionModel(respond, name=name))
    run = audit.run(model="play:key", path=str(tmp_path / "r.md"), deps=Shelf([messy("one"), messy("two")]), log=log)
    with pytest.raises(ak.RunFailed, match=r"doubts: the model cannot be asked: set SOME_KEY"):
        run.result(SOON)
    given.append("a key")
    fork = run.fork(at="read")
    with pytest.raises(ak.RunPaused):
        fork.result(SOON)
    fork.approve()
    assert fork.result(SOON).by == {"model": 2}


# people --------------------------------------------------------------------------------------------------------------


def test_a_person_decides_what_fails_the_check(log, tmp_path):
    """All are asked at once; their answers are rows, and what nobody answers stays unknown."""
    run = audited("play:honest", log, tmp_path, Shelf(packages()), person=LABELS.get)
    rows = rows_of(run)
    assert wrong(rows) == {}
    by_people = [package for package, (_, by) in rows.items() if by == "person"]
    assert len(by_people) >= 10
    assert decided_by(run)["a person"] == len(by_people)
    asked = [approval for approval in run.state.approvals.values() if approval.kind == "question"]
    assert len(asked) == run.state.fans["answers"].total
    assert max(one.requested_at for one in asked) < min(one.answered_at for one in asked)


def test_a_second_audit_asks_nothing_that_was_answered(log, tmp_path):
    """What the model found and what a person said are used again, and counted so; another model is asked anew."""
    texts = {"LICENSE": "The rest is under the GPL."}
    mixed = messy("three", license="MIT and GPL terms")  # no words of it name one kind: every answer is refused
    shelf = Shelf([messy("one"), messy("two", texts=texts), mixed])
    first = audited("play:honest", log, tmp_path, shelf, person=lambda _name: "strong copyleft")
    assert first.usage.model_calls == 4
    again = audited("play:honest", log, tmp_path, shelf)  # nobody is there to be asked
    assert again.usage.model_calls == 0
    by_person = ("strong copyleft", "person")
    assert rows_of(again) == rows_of(first) == {"one": ("permissive", "model"), "two": by_person, "three": by_person}
    assert decided_by(again)["the model in an earlier audit"] == 1
    assert decided_by(again)["a person in an earlier audit"] == 2
    assert audited("play:honest/1", log, tmp_path, shelf).usage.model_calls == 4


def test_who_says_no_gets_no_report(log, tmp_path):
    """The run ends all the same, with the rows, and nothing is written."""
    run = audited("play:honest", log, tmp_path, Shelf([messy("one")]), approve=False)
    assert run.output.report is None
    assert list(tmp_path.glob("*.md*")) == []
    assert "report: not written" in summary(log, run)


def test_a_file_that_is_no_report_is_not_overwritten(log, tmp_path):
    """Somebody else's words stay; a fork writes to another place, and reads nothing again."""
    (tmp_path / "r.md").write_text("my notes")
    run = audit.run(model="play:honest", path=str(tmp_path / "r.md"), deps=Shelf([messy("one")]), log=log)
    with pytest.raises(ak.RunPaused):
        run.result(SOON)
    run.approve()
    with pytest.raises(ak.RunFailed, match="is there and no report of this tool"):
        run.result(SOON)
    assert (tmp_path / "r.md").read_text() == "my notes"
    fork = run.fork(input={"path": str(tmp_path / "other.md")})
    with pytest.raises(ak.RunPaused):
        fork.result(SOON)
    fork.approve()
    assert fork.result(SOON).report == str(tmp_path / "other.md")
    assert run.usage.model_calls == 1
    assert [event.type for event in fork.events() if event.type == "model_requested"] == []


def test_a_package_that_is_gone_meanwhile_changes_nothing(log, tmp_path):
    """What the first step saw is recorded, and the rest works from that."""
    shelf = Shelf([messy("one")])
    run = audit.run(model="play:honest", path=str(tmp_path / "r.md"), deps=shelf, log=log)
    with pytest.raises(ak.RunPaused):
        run.result(SOON)
    shelf._packages.clear()
    run.approve()
    assert run.result(SOON).by == {"model": 1}


def test_odd_packages_are_rows_like_others(log, tmp_path):
    """A secret in a licence field, an escape in a name, no words at all: none of them ends the audit or gets out."""
    shelf = Shelf(
        [
            messy("secret", license="MIT, see http://me:pass@host/x, and GPL"),
            messy("e\x1b[31msc", license="MIT terms and GPL"),
            messy("silent", license=None),
        ]
    )
    run = audited("play:honest", log, tmp_path, shelf, person=lambda _name: "permissive")
    assert len(rows_of(run)) == 3
    assert "nobody" not in {by for _, by in rows_of(run).values()}
    text = (tmp_path / "r.md").read_text()
    assert "\x1b" not in text
    assert "me:pass" not in text + str([event.body for event in run.events()])


def test_every_installed_package_has_a_row(log, tmp_path):
    """The machine's own: each once, whoever decides."""
    run = audited("play:honest", log, tmp_path, None)
    assert len(rows_of(run)) == len(installed()) > 100
    assert rows_of(run)["pluggy"] == ("permissive", "plain code")


# the command ---------------------------------------------------------------------------------------------------------

RUN = """
import sys
from agentkit import registry
registry.MODELS["play:"] = "demo_models:open_asked"
from licence_data import Shelf, packages
from agentkit.demo import reader
reader._found.append(Shelf(packages()[:24]))
sys.argv[0] = "agentkit"
from agentkit.cli.app import main
main()
"""
DEMO = ("demo", "pipeline", "--model", "play:honest")


def environment(folder):
    (folder / ".agentkit").mkdir(parents=True, exist_ok=True)
    return {"PYTHONPATH": str(Path(__file__).parent), "PATH": "", "HOME": str(folder), "TERM": "xterm"}


def command(folder, *arguments):
    """A command in a process of its own, with packages of the tests and a model that costs nothing."""
    env = environment(folder)
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", RUN, *arguments],
        cwd=folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process, code=0):
    out, err = process.communicate(timeout=120)
    assert process.returncode == code, err
    return out, err


def test_the_command_says_what_was_decided_by_whom_and_what_next(tmp_path):
    """--approve all: unanswered questions stay unknown, the report is written; the log answers a question in SQL."""
    out, err = ended(command(tmp_path, *DEMO, "--approve", "all"))
    assert err.startswith("model: play:honest (--model names it)\n")
    assert re.search(r"^24 packages: \d+ \w+", out)
    assert re.search(
        r"^decided: \d+ by plain code, \d+ by the model at its first try, \d+ by nobody$", out, re.MULTILINE
    )
    assert re.search(r"^took .* tokens · \$0, \d+ model calls$", out, re.MULTILINE)
    assert "report: " + str(tmp_path / "licences.md") in out
    assert "FROM steps WHERE run_id = '" in out
    assert re.search(r"^  read +step +\d+ ", out, re.MULTILINE)
    assert "agentkit show " in out
    again, _ = ended(command(tmp_path, *DEMO, "--approve", "all"))
    assert "by the model in an earlier audit" in again


def test_with_approve_none_nothing_is_written(tmp_path):
    """And the run ends well."""
    out, _ = ended(command(tmp_path, *DEMO, "--approve", "none", "--json"))
    told = json.loads(out)
    assert (told["status"], told["output"]["report"]) == ("succeeded", None)
    assert told["output"]["packages"] == 24
    assert not (tmp_path / "licences.md").exists()


def test_without_a_terminal_it_stops_paused_and_says_how_to_go_on(tmp_path):
    """No --approve, nobody to ask: 3, and the commands; `resume --approve all` finishes, the model is known."""
    _, err = ended(command(tmp_path, *DEMO, "--limit", "2"), 3)
    assert "it waits for a person:" in err
    assert re.search(r"agentkit (answer|approve) \w+", err)
    assert not (tmp_path / "licences.md").exists()
    out, _ = ended(command(tmp_path, "resume", "--approve", "all"))
    assert re.search(r"^24 packages: ", out)
    assert (tmp_path / "licences.md").exists()


def test_at_a_terminal_it_asks(tmp_path):
    """A question with its options, then the report, answered by typing; no answer leaves it unknown."""
    screen = pexpect.spawn(
        sys.executable,
        ["-W", "ignore", "-c", RUN, *DEMO],
        cwd=str(tmp_path),
        env=environment(tmp_path),
        encoding="utf-8",
        timeout=60,
        dimensions=(40, 120),
    )
    questions = 0
    while screen.expect([r"answer \(1 to 5; empty: no answer\): ", r"\[a\] approve.*\? "]) == 0:
        screen.sendline("1" if questions == 0 else "")
        questions += 1
    assert questions > 1
    screen.sendline("a")
    screen.expect(rf"1 by a person, {questions - 1} by nobody")
    screen.expect(pexpect.EOF)
    assert "| person |" in (tmp_path / "licences.md").read_text()


def test_options_before_the_word_are_refused(tmp_path):
    """They would be lost without a word; and `agentkit demo` without one is the agent's, as before."""
    _, err = ended(command(tmp_path, "demo", "--limit", "2", "pipeline"), 2)
    assert "options go after the word: agentkit demo pipeline --…" in err


def table(folder):
    """The report without the mark of the call that wrote it."""
    return (folder / "licences.md").read_text().partition("<!--")[0]


@pytest.mark.timeout(600)
def test_killed_ten_times_the_report_is_the_same_and_nothing_is_done_twice(tmp_path):
    """At random moments, the resumed processes too: no model is asked again, no report written again."""
    began = time.monotonic()
    ended(command(tmp_path / "whole", *DEMO, "--approve", "all"))
    took = time.monotonic() - began
    rng = random.Random(7)
    kills = jobs = 0
    while kills < 10:
        folder = tmp_path / f"job{jobs}"
        jobs += 1
        kills += killed_and_resumed(folder, rng, took)
        assert table(folder) == table(tmp_path / "whole")
        log = ak.open_log(folder / ".agentkit")
        [[run_id]] = log.sql("SELECT CAST(run_id AS VARCHAR) FROM runs")
        events = log.run(run_id).events()
        answered = [event.step for event in events if event.type == "model_responded"]
        assert len(answered) == len(set(answered)) > 0
        ends = Counter(event.step for event in events if event.type == "step_succeeded")
        assert set(ends.values()) == {1}
        log.close()
    print(f"\n{kills} kills in {jobs} jobs, each of about {took:.1f} s")


def killed_and_resumed(folder, rng, took):
    """Begin the job, kill whoever does it at random moments, and let the last one finish; how many were killed."""
    kills = 0
    process = command(folder, *DEMO, "--approve", "all")
    while True:
        try:
            process.wait(rng.uniform(0.3, 1.1) * took if kills < 6 else 120)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            kills += 1
        _, err = process.communicate(timeout=60)
        if process.returncode == 0:
            return kills
        assert process.returncode == -signal.SIGKILL, (process.returncode, err[-2000:])
        statuses = recorded(folder)
        if statuses == ["succeeded"]:  # it died after the last event
            return kills
        process = command(folder, *(("resume", "--approve", "all") if statuses else (*DEMO, "--approve", "all")))


def recorded(folder):
    log = ak.open_log(folder / ".agentkit")
    try:
        return [status for (status,) in log.sql("SELECT status FROM runs")]
    finally:
        log.close()


# a real model --------------------------------------------------------------------------------------------------------


def real(chosen, log, folder):
    local_weights.smollm2()
    run = audited("local/smollm2", log, folder, Shelf(chosen), soon=600)
    rows = rows_of(run)
    print(f"\n{decided_by(run)}, {run.usage.model_calls} model calls")
    assert len(rows) == len(chosen)
    assert wrong(rows) == {}


@pytest.mark.timeout(600)
def test_a_real_model_makes_no_row_wrong(log, tmp_path, all_to_the_model):
    """The smallest one that runs here, on two of the packages."""
    real(packages()[::30], log, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_real_model_makes_no_row_of_twelve_wrong(log, tmp_path, all_to_the_model):
    """The same on twelve others."""
    real(packages()[2::5], log, tmp_path)
