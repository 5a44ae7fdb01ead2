"""What every store promises, as tests: inherit `StoreContract`, give it a `store` fixture, and run pytest.

A store that several processes share inherits `SharedStoreContract` and gives the fixture `other` as well.

```python
class TestMyStore(StoreContract):
    @pytest.fixture
    def store(self):
        with contextlib.closing(open_store("mine:")) as store:
            yield store
```
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from agentkit.errors import ConfigError, EncodingError, LogBusy, QueryError, RunClaimed, SeqConflict
from agentkit.events import ApprovalRequested, Body, Commented, Event, Note, RunStarted, RunSucceeded
from agentkit.ids import new_id
from agentkit.store import Answer, Claim, Exported, Store

_BEGIN = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def event(run_id: str, seq: int, body: Body | None = None, **columns: Any) -> Event:  # columns of every type
    """An event for a test.

    Args:
        run_id: the run.
        seq: its place; its time follows from it.
        body: a note by default.
        columns: the envelope's other columns.

    Returns:
        The event.
    """
    return Event(
        run_id=run_id,
        seq=seq,
        ts=_BEGIN + timedelta(milliseconds=seq),
        body=body or Note(text=f"event {seq}"),
        **columns,
    )


def fill(store: Store, count: int, run_id: str | None = None) -> list[Event]:
    """Write a run of notes and release it; its events."""
    run_id = run_id or new_id()
    events = [event(run_id, seq) for seq in range(1, count + 1)]
    claim = store.claim(run_id, new=True)
    store.append(claim, events).result(timeout=30)
    store.release(claim)
    return events


def answer(who: str, verdict: Any = "approve", **more: Any) -> Answer:  # the fields of an answer
    """An answer for a test."""
    return Answer(verdict=verdict, who=who, answered_at=_BEGIN, **more)


def exported(target: str, run_id: str | None, second: int, **more: Any) -> Exported:  # the fields of a line
    """A line of the ledger for a test."""
    at = _BEGIN + timedelta(seconds=second)
    fields: dict[str, Any] = {"status": "sent", "attempts": 1, "spans": 3, **more}
    return Exported(target=target, run_id=run_id, recorded_at=at, **fields)


def _take_turn(store: Store, target: str) -> None:
    with store.exports.turn(target, timeout=0.05):
        pass


def _activity(store: Store, run: Claim) -> str | None:
    holder = store.holder(run.run_id)
    return holder.activity if holder is not None else None


class StoreContract:
    """The promises of `agentkit.store.Store`; a subclass gives the fixture `store`."""

    @pytest.fixture
    def store(self) -> Iterator[Store]:
        """A new, empty log."""
        raise NotImplementedError

    @pytest.fixture
    def run(self, store: Store) -> Claim:
        """A claim on a new run."""
        return store.claim(new_id(), new=True)

    # --- append and read

    def test_a_new_run_is_empty(self, store: Store, run: Claim) -> None:
        """A new run's head is 0 and it has no events."""
        assert run.head == 0
        assert store.read(run.run_id) == []

    def test_events_come_back_equal_and_in_order(self, store: Store, run: Claim) -> None:
        """Every column and the body are read as they were appended."""
        events = [
            event(
                run.run_id,
                1,
                RunStarted(
                    kind="agent", definition_sha256="0" * 64, input={"text": 'ü "quoted" \n 日本'}, tags=("a", "b")
                ),
                name="support",
                status="running",
                parent_run_id=new_id(),
            ),
            event(run.run_id, 2, Note(text='","body":{"schema_version":', data=[1, 2.5, None, True, {"$blob": "x"}])),
            event(
                run.run_id,
                3,
                step="model/1",
                attempt=2,
                duration_ms=12.5,
                input_tokens=10,
                output_tokens=0,
                cost_usd=0.0,
                approval_id="a" * 16,
            ),
        ]
        store.append(run, events).result(timeout=30)
        assert run.head == 3
        assert store.read(run.run_id) == events

    def test_a_large_body_comes_back_equal(self, store: Store, run: Claim) -> None:
        """A body of a megabyte is a body like any other."""
        events = [event(run.run_id, 1, Note(text="ä" * 600_000)), event(run.run_id, 2)]
        store.append(run, events).result(timeout=30)
        assert store.read(run.run_id) == events

    def test_read_a_part(self, store: Store) -> None:
        """`after` and `until` bound what is read, also beyond the end."""
        events = fill(store, 9)
        run_id = events[0].run_id
        assert store.read(run_id, after=3, until=5) == events[3:5]
        assert store.read(run_id, after=7) == events[7:]
        assert store.read(run_id, until=2) == events[:2]
        assert store.read(run_id, after=9) == []
        assert store.read(run_id, after=5, until=100) == events[5:]

    def test_a_run_nobody_knows_has_no_events(self, store: Store) -> None:
        """Reading an unknown run is no error."""
        assert store.read(new_id()) == []
        assert store.claim(new_id()).head == 0

    def test_follow_a_run(self, store: Store, run: Claim) -> None:
        """Reading again after the last seq gives what came since."""
        for seq in range(1, 30):
            store.append(run, [event(run.run_id, seq)]).result(timeout=30)
            assert [found.seq for found in store.read(run.run_id, after=seq - 1)] == [seq]

    def test_what_is_not_durable_is_done_at_once_and_rides_along(self, store: Store, run: Claim) -> None:
        """`durable=False` ends at once; the next durable append carries it, in order."""
        assert store.append(run, [event(run.run_id, 1)], durable=False).done()
        assert store.append(run, [event(run.run_id, 2)], durable=False).done()
        store.append(run, [event(run.run_id, 3)]).result(timeout=30)
        assert [found.seq for found in store.read(run.run_id)] == [1, 2, 3]

    def test_an_empty_durable_append_waits_for_what_came_before(self, store: Store, run: Claim) -> None:
        """It ends when everything before it is durable, also when nothing was."""
        store.append(run, []).result(timeout=30)
        store.append(run, [event(run.run_id, 1)], durable=False)
        store.append(run, []).result(timeout=30)
        assert [found.seq for found in store.read(run.run_id)] == [1]

    def test_many_runs_in_many_threads(self, store: Store) -> None:
        """Runs that are written at once do not mix."""

        def write(count: int) -> list[Event]:
            run_id = new_id()
            claim = store.claim(run_id, new=True)
            events = [event(run_id, seq) for seq in range(1, count + 1)]
            for one in events:
                store.append(claim, [one]).result(timeout=30)
            store.release(claim)
            return events

        with ThreadPoolExecutor(8) as pool:
            written = list(pool.map(write, range(10, 26)))
        assert all(store.read(events[0].run_id) == events for events in written)

    def test_several_runs_are_read_at_once(self, store: Store) -> None:
        """Each as it is read alone; one that is not there is left out."""
        runs = [fill(store, count) for count in (3, 1, 2)]
        ids = [events[0].run_id for events in runs]
        found = store.read_many([*ids[1:], new_id(), ids[0]])
        assert {run_id: list(events) for run_id, events in found.items()} == dict(zip(ids, runs, strict=True))
        assert store.read_many([]) == {}

    # --- what is refused

    @pytest.mark.parametrize("seqs", [[2], [0], [1, 1], [1, 3], [2, 1]])
    def test_events_that_do_not_continue_the_run_are_refused(self, store: Store, run: Claim, seqs: list[int]) -> None:
        """A gap or a repeated seq is a SeqConflict, and nothing is appended."""
        events = [event(run.run_id, seq) if seq else event(new_id(), 1) for seq in seqs]
        with pytest.raises(SeqConflict):
            store.append(run, events)
        assert run.head == 0
        store.append(run, [event(run.run_id, 1)]).result(timeout=30)
        assert [found.seq for found in store.read(run.run_id)] == [1]

    @pytest.mark.parametrize("value", [float("nan"), "\0", object(), {"deep": [float("inf")]}])
    def test_what_json_cannot_hold_is_refused(self, store: Store, run: Claim, value: object) -> None:
        """It is an EncodingError at the call, and nothing of the call is appended."""
        with pytest.raises(EncodingError):
            store.append(run, [event(run.run_id, 1), event(run.run_id, 2, Note(text="", data=value))])
        assert run.head == 0
        store.append(run, [event(run.run_id, 1)]).result(timeout=30)
        assert len(store.read(run.run_id)) == 1

    def test_a_released_claim_appends_nothing(self, store: Store, run: Claim) -> None:
        """After a release an append is a SeqConflict; a second release does nothing."""
        store.release(run)
        store.release(run)
        with pytest.raises(SeqConflict):
            store.append(run, [event(run.run_id, 1)])

    @pytest.mark.parametrize("bad", ["", "x", "../../../../../../../etc/passwd/aaaa", "0" * 36, "A" * 32])
    def test_a_run_id_is_a_uuid(self, store: Store, bad: str) -> None:
        """Nothing else comes near a path or a statement."""
        for call in (store.claim, store.read, store.holder, store.answers):
            with pytest.raises(ConfigError, match="run id"):
                call(bad)

    @pytest.mark.parametrize("bad", ["", ".", "../x", "a/b", "a\\b", "a\0b", "-x", "x" * 65, "a.json", "ä"])
    def test_an_approval_id_is_a_plain_word(self, store: Store, bad: str) -> None:
        """Nothing else comes near a path or a statement."""
        with pytest.raises(ConfigError, match="approval id"):
            store.answer(new_id(), bad, answer("ann"))

    # --- claims

    def test_a_run_is_claimed_once(self, store: Store, run: Claim) -> None:
        """A second claim names the holder; after a release it is given."""
        store.append(run, [event(run.run_id, 1)]).result(timeout=30)
        with pytest.raises(RunClaimed) as caught:
            store.claim(run.run_id)
        assert "process" in caught.value.holder
        store.release(run)
        again = store.claim(run.run_id)
        assert again.head == 1
        store.append(again, [event(run.run_id, 2)]).result(timeout=30)
        assert [found.seq for found in store.read(run.run_id)] == [1, 2]

    def test_the_holder_is_known(self, store: Store, run: Claim) -> None:
        """Who executes, who watches, and that nobody does."""
        holder = store.holder(run.run_id)
        assert holder is not None
        assert (holder.activity, holder.process) == ("executing", store.process)
        store.release(run, watch=True)
        assert _activity(store, run) == "watching"
        store.unwatch(run.run_id)
        assert store.holder(run.run_id) is None
        store.unwatch(run.run_id)

    def test_a_watched_run_can_be_taken_up_where_it_stood(self, store: Store, run: Claim) -> None:
        """Watching does not keep the claim; what was not durable at the release is."""
        store.append(run, [event(run.run_id, 1), event(run.run_id, 2)], durable=False)
        store.release(run, watch=True)
        assert len(store.read(run.run_id)) == 2
        assert store.claim(run.run_id).head == 2

    def test_a_claim_for_a_note_keeps_others_out_and_says_that_it_is_one(self, store: Store, run: Claim) -> None:
        """Whoever wants to execute the run sees that it will be free in a moment; who watched it goes on."""
        store.release(run, watch=True)
        noting = store.claim(run.run_id, activity="noting")
        assert _activity(store, run) == "noting"
        with pytest.raises(RunClaimed):
            store.claim(run.run_id)
        store.append(noting, [event(run.run_id, 1)])
        store.release(noting, watch=True)
        assert _activity(store, run) == "watching"
        assert store.claim(run.run_id).head == 1

    def test_unwatch_leaves_an_executor_alone(self, store: Store, run: Claim) -> None:
        """It ends watching only."""
        store.unwatch(run.run_id)
        assert store.holder(run.run_id) is not None
        store.append(run, [event(run.run_id, 1)]).result(timeout=30)

    def test_of_two_answers_the_first_counts(self, store: Store) -> None:
        """Whoever comes second gets the first one's."""
        run_id = new_id()
        first, second = answer("ann", edits={"amount": 20}), answer("bob", "reject", comment="no")
        assert store.answer(run_id, "a1", first) == first
        assert store.answer(run_id, "a1", second) == first
        assert store.answer(run_id, "a2", second) == second
        assert store.answers(run_id) == {"a1": first, "a2": second}
        assert store.answers(new_id()) == {}

    def test_many_answer_at_once_and_one_wins(self, store: Store) -> None:
        """Every one of them is told the same winner."""
        run_id = new_id()
        with ThreadPoolExecutor(8) as pool:
            for round_ in range(10):
                asked = [pool.submit(store.answer, run_id, f"a{round_}", answer(f"p{n}")) for n in range(8)]
                assert len({told.result(timeout=30).who for told in asked}) == 1

    # --- queries

    def test_a_query_sees_what_was_appended(self, store: Store, run: Claim) -> None:
        """The views hold live and released runs alike, each event once."""
        events = fill(store, 5)
        store.append(run, [event(run.run_id, 1), event(run.run_id, 2)], durable=False)
        rows = store.query("SELECT count(*), count(DISTINCT run_id) FROM events", {})
        assert list(rows) == [(7, 2)]
        sql = "SELECT seq, type FROM events WHERE CAST(run_id AS VARCHAR) = $run ORDER BY seq"
        found = store.query(sql, {"run": events[0].run_id})
        assert found.columns == ("seq", "type")
        assert list(found) == [(seq, "note") for seq in range(1, 6)]

    def test_the_views_are_there(self, store: Store, run: Claim) -> None:
        """The same names in every store."""
        started = RunStarted(kind="agent", definition_sha256="0" * 64)
        asked = ApprovalRequested(kind="call", prompt="refund?")
        events = [
            event(run.run_id, 1, started, name="support", status="running"),
            event(run.run_id, 2, asked, step="tool/refund/1", approval_id="a1"),
            event(run.run_id, 3, RunSucceeded(output="done"), status="succeeded"),
        ]
        store.append(run, events).result(timeout=30)
        views = "events runs steps model_calls tool_calls decisions approvals comments costs errors exports"
        for view in views.split():
            store.query(f"SELECT * FROM {view}", {})  # noqa: S608  the names stand here
        assert list(store.query("SELECT name, status FROM runs", {})) == [("support", "succeeded")]

    def test_comments_are_a_view(self, store: Store, run: Claim) -> None:
        """One row each: what was said of a step, and of the run; when it was said, not when it was recorded."""
        said = Commented(id="c1", text="wrong term", who="ada", through="notebook", said_at=_BEGIN)
        commented = [event(run.run_id, 1, said, step="find"), event(run.run_id, 2, Commented(id="c2", text="ok"))]
        store.append(run, commented).result(timeout=30)
        rows = store.query("SELECT step, said_at, who, through, text FROM comments ORDER BY seq", {})
        second = (None, commented[1].ts, None, None, "ok")
        assert list(rows) == [("find", _BEGIN, "ada", "notebook", "wrong term"), second]
        assert list(store.query("SELECT step FROM steps", {})) == []

    @pytest.mark.parametrize(
        "sql", ["DROP TABLE events", "SELEC 1", "SELECT nope FROM events", "SELECT 1; SELECT 2", ""]
    )
    def test_only_one_correct_reading_statement_runs(self, store: Store, sql: str) -> None:
        """Anything else is a QueryError."""
        with pytest.raises(QueryError):
            store.query(sql, {})

    # --- exports

    def test_the_newest_line_of_a_run_says_where_it_was_exported(self, store: Store) -> None:
        """Each target for itself; other runs' lines are left as they are."""
        one, two = new_id(), new_id()
        store.exports.write([exported("lf", one, 1, status="failed"), exported("lf", two, 2)])
        store.exports.write([exported("lf", one, 3, attempts=2), exported("ls", one, 4, status="refused")])
        found = store.exports.read("lf")
        assert {run_id: line.status for run_id, line in found.items()} == {one: "sent", two: "sent"}
        assert found[one] == exported("lf", one, 3, attempts=2)
        assert store.exports.read("nowhere") == {}

    def test_it_is_kept_when_exporting_began(self, store: Store) -> None:
        """The first such line of a target counts."""
        store.exports.write([exported("lf", None, 1, status="began")])
        store.exports.write([exported("lf", None, 2, status="began")])
        assert store.exports.read("lf")[None].recorded_at == _BEGIN + timedelta(seconds=1)

    def test_sql_shows_what_was_exported(self, store: Store) -> None:
        """The `exports` view has one row for each run and target, the newest, and joins with the others."""
        run_id = fill(store, 2)[0].run_id
        store.exports.write([exported("lf", run_id, 1, status="failed", error="503"), exported("ls", run_id, 2)])
        store.exports.write([exported("lf", run_id, 3, attempts=2), exported("lf", None, 4, status="began")])
        rows = store.query(
            "SELECT target, e.status, attempts, e.error, r.events FROM exports e JOIN runs r USING (run_id) "
            "ORDER BY target",
            {},
        )
        assert list(rows) == [("lf", "sent", 2, None, 2), ("ls", "sent", 1, None, 2)]

    def test_one_at_a_time_exports_to_a_target(self, store: Store) -> None:
        """Another thread waits for its turn, and is told when that is too long; other targets are free."""
        with ThreadPoolExecutor(1) as pool, store.exports.turn("lf", timeout=1):
            with pytest.raises(LogBusy, match="exports to lf"):
                pool.submit(_take_turn, store, "lf").result(timeout=30)
            pool.submit(_take_turn, store, "ls").result(timeout=30)
        _take_turn(store, "lf")

    def test_a_pruned_run_is_not_in_the_ledger(self, store: Store) -> None:
        """It is removed for good; the others stay."""
        gone, kept = fill(store, 1)[0].run_id, fill(store, 1)[0].run_id
        store.exports.write([exported("lf", gone, 1), exported("lf", kept, 2)])
        store.prune([gone])
        assert list(store.exports.read("lf")) == [kept]

    # --- prune and close

    def test_prune_removes_runs_and_nothing_else(self, store: Store) -> None:
        """Their events and answers are gone, from reads and from queries; the count is told."""
        gone, stays = fill(store, 4), fill(store, 3)
        store.answer(gone[0].run_id, "a1", answer("ann"))
        assert store.prune([gone[0].run_id]) == 4
        assert store.read(gone[0].run_id) == []
        assert store.answers(gone[0].run_id) == {}
        assert store.read(stays[0].run_id) == stays
        assert list(store.query("SELECT count(*) FROM events", {})) == [(3,)]
        assert store.prune([gone[0].run_id]) == 0

    def test_close_gives_everything_back(self, store: Store, run: Claim) -> None:
        """A closed store holds no claim; closing twice does nothing."""
        store.append(run, [event(run.run_id, 1)], durable=False)
        store.close()
        store.close()
        with pytest.raises(SeqConflict):
            store.append(run, [event(run.run_id, 2)])

    def test_a_claim_of_another_store_is_refused(self, store: Store) -> None:
        """Only what `claim` gave can be appended to."""

        class Stranger:
            run_id, head = new_id(), 0

        with pytest.raises(SeqConflict):
            store.append(cast("Claim", Stranger()), [])


class SharedStoreContract(StoreContract):
    """What a log promises besides when several processes have it open; a subclass gives the fixture `other`, too."""

    @pytest.fixture
    def other(self, store: Store) -> Iterator[Store]:
        """The log of `store` as another process has it open."""
        raise NotImplementedError

    def test_another_process_is_kept_out_and_told_by_whom(self, store: Store, other: Store, run: Claim) -> None:
        """Between processes a claim holds as it does within one."""
        store.append(run, [event(run.run_id, 1)]).result(timeout=30)
        with pytest.raises(RunClaimed):
            other.claim(run.run_id)
        holder = other.holder(run.run_id)
        assert holder is not None
        assert holder.process == store.process != other.process

    def test_another_process_is_kept_out_by_a_note_too(self, store: Store, other: Store, run: Claim) -> None:
        """For as long as it is being written."""
        store.release(run)
        noting = other.claim(run.run_id, activity="noting")
        with pytest.raises(RunClaimed):
            store.claim(run.run_id)
        other.release(noting)
        assert store.claim(run.run_id).head == 0

    def test_another_process_reads_a_live_run(self, store: Store, other: Store, run: Claim) -> None:
        """What is durable can be read everywhere, while the run goes on."""
        for seq in range(1, 6):
            store.append(run, [event(run.run_id, seq)]).result(timeout=30)
            assert len(other.read(run.run_id)) == seq

    def test_another_process_takes_up_what_was_released(self, store: Store, other: Store, run: Claim) -> None:
        """Hand a run over, there and back; each goes on from the other's last event."""
        store.append(run, [event(run.run_id, 1)]).result(timeout=30)
        store.release(run, watch=True)
        theirs = other.claim(run.run_id)
        assert theirs.head == 1
        with pytest.raises(RunClaimed):
            store.claim(run.run_id)
        other.append(theirs, [event(run.run_id, 2)]).result(timeout=30)
        other.release(theirs)
        store.unwatch(run.run_id)
        ours = store.claim(run.run_id)
        assert ours.head == 2
        store.append(ours, [event(run.run_id, 3)]).result(timeout=30)
        assert [found.seq for found in other.read(run.run_id)] == [1, 2, 3]

    def test_another_process_knows_what_was_exported(self, store: Store, other: Store) -> None:
        """What one has sent the other does not send, and while one sends the other waits."""
        run_id = new_id()
        assert other.exports.read("lf") == {}
        store.exports.write([exported("lf", run_id, 1)])
        assert list(other.exports.read("lf")) == [run_id]
        other.exports.write([exported("lf", run_id, 2, status="partial")])
        assert store.exports.read("lf")[run_id].status == "partial"
        with store.exports.turn("lf", timeout=1), pytest.raises(LogBusy):
            _take_turn(other, "lf")

    def test_the_next_process_finds_everything(self, store: Store, other: Store) -> None:
        """A store that was closed lost nothing and holds nothing."""
        events = fill(store, 3)
        open_claim = store.claim(new_id(), new=True)
        store.append(open_claim, [event(open_claim.run_id, 1)], durable=False)
        store.close()
        assert other.read(events[0].run_id) == events
        assert other.claim(open_claim.run_id).head == 1

    def test_another_process_answers(self, store: Store, other: Store, run: Claim) -> None:
        """An answer needs no claim and reaches who holds it."""
        theirs = other.answer(run.run_id, "a1", answer("bob"))
        assert store.answers(run.run_id) == {"a1": theirs}
        assert store.answer(run.run_id, "a1", answer("ann")) == theirs
