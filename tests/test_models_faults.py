"""Every fault of a provider, in both dialects, through a real run: attempts, waits, cost, and what the log says."""

import time

import pytest
from dialects import Reply
from fault_server import FaultServer, Status
from faults import FAULTS, KEY, MODELS, QUICK, REFUSED, SLOW_DOWN, Fault, keys, meet

import agentkit as ak
from agentkit.policy import LONGEST_WAIT


@pytest.fixture(autouse=True, scope="module")
def a_key():
    with keys():
        yield


@pytest.fixture(params=MODELS)
def dialect(request):
    return request.param


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_met_as_it_deserves(name, dialect, log):
    """Retried where waiting can help and never where not, one HTTP request an attempt, costs and kind in the log."""
    fault = FAULTS[name]
    met = meet(fault, dialect, log)
    refused = fault.does is REFUSED
    failures = 0 if fault.kind is None else QUICK.max_attempts if refused else 1
    assert met.run.status == ("failed" if fault.final else "succeeded")
    assert len(met.failed) == failures
    assert met.asked == failures + (0 if fault.final else fault.model_calls)
    assert met.requests == (0 if refused else met.asked)
    for failed in met.failed:
        assert (failed.kind, failed.error.type, failed.error.traceback) == (fault.kind, "ModelError", None)
        assert failed.error.retryable == (refused or not fault.final)
        assert failed.cost_is_estimate == fault.charged
        assert KEY not in failed.error.message
    if fault.status:
        assert f"answered {fault.status}" in met.failed[0].error.message
    assert all(wait >= fault.waits for wait in met.waits)
    assert KEY not in "".join(event.model_dump_json() for event in met.events)
    assert met.costs[: len(met.failed)] == pytest.approx([what_it_cost(name, fault, met, dialect)] * len(met.failed))
    assert met.run.usage.cost_usd == pytest.approx(sum(met.costs))


def what_it_cost(name, fault, met, dialect):
    """Nothing where it was refused; the estimate where it may have been charged; the real cost where it is known."""
    if name == "content filter, as a finish":
        return 0.000065 if dialect == "openai" else 0.0006  # 100 + 20 tokens at the list price
    return met.estimate if fault.charged else 0.0


def test_a_provider_that_stays_ill_fails_the_run(dialect, log):
    """After the last attempt the error holds all of them; no more requests were made than attempts."""
    met = meet(FAULTS["503"], dialect, log, times=9)
    assert (met.run.status, met.requests) == ("failed", QUICK.max_attempts)
    error = met.run.state.error
    assert [tried["model"] for tried in error.context["tried"]] == [MODELS[dialect]] * 3


def test_a_fallback_of_another_provider_answers(log):
    """Once the first model has failed for good the next one is asked, and each attempt is in the log."""
    with FaultServer([Status(503)] * 3) as server:
        agent = ak.Agent(
            "support",
            f"loopback/{MODELS['openai']}",
            fallback=[f"loopback/{MODELS['anthropic']}"],
            retry=QUICK,
            settings={"api_base": server.url},
        )
        run = agent.run("Where is A-1042?", log=log)
        assert run.result(timeout=30) == "It is on its way."
    assert [request.path for request in server.requests] == ["/chat/completions"] * 3 + ["/v1/messages"]
    rows = log.sql("SELECT model, status FROM model_calls ORDER BY attempt")
    assert [tuple(row) for row in rows] == [(MODELS["openai"], "error")] * 3 + [(MODELS["anthropic"], "ok")]


@pytest.mark.parametrize(
    ("value", "hours"),
    [
        ("3601", "1"),
        ("3600000", "1,000"),
        ("100000000000000000", "2.778e+13"),
        ("Fri, 31 Dec 9999 23:59:59 GMT", ""),
    ],
)
def test_more_than_an_hour_is_not_waited_for(log, value, hours):
    """The run does not sleep until then: the error says how long it would be, and the fallback is asked at once."""
    fault = Fault(Status(429, **SLOW_DOWN, headers={"Retry-After": value}), "rate_limit")
    met = meet(fault, "openai", log, fallback=[f"loopback/{MODELS['openai']}-2025-08-07"])
    [failed] = met.failed
    assert (met.run.status, met.requests, met.waits, failed.error.retryable) == ("succeeded", 2, [], False)
    assert f"Too many requests; it asks to wait {hours}" in failed.error.message
    assert 3600 < failed.retry_after <= LONGEST_WAIT


@pytest.mark.parametrize(
    "value", ["9" * 400, "-1", "nan", "soon", "Fri, 99 Foo 99999 00:00:00 GMT", f"Fri, 01 Jan 2027 0:0:0 +{'9' * 20}"]
)
def test_a_retry_after_that_is_no_time_is_none(log, value):
    """The attempt is made again after the agent's own wait."""
    met = meet(Fault(Status(429, **SLOW_DOWN, headers={"Retry-After": value}), "rate_limit"), "openai", log)
    assert (met.run.status, met.requests, met.failed[0].retry_after) == ("succeeded", 2, None)
    assert met.waits == [QUICK.initial]


def test_a_missing_key_says_which_variable_to_set(log, monkeypatch):
    """Nothing is sent, and nothing is tried again."""
    monkeypatch.delenv("OPENAI_API_KEY")
    met = meet(Fault(Reply(), None), "openai", log)
    [failed] = met.failed
    assert (failed.kind, met.requests) == ("auth", 0)
    assert "OPENAI_API_KEY" in failed.error.message


def test_a_cancelled_call_hangs_up(dialect, log):
    """The run ends at once, and the call's estimate counts: the provider may have charged it."""
    with FaultServer(delay=0.3) as server:
        agent = ak.Agent("support", f"loopback/{MODELS[dialect]}", settings={"api_base": server.url})
        run = agent.run("Where is A-1042?", log=log)
        while not server.requests:
            time.sleep(0.01)
        run.cancel()
        with pytest.raises(ak.RunCancelled):
            run.result(timeout=30)
    assert run.usage.cost_usd > 0
    assert len(server.requests) == 1
