"""Sending runs: whatever the target answers, nothing is lost, the ledger is right, and repeats are the same spans."""

import contextlib
import time
from datetime import UTC, datetime

import pytest
from capture_server import HANG, LANGFUSE, LOSE, RESET, Answer, CaptureServer
from exporting import all_spans, deliver, ledger, runs_in, to
from fault_server import nobody

import agentkit as ak
from agentkit.errors import ConfigError
from agentkit.export import Target, to_spans
from agentkit.export.backlog import backlog
from agentkit.export.replies import read_reply, retry_after
from agentkit.testing import ScriptedModel


def test_runs_are_sent_together_and_remembered(log):
    """One request for several small runs; the second time there is nothing to send."""
    runs = runs_in(log, 3)
    with CaptureServer() as server:
        where = to(server)
        outcome = deliver(log, where)
        assert (outcome.sent, outcome.spans, len(server.requests)) == (3, 9, 1)
        assert set(server.spans()) == all_spans(runs)
        assert ledger(log, where) == {run.run_id: ("sent", 200, 1) for run in runs}
        assert deliver(log, where).sent == 0
        assert len(server.requests) == 1
    request = server.requests[0]
    assert request.headers["authorization"] == "Bearer k"
    assert request.headers["content-type"] == "application/x-protobuf"
    assert request.headers["content-encoding"] == "gzip"


def test_the_ledger_holds_what_an_audit_asks(log):
    """When, how much, with which digest."""
    (run,) = runs_in(log, 1)
    before = datetime.now(UTC)
    with CaptureServer(usual=LANGFUSE) as server:
        where = to(server, "langfuse")
        deliver(log, where)
    line = log.store.exports.read(where.key)[run.run_id]
    assert (line.spans, line.events, line.ended, line.error) == (3, len(run.events()), True, None)
    assert before <= line.acknowledged_at <= datetime.now(UTC)
    assert line.size == len(server.requests[0].body)
    (row,) = log.sql("SELECT target, status, sha256 FROM exports")
    assert row == (where.key, "sent", line.sha256)


@pytest.mark.parametrize("kind", ["application/x-protobuf", "application/json"])
def test_rejected_spans_of_a_200_are_no_success(log, kind):
    """They are reported, tried again by themselves, and given up after three times."""
    (run,) = runs_in(log, 1)
    with CaptureServer([Answer(rejected=2, kind=kind)]) as server:
        where = to(server)
        outcome = deliver(log, where)
        assert (outcome.sent, outcome.partial, outcome.spans) == (0, 1, 1)
        assert "2 spans were rejected" in outcome.problems[0]
        assert "too old" in outcome.problems[0]
        assert ledger(log, where) == {run.run_id: ("partial", 200, 1)}
        assert deliver(log, where).sent == 1
        assert set(server.spans()) == all_spans([run])
    with CaptureServer(usual=Answer(rejected=1)) as server:
        where = to(server)
        for _ in range(5):
            deliver(log, where)
        assert len(server.requests) == 3


@pytest.mark.parametrize("code", [401, 403, 404])
def test_a_key_or_an_address_that_is_wrong_stops_at_once(log, code):
    """One request, no retry; when it is mended, everything is sent."""
    runs = runs_in(log, 3)
    with CaptureServer([Answer(code, body=b'{"message": "Invalid credentials"}')]) as server:
        where = to(server)
        outcome = deliver(log, where)
        assert (outcome.sent, outcome.left, len(server.requests)) == (0, 3, 1)
        assert str(outcome.down) == f'{code} {{"message": "Invalid credentials"}}'
        assert ledger(log, where) == {run.run_id: ("failed", code, 1) for run in runs}
        assert deliver(log, where).sent == 3
        assert set(server.spans()) == all_spans(runs)
        assert ledger(log, where) == {run.run_id: ("sent", 200, 2) for run in runs}


def test_a_request_that_is_too_large_is_sent_in_smaller_ones(log):
    """Fewer runs at once, then fewer spans; parents before what is within them, each span once."""
    runs = runs_in(log, 8)
    with CaptureServer(limit=2500) as server:
        where = to(server)
        outcome = deliver(log, where)
        assert outcome.sent == 8
        assert set(server.spans()) == all_spans(runs)
        assert set(server.spans().values()) == {1}
        seen = {b""}
        for request in server.taken:
            for span in request.spans:
                assert span.parent_span_id in seen
                seen.add(span.span_id)
        assert {line[0] for line in ledger(log, where).values()} == {"sent"}


def test_a_single_span_that_is_too_large_is_sent_with_its_texts_cut(log):
    """Better a shortened text than no span."""
    agent = ak.Agent("support", ScriptedModel(["x" * 200_000]), "Help with orders.")
    run = agent.run("hello", log=log)
    run.result(20)
    with CaptureServer(limit=60_000) as server:
        where = to(server)
        assert deliver(log, where).sent == 1
        assert set(server.spans()) == all_spans([run])
        assert b"200000 characters in all, cut for export" in server.taken[-1].body
    with CaptureServer(limit=10) as server:
        where = to(server)
        assert deliver(log, where).refused == 1
        assert ledger(log, where)[run.run_id][0:2] == ("refused", 413)


def test_a_bound_on_bytes_holds_before_the_server_says_so(log):
    """No request is larger than the target's limit, unless one span is."""
    runs = runs_in(log, 10)
    with CaptureServer() as server:
        deliver(log, to(server, max_bytes=6000))
        assert len(server.requests) > 1
        assert max(len(request.body) for request in server.requests) <= 6000
        assert set(server.spans()) == all_spans(runs)


def test_a_server_that_is_busy_is_asked_again_when_it_said(log):
    """Retry-After is followed; then it is sent."""
    (run,) = runs_in(log, 1)
    with CaptureServer([Answer(429, headers={"Retry-After": "0.3"})]) as server:
        where = to(server)
        began = time.monotonic()
        assert deliver(log, where).sent == 1
        assert time.monotonic() - began >= 0.3
        assert ledger(log, where) == {run.run_id: ("sent", 200, 2)}


@pytest.mark.parametrize("answer", [Answer(500), Answer(503), HANG, RESET], ids=["500", "503", "hang", "reset"])
def test_a_server_that_fails_is_tried_again_and_then_left(log, answer):
    """A bounded number of times; later everything is sent."""
    runs = runs_in(log, 2)
    with CaptureServer([answer] * 3) as server:
        where = to(server, timeout=0.3)
        outcome = deliver(log, where)
        assert (outcome.left, outcome.requests) == (2, 3)
        code = answer.code if answer.how == "answer" else None
        assert ledger(log, where) == {run.run_id: ("failed", code, 3) for run in runs}
        assert deliver(log, where).sent == 2
        assert set(server.spans()) == all_spans(runs)


def test_a_server_that_is_not_there_is_a_server_that_is_down(log):
    """Refused connections are tried again later."""
    runs = runs_in(log, 2)
    gone = Target("otlp", f"{nobody()}/v1/traces")
    outcome = deliver(log, gone)
    assert (outcome.left, outcome.down.http_status) == (2, None)
    assert "ConnectError" in str(outcome.down)
    assert {line[0] for line in ledger(log, gone).values()} == {"failed"}
    assert backlog(log.store, gone) == [run.run_id for run in runs]


def test_an_answer_that_got_lost_makes_a_repeat_with_the_same_ids_and_times(log):
    """The target took it and nobody knows: it is sent again, and is the same to the byte."""
    (run,) = runs_in(log, 1)
    with CaptureServer([LOSE]) as server:
        assert deliver(log, to(server)).sent == 1
        assert server.spans() == dict.fromkeys(all_spans([run]), 2)
        first, second = server.requests
        assert first.body == second.body


def test_a_run_that_the_target_refuses_does_not_keep_the_others_back(log, monkeypatch):
    """The request is halved until it is found; it is reported, and not sent again by itself."""
    runs = runs_in(log, 5)
    poison = format(to_spans(runs[2])[0].context.trace_id, "032x")

    class Picky(CaptureServer):
        def next(self, path, headers, body):
            self.usual = Answer(400 if bytes.fromhex(poison) in body else 200)
            return super().next(path, headers, body)

    with Picky() as server:
        where = to(server)
        outcome = deliver(log, where)
        assert (outcome.sent, outcome.refused) == (4, 1)
        assert runs[2].run_id in outcome.problems[0]
        assert ledger(log, where)[runs[2].run_id][:2] == ("refused", 400)
        before = len(server.requests)
        assert deliver(log, where).sent == 0
        assert len(server.requests) == before
        assert deliver(log, where, again=True).refused == 1


def test_a_target_that_is_down_for_days_does_not_fill_the_ledger():
    """A failure that is known is not recorded again; another one is."""
    with contextlib.closing(ak.open_log("memory:")) as log, CaptureServer(usual=Answer(503)) as server:
        runs_in(log, 1)
        where = to(server)
        for _ in range(3):
            deliver(log, where)
        assert len(log.store.exports.lines) == 1
        server.usual = Answer(401)
        deliver(log, where)
        assert [line.http_status for line in log.store.exports.lines] == [503, 401]


def test_a_key_that_http_cannot_send_is_not_shown(log):
    """The error says where to look, not what was there."""
    runs_in(log, 1)
    with CaptureServer() as server:
        for key in ("se\ncret", "sécret\u1234"):
            where = Target("otlp", f"{server.url}/v1/traces", {"Authorization": key})
            with pytest.raises(ConfigError, match="holds what HTTP cannot send") as raised:
                deliver(log, where)
            assert "cret" not in str(raised.value)


def test_langfuses_own_answer_is_a_success(log):
    """It answers in JSON to protobuf."""
    runs_in(log, 1)
    with CaptureServer(usual=LANGFUSE) as server:
        assert deliver(log, to(server, "langfuse")).sent == 1


def test_a_run_is_in_the_sample_or_not_in_every_process(log):
    """By its id: about the share that was asked for, and the same ones each time."""
    where = Target("otlp", "http://127.0.0.1:1/", sample=0.3)
    ids = [f"0192f7c1-8f5e-7cc3-a5c8-{number:012x}" for number in range(2000)]
    chosen = [run_id for run_id in ids if where.samples(run_id)]
    assert 500 < len(chosen) < 700
    assert not any(Target("otlp", "http://127.0.0.1:1/", sample=0.0).samples(run_id) for run_id in ids)
    runs = runs_in(log, 6)
    wanted = [run.run_id for run in runs if where.samples(run.run_id)]
    assert backlog(log.store, where) == wanted


def test_only_what_ended_since_then_is_sent(log):
    """`since` is a time of ending."""
    runs_in(log, 1)
    then = datetime.now(UTC)
    (late,) = runs_in(log, 1)
    assert backlog(log.store, Target("otlp", "http://127.0.0.1:1/"), since=then) == [late.run_id]


def test_what_an_answer_means():
    """Only what can help is tried again."""
    meanings = {
        code: read_reply(code, {}, b"").meaning for code in (200, 202, 301, 400, 401, 404, 408, 413, 422, 429, 500, 529)
    }
    assert meanings == {
        200: "taken", 202: "taken", 301: "closed", 400: "refused", 401: "closed", 404: "closed", 408: "later",
        413: "too_large", 422: "refused", 429: "later", 500: "later", 529: "later",
    }  # fmt: skip
    then = datetime(2026, 11, 28, 12, tzinfo=UTC)
    assert retry_after("Sat, 28 Nov 2026 12:00:07 GMT", then) == 7.0
    assert retry_after("1e9", then) == 300.0
    assert retry_after("nan", then) is None
    assert read_reply(200, {"content-type": "application/x-protobuf"}, b"\xff\xff").meaning == "taken"
    assert read_reply(200, {"content-type": "application/json"}, b"[1").meaning == "taken"
