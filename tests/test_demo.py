"""The demo: its rows are right whatever the model says, a person decides the rest, and the report is written once."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import demo_models
import local_weights
import pytest
from licence_data import Shelf, labels, packages

import agentkit as ak
from agentkit.demo import metadata
from agentkit.demo.categories import of_expression
from agentkit.demo.job import make_audit, package_of
from agentkit.demo.packages import Package, installed
from agentkit.demo.reading import categories
from agentkit.demo.report import Row, report
from agentkit.demo.summary import decided_by, summary

SOON = 60
LABELS = labels()
PEOPLE = {"permissive", "weak copyleft", "strong copyleft", "proprietary"}


def audit(model, log, folder, shelf, *, approve=True, person=None):
    """Run the demo's job over some packages; `person` answers a package's question, or does not."""
    run = make_audit(model).run(
        {"model": "a test's", "limit": None, "report": str(folder / "r.md")}, deps=shelf, log=log
    )
    while True:
        try:
            run.result(SOON)
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
    """The rows of a run's report: package → (category, who decided)."""
    calls = run.state.calls.values()
    text = next(call.arguments["report"] for call in calls if call.name == "write_report")
    rows = re.findall(r"^\| (\S+) \| [^|v]\S* \| ([a-z ]+) \| ([a-z ]+) \|", text, re.MULTILINE)
    return {package.replace("\\", ""): (category, by) for package, category, by in rows}


def wrong(rows):
    return {package: row for package, row in rows.items() if row[0] not in {"unknown", LABELS[package]}}


def lies(run):
    """How many of the model's answers were not the category that a person found."""
    said = [
        (child, json.loads(model.text))
        for child in run.children()
        for model in child.state.models.values()
        if model.text
    ]
    return sum(answer["category"] != LABELS[package_of(str(child.state.input))] for child, answer in said)


@pytest.fixture
def all_to_the_model(monkeypatch):
    """Plain code decides no row: every package goes to the reader."""
    monkeypatch.setattr("agentkit.demo.job.plain_category", lambda _package: None)


@pytest.mark.parametrize("answer", [demo_models.honest, *demo_models.LIARS], ids=lambda answer: answer.__name__)
def test_no_row_is_wrong_whatever_the_model_says(answer, log, tmp_path, all_to_the_model):
    """Sixty messy packages, labelled by hand, read by a model that may lie: a row is right, or nobody decided it."""
    run = audit(demo_models.reader(answer), log, tmp_path, Shelf(packages()))
    rows = rows_of(run)
    assert len(rows) == 60
    assert wrong(rows) == {}
    left = [package for package, (_, by) in rows.items() if by == "nobody"]
    print(f"\n{answer.__name__}: {60 - len(left)} decided, {len(left)} left to the person: {', '.join(left)}")
    if answer is demo_models.honest:
        assert len(left) <= 30  # what is contradictory in itself; the rest is decided
    else:
        assert lies(run) >= 10  # the checks had something to catch


@pytest.mark.parametrize("seed", range(20))
def test_no_draw_of_nonsense_gets_through(seed, log, tmp_path, all_to_the_model):
    """Other words, other categories, each time: the checks do not depend on luck."""
    answer = demo_models.LIARS[seed % len(demo_models.LIARS)]
    assert wrong(rows_of(audit(demo_models.reader(answer, seed=seed), log, tmp_path, Shelf(packages())))) == {}


def test_plain_code_alone_is_never_wrong():
    """What it calls clear, among the messy, is what a person said."""
    found = {package.name: metadata.plain_category(package) for package in packages()}
    clear = {name: plain[0] for name, plain in found.items() if plain is not None}
    assert clear
    assert {name: category for name, category in clear.items() if category != LABELS[name]} == {}


def test_a_person_decides_what_the_model_cannot(log, tmp_path):
    """Their answers are rows; what nobody answers stays unknown."""
    run = audit(demo_models.reader(demo_models.honest), log, tmp_path, Shelf(packages()), person=LABELS.get)
    rows = rows_of(run)
    assert wrong(rows) == {}
    by_people = {package for package, (_, by) in rows.items() if by == "person"}
    assert {rows[package][0] for package in by_people} <= PEOPLE | {"unknown"}
    assert len(by_people) >= 10
    assert decided_by(run)["a person"] == len(by_people)


def test_a_second_try_is_told_apart(log, tmp_path):
    """The first answer is refused with the reason, the second holds: the summary counts it so."""

    tries = iter([("no such words", "permissive"), ("MIT terms", "permissive")])
    shelf = Shelf([messy("one")])

    def answer(texts, rng):
        return next(tries)

    run = audit(demo_models.reader(answer), log, tmp_path, shelf)
    assert decided_by(run)["the model at its second try"] == 1
    assert "1 by the model at its second try" in summary(log, run)
    assert "no such words" in str([event.body for child in run.children() for event in child.events()])


def messy(name, **more):
    return Package(
        name=name, version="1.0", **{"license": "Distributed under the MIT terms, see the site of it", **more}
    )


def test_a_package_that_is_gone_is_a_row_of_its_own(log, tmp_path):
    """Removed while the audit waited: it stays unknown, and the rest goes on."""

    class Leaving(Shelf):
        def get(self, name):
            if name == "one" and not self.here:
                raise KeyError(name)
            return super().get(name)

    shelf = Leaving([messy("one"), messy("two")])
    shelf.here = True

    def answer(texts, rng):
        shelf.here = False
        return "MIT terms", "permissive"

    rows = rows_of(audit(demo_models.reader(answer), log, tmp_path, shelf))
    assert rows == {"one": ("unknown", "nobody"), "two": ("permissive", "model")}


def test_a_model_that_cannot_be_asked_ends_the_job(log, tmp_path):
    """A key that is missing is no question about a package."""

    def refuse(request):
        raise ak.AgentKitError("set SOME_KEY in the environment")

    model = demo_models.FunctionModel(refuse, name="refuses")
    with pytest.raises(ak.RunFailed, match=r"the model cannot be asked: .*set SOME_KEY"):
        audit(model, log, tmp_path, Shelf([messy("one"), messy("two")]))


def test_a_job_that_cannot_look_fails_with_the_reason(log, tmp_path):
    """No half report."""

    class Broken(Shelf):
        def names(self):
            raise OSError("the disk is gone")

    run = make_audit(demo_models.reader(demo_models.honest)).run(
        {"model": "", "limit": None, "report": str(tmp_path / "r.md")}, deps=Broken([]), log=log
    )
    with pytest.raises(ak.RunFailed, match="read_metadata failed: the disk is gone"):
        run.result(SOON)


def test_who_says_no_gets_no_report(log, tmp_path):
    """The run ends, and nothing is written."""
    run = audit(demo_models.reader(demo_models.honest), log, tmp_path, Shelf([messy("one")]), approve=False)
    assert run.output.report is None
    assert list(tmp_path.glob("*.md*")) == []
    assert "report: not written" in summary(log, run)


def test_a_file_that_is_no_report_is_not_overwritten(log, tmp_path):
    """Somebody else's words stay."""
    (tmp_path / "r.md").write_text("my notes")
    with pytest.raises(ak.RunFailed, match="is there and no report of this tool"):
        audit(demo_models.reader(demo_models.honest), log, tmp_path, Shelf([messy("one")]))
    assert (tmp_path / "r.md").read_text() == "my notes"


def test_an_earlier_report_is_replaced(log, tmp_path):
    """The demo can be run again."""
    for name in ("one", "two"):
        run = audit(demo_models.reader(demo_models.honest), log, tmp_path, Shelf([messy(name)]))
        assert run.output.report == str(tmp_path / "r.md")
    assert "| two |" in (tmp_path / "r.md").read_text()
    assert "| one |" not in (tmp_path / "r.md").read_text()


def test_what_packages_say_stays_words_in_the_report(log, tmp_path):
    """Markup, table cells and line breaks of theirs do nothing."""
    row = Row(package="a|b", version="1", category="unknown", by="nobody", why="<b>x</b>\n| c | [d](javascript:e)")
    [line] = [line for line in report([row]).splitlines() if "javascript" in line]
    assert line == "| a\\|b | 1 | unknown | nobody | \\<b\\>x\\</b\\> \\| c \\| \\[d\\](javascript:e) |"


ODD = {
    "latin-1.0.dist-info": {"METADATA": "Name: latin\nVersion: 1.0\nAuthor: Ren\xe9\n".encode("latin-1")},
    "nul-1.0.dist-info": {"METADATA": b"Name: nul\nVersion: 1\x00\nLicense: MIT \x00 terms\n"},
    "none-1.0.dist-info": {"METADATA": b"Name: none\nLicense: MIT or so\n"},
    "record-1.0.dist-info": {"METADATA": b"Name: record\nVersion: 1.0\nLicense: MIT\n", "RECORD": b"a\x00,,\n\n"},
    "secret-1.0.dist-info": {"METADATA": b"Name: secret\nVersion: 1.0\nLicense: MIT, see http://me:pass@host/x\n"},
    "wide-1.0.dist-info": {
        "METADATA": b"Name: wide\nVersion: 1.0\n",
        "LICENSE": "The MIT License".encode("utf-16"),
        "RECORD": b"wide-1.0.dist-info/LICENSE,,\n",
    },
    "esc-1.0.dist-info": {"METADATA": b"Name: e\x1b[31msc\nVersion: 1.0\nLicense: MIT\n"},
}


def test_odd_packages_are_rows_like_others(log, tmp_path):
    """Not UTF-8, NUL, no version, a broken list of files, a secret, an escape: none of them ends the audit."""
    for folder, files in ODD.items():
        (tmp_path / "site" / folder).mkdir(parents=True)
        for name, data in files.items():
            (tmp_path / "site" / folder / name).write_bytes(data)
    os.mkfifo(tmp_path / "site" / "wide-1.0.dist-info" / "COPYING")
    found = installed([str(tmp_path / "site")])
    assert {package.name for package in found} >= {"latin", "nul", "none", "record", "wide"}
    assert next(package for package in found if package.name == "wide").texts == {"LICENSE": "The MIT License"}
    audit(demo_models.reader(demo_models.honest), log, tmp_path, Shelf(found))
    text = (tmp_path / "r.md").read_text()
    assert text.count("\n| ") == len(found) + 1
    assert "\x1b" not in text
    assert "me:pass" not in text


def test_a_planted_link_is_not_written_through(log, tmp_path):
    """The half-written report has a name that nobody can guess."""
    (tmp_path / "victim").write_text("mine")
    (tmp_path / "r.md.part").symlink_to(tmp_path / "victim")
    audit(demo_models.reader(demo_models.honest), log, tmp_path, Shelf([messy("one")]))
    assert (tmp_path / "victim").read_text() == "mine"
    assert not (tmp_path / "r.md").is_symlink()


RESTRICTED = {
    "not for profit": "Permission to use, copy, modify and distribute this for not-for-profit purposes is granted.",
    "research": "Redistribution and use in source and binary forms are permitted for academic and research purposes.",
    "a heading": "# Apache License 2.0\n\nFree for non-commercial use. Companies may not use it without an agreement.",
    "not except": "It may not be redistributed except under the terms of the GPL, version 2. The test data is MIT.",
    "no exception": "GPLv3, no linking exception",
    "don't forget": "Don't forget that the bindings fall under the GPL. The scripts are in the public domain.",
    "paid": "Versions up to 1.9 were MIT. From 2.0 on, use in production needs a paid licence key.",
    "BSL": "BSL 1.1. Change License: Apache License, Version 2.0",
    "reserved": "All rights reserved. It requires an account. The bundled jquery is MIT.",
}


@pytest.mark.parametrize("text", RESTRICTED.values(), ids=RESTRICTED)
def test_what_sounds_like_a_restriction_is_not_called_permissive(text):
    """Nor weak copyleft: a person looks, or it is what it says."""
    found = categories(text)
    assert found - {"permissive", "weak copyleft"}


def test_a_clause_beside_a_free_licence_makes_metadata_unclear():
    """MIT in every field, and Commons Clause in the file; a promise that is no exception."""
    clause = "Commons Clause License Condition\n\nThe MIT License\n\nPermission is hereby granted, free of charge"
    package = messy(
        "one", license="MIT", classifiers=("License :: OSI Approved :: MIT License",), texts={"LICENSE": clause}
    )
    assert metadata.plain_category(package) is None
    assert of_expression("GPL-2.0-only WITH GPL-CC-1.0") == "strong copyleft"
    assert of_expression("GPL-2.0-only WITH Classpath-exception-2.0") == "weak copyleft"


def test_the_installed_packages_are_found():
    """With their licence texts, each once."""
    found = {package.name.lower(): package for package in installed()}
    assert len(found) == len(installed())
    assert found["duckdb"].version
    assert any("Permission is hereby granted" in text for text in found["pluggy"].texts.values())


RUN = """
import sys
from agentkit import registry
registry.MODELS["play:"] = "demo_models:open_reader"
import agentkit.demo.job as job
from licence_data import Shelf, packages
from agentkit.demo import reader
shelf = Shelf(packages()[:24])
reader._found.append(shelf)
sys.argv[0] = "agentkit"
from agentkit.cli.app import main
main()
"""


def command(folder, *arguments):
    """The demo's command in a process of its own, with packages of the tests and a model that costs nothing."""
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", RUN, *arguments],
        cwd=folder,
        env={"PYTHONPATH": str(Path(__file__).parent), "PATH": "", "HOME": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out


def table(folder):
    """The report without the mark of the call that wrote it."""
    return (folder / "licences.md").read_text().partition("<!--")[0]


DEMO = ("demo", "--model", "play:honest", "--approve", "all")


@pytest.mark.parametrize("times", [8, pytest.param(30, marks=pytest.mark.slow)])
def test_killed_many_times_the_report_is_the_same_and_written_once(tmp_path, times):
    """At random moments, the resumed processes too; `agentkit resume` finishes the same job, nothing is done twice."""
    whole = tmp_path / "whole"
    whole.mkdir()
    (whole / ".agentkit").mkdir()
    began = time.monotonic()
    finished(command(whole, *DEMO))
    took = time.monotonic() - began
    rng = random.Random(20)
    kills = jobs = 0
    while kills < times:
        folder = tmp_path / f"job{jobs}"
        (folder / ".agentkit").mkdir(parents=True)
        jobs += 1
        kills += killed_and_resumed(folder, rng, took)
        assert table(folder) == table(whole)
        log = ak.open_log(folder / ".agentkit")
        counts = "SELECT count(*) FROM runs WHERE parent_run_id IS NULL"
        assert log.sql(counts)[0][0] == 1
        written = log.sql("SELECT count(*) FROM events WHERE type = 'tool_succeeded' AND name = 'write_report'")
        assert written[0][0] == 1
        run = log.run(log.sql("SELECT CAST(run_id AS VARCHAR) FROM runs WHERE parent_run_id IS NULL")[0][0])
        read = [package_of(str(child.state.input)) for child in run.children()]
        assert len(read) == len(set(read)) > 0
        log.close()
    print(f"\n{kills} kills in {jobs} jobs, each of about {took:.1f} s")


def killed_and_resumed(folder, rng, took):
    """Begin the job, kill whoever does it at random moments, and let the last one finish; how many were killed."""
    kills = 0
    process = command(folder, *DEMO)
    while True:
        try:
            process.wait(rng.uniform(0.3, 1.1) * took if kills < 6 else 120)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            kills += 1
        _, err = process.communicate(timeout=60)
        if process.returncode == 0:
            return kills
        assert process.returncode == -signal.SIGKILL, err
        statuses = recorded(folder)
        if statuses == ["succeeded"]:  # it died after the last event
            return kills
        process = command(folder, *(("resume", "--approve", "all") if statuses else DEMO))


def recorded(folder):
    """The status of each job in a folder's log."""
    log = ak.open_log(folder / ".agentkit")
    try:
        return [status for (status,) in log.sql("SELECT status FROM runs WHERE parent_run_id IS NULL")]
    finally:
        log.close()


def test_without_a_terminal_it_stops_paused_and_says_how_to_go_on(tmp_path):
    """No --approve, nobody to ask: 3, and the commands; `resume --approve all` finishes."""
    (tmp_path / ".agentkit").mkdir()
    process = command(tmp_path, "demo", "--model", "play:honest", "--limit", "2")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 3
    assert err.startswith("model: play:honest (--model names it)\n")
    assert "agentkit a" in err
    assert not (tmp_path / "licences.md").exists()
    out = finished(command(tmp_path, "resume", "--approve", "all"))
    assert re.search(r"^24 packages: ", out)
    assert "SELECT c.model" in out
    assert (tmp_path / "licences.md").exists()


def test_the_summary_is_json_for_programs(tmp_path):
    """--json prints the run."""
    (tmp_path / ".agentkit").mkdir()
    told = json.loads(finished(command(tmp_path, *DEMO, "--limit", "1", "--json")))
    assert told["status"] == "succeeded"
    assert told["output"]["packages"] == 24
    assert told["output"]["report"] == str(tmp_path / "licences.md")


def real(model, chosen, log, folder):
    """The demo's job over some of the sixty, read by a model that runs here."""
    rows = rows_of(audit(model, log, folder, Shelf(chosen)))
    left = [package for package, (_, by) in rows.items() if by == "nobody"]
    print(f"\n{model}: {len(rows) - len(left)} decided, {len(left)} left to the person: {', '.join(left)}")
    assert len(rows) == len(chosen)
    assert wrong(rows) == {}


@pytest.mark.timeout(600)
def test_a_real_model_makes_no_row_wrong(log, tmp_path, all_to_the_model, monkeypatch):
    """The smallest one, on three of the packages."""
    monkeypatch.setattr(sys.modules[__name__], "SOON", 600)
    local_weights.smollm2()
    real("local/smollm2", packages()[::20], log, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("model", ["local/smollm2", "local/qwen2.5-coder-0.5b"])
def test_real_models_make_no_row_wrong(model, log, tmp_path, all_to_the_model, monkeypatch):
    """Every third of the packages: all sixty take the larger one half an hour."""
    monkeypatch.setattr(sys.modules[__name__], "SOON", 3600)
    local_weights.smollm2()
    local_weights.qwen_small()
    real(model, packages()[::3], log, tmp_path)
