"""The SQL views: what they say of a run is what its events say, and what the fold of its events says."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from agentkit import events as ev
from agentkit.errors import QueryError
from agentkit.fold import fold
from agentkit.ids import new_id
from agentkit.messages import ToolCall
from agentkit.stores import views
from agentkit.stores.embedded.segment import seal
from agentkit.stores.embedded.warehouse import Warehouse

RUN = new_id()
START = datetime(2026, 1, 1, tzinfo=UTC)
ERROR = ev.ErrorInfo(type="Timeout", message="too slow", retryable=True)


def recorded(*bodies, run_id=RUN):
    """Events of a run, one second apart: bodies, each with its envelope's columns."""
    return [
        ev.Event(run_id=run_id, seq=seq, ts=START + timedelta(seconds=seq), body=body, **columns)
        for seq, (body, columns) in enumerate(bodies, start=1)
    ]


def model(number, attempt=1, **columns):
    return {"step": f"model/{number}", "name": "m", "attempt": attempt, **columns}


def tool(name="refund", number=1, attempt=1, **columns):
    return {"step": f"tool/{name}/{number}", "name": name, "attempt": attempt, **columns}


BEGIN = (
    ev.RunStarted(kind="agent", definition_sha256="d", tags=("a", "b"), session="s", user="u", input="hi"),
    {"name": "support", "status": "running"},
)
ASK = (ev.ModelRequested(request_sha256="r", messages=1), model(1))
LOST = (
    ev.ModelFailed(error=ERROR, lost=True),
    model(1, status="error", input_tokens=5, cost_usd=0.25, duration_ms=10.0),
)
ASK_AGAIN = (ev.ModelRequested(request_sha256="r", messages=1), model(1, attempt=2))
ANSWER = (
    ev.ModelResponded(text="ok", finish_reason="stop", tool_calls=(ToolCall(id="c1", name="refund"),)),
    model(1, attempt=2, status="ok", input_tokens=10, output_tokens=20, cost_usd=0.5, duration_ms=100.0),
)
DECIDED = (
    ev.Decided(action="refund", why="it broke", instead_of="wait", offered=("wait", "escalate")),
    {"step": "tool/refund/1"},
)
QUESTION = (
    ev.ApprovalRequested(kind="call", prompt="Refund?", arguments={"amount": 60}),
    {"step": "tool/refund/1", "name": "refund", "approval_id": "ap1"},
)
PAUSED = (ev.RunPausedEvent(why="approval", waiting_for=("ap1",)), {"status": "paused"})
YES = (
    ev.ApprovalAnswered(verdict="approve", who="kim", through="notebook", comment="fine"),
    {"step": "tool/refund/1", "name": "refund", "approval_id": "ap1"},
)
RESUMED = (ev.RunResumed(), {"status": "running"})
CALL = (ev.ToolStarted(call_id="c1", arguments={"amount": 60}, idempotency_key="k"), tool())
DONE = (ev.ToolSucceeded(call_id="c1", result={"id": "R-1"}), tool(status="ok", duration_ms=30.0))
END = (ev.RunSucceeded(output="done"), {"status": "succeeded"})
STORY = (BEGIN, ASK, LOST, ASK_AGAIN, ANSWER, DECIDED, QUESTION, PAUSED, YES, RESUMED, CALL, DONE, END)


@pytest.fixture
def log(tmp_path):
    """A function that records events, half of them folded, and returns the views as dicts."""
    (tmp_path / "journal").mkdir()
    warehouse = Warehouse(tmp_path)

    def put(*runs):
        lines = [seal(event.encode()) for run in runs for event in run]
        half = len(lines) // 2
        for name, part in (("p.1", lines[:half]), ("p.2", lines[half:])):
            (tmp_path / "journal" / f"{name}.jsonl").write_bytes(b"".join(part))
        warehouse.fold([tmp_path / "journal" / "p.1.jsonl"])
        return lambda sql, **values: warehouse.query(sql, values).dicts()

    yield put
    warehouse.close()


@pytest.mark.parametrize("name", list(views.COLUMNS))
def test_the_documented_columns_are_the_views(log, name):
    """What the README and `%log` print is what a view has, in that order."""
    found = log()(f"DESCRIBE {name}")
    assert [column["column_name"] for column in found] == list(views.COLUMNS[name])


def test_every_view_is_documented():
    """No view without its columns' meaning, no meaning without a view."""
    assert set(views.COLUMNS) == {"events", *views.VIEWS}
    assert all(meaning for columns in views.COLUMNS.values() for meaning in columns.values())


def test_the_views_know_every_event_type():
    """A type that a view names exists, or is one that design.md's pipelines will bring."""
    planned = {"step_started", "step_succeeded", "step_failed", "step_skipped"}
    named = set(re.findall(r"'((?:run|model|tool|step|approval)_[a-z]+)'", " ".join(views.VIEWS.values())))
    assert named <= set(ev.event_types()) | planned


def test_a_run(log):
    """One row says how the run stands, what it used and what it cost, retries included."""
    [run] = log(recorded(*STORY))("FROM runs")
    assert run == {
        "run_id": RUN, "kind": "agent", "name": "support", "status": "succeeded",
        "started_at": START + timedelta(seconds=1), "ended_at": START + timedelta(seconds=13), "duration_ms": 12000.0,
        "model_calls": 2, "tool_calls": 1, "input_tokens": 15, "output_tokens": 20, "cost_usd": 0.75, "error": None,
        "parent_run_id": None, "tags": '["a","b"]', "session_id": "s", "user_id": "u", "grade": None, "events": 13,
    }  # fmt: skip


@pytest.mark.parametrize("end", range(1, len(STORY) + 1))
def test_a_run_is_what_its_fold_says(log, end):
    """Status, calls, tokens and cost are those of the state, after every event of a story."""
    events = recorded(*STORY[:end])
    state = fold(events)
    [run] = log(events)("FROM runs")
    assert run["status"] == state.status
    assert run["model_calls"] == state.usage.model_calls
    assert run["tool_calls"] == state.usage.tool_calls
    assert run["input_tokens"] == state.usage.input_tokens
    assert run["output_tokens"] == state.usage.output_tokens
    assert run["cost_usd"] == state.usage.cost_usd


def test_an_unknown_cost_makes_the_runs_cost_unknown(log):
    """NULL, never a sum that leaves something out; a run without model calls costs 0."""
    unknown = (ANSWER[0], {**ANSWER[1], "cost_usd": None})
    other = new_id()
    ask = log(recorded(BEGIN, ASK, LOST, ASK_AGAIN, unknown), recorded(BEGIN, run_id=other))
    assert {row["run_id"]: row["cost_usd"] for row in ask("FROM runs")} == {RUN: None, other: 0}
    assert ask("SELECT cost_usd FROM steps WHERE step = 'model/1'") == [{"cost_usd": None}]


@pytest.mark.parametrize(
    ("last", "status", "ended"),
    [
        ((ev.RetryScheduled(due=START, delay=1, error="x"), model(1, status="waiting")), "waiting", False),
        (PAUSED, "paused", False),
        (RESUMED, "running", False),
        ((ev.RunFailedEvent(error=ERROR), {"status": "failed"}), "failed", True),
        ((ev.RunCancelledEvent(), {"status": "cancelled"}), "cancelled", True),
        (END, "succeeded", True),
    ],
)
def test_the_last_status(log, last, status, ended):
    """The status is the last recorded one; only an end has an end."""
    [run] = log(recorded(BEGIN, ASK, LOST, last))("FROM runs")
    assert run["status"] == status
    assert (run["ended_at"] is not None) == ended
    assert (run["error"] == "too slow") == (status == "failed")


def test_the_last_grade_counts(log):
    """A grade can be given after the end, and changed."""
    story = [BEGIN, END, (ev.Graded(verdict="bad"), {}), (ev.Graded(verdict="good"), {})]
    [run] = log(recorded(*story))("FROM runs")
    assert (run["grade"], run["status"]) == ("good", "succeeded")


def test_children_and_other_runs_are_not_counted(log):
    """A run's row counts its own events; its child has its own row that names it."""
    child = new_id()
    begin = (BEGIN[0], {**BEGIN[1], "parent_run_id": RUN})
    ask = log(recorded(*STORY), recorded(begin, ASK, LOST, ASK_AGAIN, ANSWER, run_id=child))
    rows = {row["run_id"]: row for row in ask("FROM runs")}
    assert rows[child]["parent_run_id"] == RUN
    assert (rows[RUN]["cost_usd"], rows[RUN]["events"]) == (0.75, 13)
    assert (rows[child]["cost_usd"], rows[child]["events"]) == (0.75, 5)


def test_steps(log):
    """One row a step: how it stands, its attempts and their sum, a tool's arguments and result."""
    ask = log(recorded(*STORY))
    first, second = ask("FROM steps ORDER BY started_at")
    assert (first["step"], first["kind"], first["name"], first["status"]) == ("model/1", "model", "m", "ok")
    assert (first["attempts"], first["duration_ms"], first["cost_usd"]) == (2, 110.0, 0.75)
    assert first["error"] == "too slow"
    assert (second["step"], second["kind"], second["status"]) == ("tool/refund/1", "tool", "ok")
    assert (second["arguments"], second["result"]) == ('{"amount":60}', '{"id":"R-1"}')


@pytest.mark.parametrize(
    ("end", "status"), [(7, "asked"), (8, "asked"), (9, "answered"), (10, "answered"), (11, "running"), (12, "ok")]
)
def test_a_steps_status(log, end, status):
    """A step that waits for a person, runs or ended says so."""
    rows = log(recorded(*STORY[:end]))("SELECT status FROM steps WHERE step = 'tool/refund/1'")
    assert rows == [{"status": status}]


def test_model_and_tool_calls(log):
    """One row an attempt that ended."""
    refused = (ev.ToolFailed(call_id="c2", error=ERROR, effect="unknown"), tool(number=2, status="error"))
    ask = log(recorded(*STORY[:12], refused))
    lost, answered = ask("FROM model_calls ORDER BY seq")
    assert (lost["attempt"], lost["status"], lost["lost"], lost["error"]) == (1, "error", True, "too slow")
    assert (answered["attempt"], answered["status"], answered["lost"], answered["text"]) == (2, "ok", False, "ok")
    assert (answered["model"], answered["finish_reason"], answered["duration_ms"]) == ("m", "stop", 100.0)
    good, bad = ask("FROM tool_calls ORDER BY seq")
    assert (good["name"], good["status"], good["result"], good["effect"]) == ("refund", "ok", '{"id":"R-1"}', None)
    assert (bad["status"], bad["effect"], bad["error"], bad["rejected"]) == ("error", "unknown", "too slow", False)


def test_decisions(log):
    """What was chosen, why, and what else there was."""
    [row] = log(recorded(*STORY))("FROM decisions")
    assert (row["step"], row["action"], row["why"]) == ("tool/refund/1", "refund", "it broke")
    assert (row["instead_of"], row["offered"]) == ("wait", '["wait","escalate"]')


def test_approvals(log):
    """Pending until it is answered or expires; then who said what."""
    expired = (ev.ApprovalExpired(reason="late"), {"approval_id": "ap2"})
    asked = (QUESTION[0], {**QUESTION[1], "approval_id": "ap2"})
    pending = (QUESTION[0], {**QUESTION[1], "approval_id": "ap3"})
    skipped = (ev.ApprovalAnswered(verdict="not_required"), {"approval_id": "ap4", "step": "tool/refund/9"})
    ask = log(recorded(*STORY[:9], asked, expired, pending, skipped))
    rows = {row["approval_id"]: row for row in ask("FROM approvals")}
    assert {key: row["status"] for key, row in rows.items()} == {
        "ap1": "answered", "ap2": "expired", "ap3": "pending", "ap4": "answered",
    }  # fmt: skip
    one = rows["ap1"]
    assert (one["verdict"], one["who"], one["through"], one["comment"]) == ("approve", "kim", "notebook", "fine")
    assert (one["kind"], one["prompt"], one["arguments"]) == ("call", "Refund?", '{"amount":60}')
    assert rows["ap4"]["requested_at"] is None


def test_costs_and_errors(log):
    """Every attempt that cost, every failure that was recorded."""
    refused = (ev.Checked(passed=False, error=ERROR), {"name": "polite", "step": "model/1"})
    passed = (ev.Checked(passed=True), {"name": "polite", "step": "model/1"})
    failed = (ev.RunFailedEvent(error=ERROR), {"status": "failed"})
    ask = log(recorded(*STORY[:5], passed, refused, failed))
    assert [row["cost_usd"] for row in ask("FROM costs ORDER BY seq")] == [0.25, 0.5]
    rows = ask("FROM errors ORDER BY seq")
    assert [row["type"] for row in rows] == ["model_failed", "checked", "run_failed"]
    assert {(row["error"], row["message"], row["retryable"]) for row in rows} == {("Timeout", "too slow", True)}


def test_an_unknown_view_lists_those_there_are(log):
    """A wrong name is answered with the right ones."""
    with pytest.raises(QueryError, match="approvals, comments, costs, errors"):
        log()("FROM model_call")


def test_a_runs_id_reaches_the_scans(log):
    """Whatever view a run is asked through, its id filters the table and the journal, compared as a UUID."""
    ask = log(*(recorded(*STORY, run_id=run_id) for run_id in (RUN, new_id(), new_id(), new_id())))
    for name in ("events", "runs", "steps", "tool_calls", "costs"):
        plan = ask(f"EXPLAIN SELECT * FROM {name} WHERE run_id = $run", run=RUN)[0]["explain_value"]
        assert re.sub(r"[\s│]", "", plan).count(f"run_id='{RUN}'::UUID") == 2, name
