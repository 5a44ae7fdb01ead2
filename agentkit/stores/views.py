# ruff: noqa: S608  the SQL is put together from constants of this module
"""The SQL views of a log: one text for DuckDB and PostgreSQL, derived from the event types in `agentkit.events`.

Written so that both dialects take it and 10 million events answer in tenths of a second: promoted columns first, `CASE`
inside plain aggregates instead of `max_by`, `CAST`, `->>`. The body is touched only by the columns that need it, and an
aggregate whose column nobody selects is not computed. A join always is, in DuckDB, so there is none: `model_calls` and
`tool_calls` are the events that end an attempt (a join with what began it took 4 times as long), and `steps` gathers a
step's arguments and result by grouping. "The last one" is the largest `seq * 16 + code`.

They count a run's own events only: what a fork took from its parent is its parent's.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

# view → what its rows are: `%log` prints this
ROWS: Mapping[str, str] = {
    "events": "one row an event: everything else is made of these",
    "runs": "one row a run of an agent or a pipeline",
    "steps": "one row a step, its attempts added up: a model call, a tool call, a pipeline's step, a question",
    "model_calls": "one row an attempt at a model call that ended",
    "tool_calls": "one row an attempt at a tool call that ended",
    "decisions": "one row an action that a model chose, with its reason",
    "approvals": "one row a question to a person, with the answer once there is one",
    "comments": "one row a comment that somebody left on a run or on one of its steps",
    "costs": "one row an attempt at a model call: its tokens and US dollars",
    "errors": "one row a failed attempt, a refused check or a failed run",
    "exports": "one row a run and a system that it is sent to: what was acknowledged, and when",
}

# view → column → what it means: the README and `%log` print this
COLUMNS: Mapping[str, Mapping[str, str]] = {
    "events": {
        "run_id": "the run, a UUIDv7: sorts by the time the run began",
        "seq": "the event's place in its run, from 1 without a gap",
        "ts": "when it was recorded, UTC",
        "type": "the event type, for example tool_started",
        "step": "the step it belongs to, for example tool/refund/2",
        "attempt": "which try of the step, from 1",
        "name": "the run's definition, the model, the tool or the check",
        "status": "the run's status after run_* and retry_scheduled; ok or error on what ends an attempt",
        "duration_ms": "how long the attempt took, milliseconds",
        "input_tokens": "tokens the model read",
        "output_tokens": "tokens the model wrote",
        "cost_usd": "US dollars; NULL where the price is unknown",
        "parent_run_id": "the run that called this one",
        "approval_id": "the question this event is about",
        "body": 'everything else, JSON; {"$blob": sha256} where it is a file under blobs/',
        "schema_version": "the version of the event's form",
    },
    "runs": {
        "run_id": "the run",
        "kind": "agent or pipeline",
        "name": "the agent's or the pipeline's name",
        "status": "the last recorded status: running, paused, waiting, succeeded, failed, cancelled",
        "started_at": "when it began, UTC",
        "ended_at": "when it succeeded, failed or was cancelled; NULL before",
        "duration_ms": "from started_at to ended_at, milliseconds, waiting included",
        "model_calls": "attempts at model calls",
        "tool_calls": "tool calls that were begun",
        "input_tokens": "tokens its models read, every attempt",
        "output_tokens": "tokens its models wrote, every attempt",
        "cost_usd": "US dollars, every attempt; NULL when one attempt's cost is unknown",
        "error": "why it failed",
        "parent_run_id": "the run that called it",
        "tags": "its tags, a JSON array as text",
        "session_id": "the session= it was given",
        "user_id": "the user= it was given",
        "grade": "the last grade, good or bad",
        "events": "how many events it has",
    },
    "steps": {
        "run_id": "the run",
        "step": "the step's path in the run",
        "kind": "model, tool, step (of a pipeline), ask (of a model, by a step) or other",
        "name": "the model, the tool or the pipeline step",
        "status": "running, ok, error, skipped, waiting (for a retry), asked (a person), answered",
        "attempts": "how often it was tried",
        "started_at": "when the first attempt began",
        "ended_at": "when the last attempt ended",
        "duration_ms": "the attempts' durations added, milliseconds",
        "input_tokens": "tokens its attempts read",
        "output_tokens": "tokens its attempts wrote",
        "cost_usd": "US dollars of its attempts; NULL when one is unknown",
        "arguments": "a tool's validated arguments, JSON as text",
        "result": "what a tool or a pipeline step returned, JSON as text",
        "error": "the message of its last failed attempt",
    },
    "model_calls": {
        "run_id": "the run",
        "seq": "its place in the run",
        "step": "the step, for example model/3",
        "attempt": "which try, from 1; one row a try that ended, see steps for what is under way",
        "model": "the model's name",
        "status": "ok or error",
        "ended_at": "when it answered or failed",
        "duration_ms": "milliseconds",
        "input_tokens": "tokens it read",
        "output_tokens": "tokens it wrote",
        "cost_usd": "US dollars; NULL = unknown",
        "finish_reason": "why it stopped",
        "text": "what it said",
        "error": "why it failed",
        "lost": "true: the process died meanwhile, tokens and cost are the estimate",
    },
    "tool_calls": {
        "run_id": "the run",
        "seq": "its place in the run",
        "step": "the step, for example tool/refund/2",
        "attempt": "which try, from 1; one row a try that ended, see steps for what is under way and for arguments",
        "name": "the tool",
        "status": "ok or error",
        "ended_at": "when it ended",
        "duration_ms": "milliseconds",
        "result": "what it returned, JSON as text",
        "error": "why it failed",
        "effect": "none or unknown, where it failed: whether something may have happened",
        "rejected": "true: a person said no",
        "in_doubt": "true: it ran into its timeout and its thread was still running",
    },
    "decisions": {
        "run_id": "the run",
        "seq": "its place in the run",
        "ts": "when it was recorded",
        "step": "the step that was chosen",
        "action": "what was chosen",
        "why": "the model's own words",
        "instead_of": "what it says it weighed against",
        "offered": "the alternatives it had, a JSON array as text",
    },
    "approvals": {
        "run_id": "the run",
        "approval_id": "the question's id",
        "step": "the step it is about",
        "name": "the tool or step to be approved",
        "status": "pending, answered or expired",
        "requested_at": "when it was asked; NULL for a predicate's no",
        "answered_at": "when the answer was recorded",
        "kind": "call, question, in_doubt, budget, loop or deopt",
        "prompt": "what was asked",
        "arguments": "what will run, JSON as text",
        "verdict": "approve, edit, reject, answer, …; not_required: a predicate said that nobody needs to be asked",
        "comment": "the person's words",
        "who": "who answered",
        "through": "by what: notebook, command line, …",
    },
    "comments": {
        "run_id": "the run",
        "seq": "its place in the run",
        "step": "the step it is about, for example tool/refund/2; NULL where it is about the run",
        "said_at": "when it was said, UTC; it may have been recorded a moment later",
        "who": "who said it",
        "through": "by what: notebook, cli, python",
        "text": "the words",
    },
    "costs": {
        "run_id": "the run",
        "seq": "its place in the run",
        "ts": "when it was recorded",
        "step": "the step",
        "attempt": "which try",
        "model": "the model",
        "status": "ok or error",
        "input_tokens": "tokens it read",
        "output_tokens": "tokens it wrote",
        "cost_usd": "US dollars; NULL = unknown",
    },
    "errors": {
        "run_id": "the run",
        "seq": "its place in the run",
        "ts": "when it was recorded",
        "type": "model_failed, tool_failed, step_failed, checked or run_failed",
        "step": "the step",
        "attempt": "which try",
        "name": "the model, the tool, the step or the check",
        "error": "the error's type",
        "message": "what it says",
        "retryable": "whether the same can succeed later",
    },
    "exports": {
        "target": "the tracing system, its host and project, for example langfuse@cloud.langfuse.com/pk-lf-1a2b3c4d",
        "run_id": "the run; those that it called went with it",
        "status": "sent, partial (it took a part), refused (for good), failed (to be tried again), unreadable",
        "recorded_at": "when this was last recorded, UTC",
        "acknowledged_at": "when the system said that it has it; NULL before",
        "sha256": "the digest of what was sent",
        "events": "how many events of the run, and of those that it called, that holds",
        "ended": "whether it holds the run's end; false where it was sent while it waited for a person",
        "spans": "how many spans that is",
        "size": "bytes sent, before compression",
        "http_status": "the last answer's status; NULL where there was none",
        "attempts": "how many requests were made for it; of failures that repeat themselves, the first",
        "error": "what the system or the network said",
    },
}

ENVELOPE = tuple(COLUMNS["events"])
# the ledger's columns as a store has them, with DuckDB's types; PostgreSQL knows these names too
LEDGER: Mapping[str, str] = {
    "target": "VARCHAR", "run_id": "UUID", "status": "VARCHAR", "recorded_at": "TIMESTAMPTZ",
    "acknowledged_at": "TIMESTAMPTZ", "sha256": "VARCHAR", "events": "INTEGER", "ended": "BOOLEAN",
    "spans": "INTEGER", "size": "BIGINT", "http_status": "INTEGER", "attempts": "INTEGER", "error": "VARCHAR",
}  # fmt: skip
NO_EXPORTS = f"SELECT {', '.join(f'CAST(NULL AS {kind}) AS {name}' for name, kind in LEDGER.items())} WHERE 1 = 0"
_STARTS = "('model_requested', 'tool_started', 'step_started', 'ask_started')"
_MODEL_ENDS = "('model_responded', 'model_failed')"
_TOOL_ENDS = "('tool_succeeded', 'tool_failed')"
_ENDS = "('model_responded', 'model_failed', 'tool_succeeded', 'tool_failed', 'step_succeeded', 'step_failed')"

VIEWS: Mapping[str, str] = {
    "runs": f"""
SELECT run_id, kind, name,
  CASE code % 16 WHEN 1 THEN 'running' WHEN 2 THEN 'paused' WHEN 3 THEN 'waiting' WHEN 4 THEN 'succeeded'
    WHEN 5 THEN 'failed' WHEN 6 THEN 'cancelled' END AS status,
  started_at,
  CASE WHEN code % 16 >= 4 THEN ended_ts END AS ended_at,
  CASE WHEN code % 16 >= 4 THEN CAST(extract(epoch FROM (ended_ts - started_at)) AS DOUBLE PRECISION) * 1000 END
    AS duration_ms,
  model_calls, tool_calls, input_tokens, output_tokens,
  CASE WHEN unpriced = 0 THEN coalesce(cost, 0) END AS cost_usd,
  error, parent_run_id, tags, session_id, user_id, substr(graded, 11) AS grade, events
FROM (
  SELECT run_id,
    max(CASE WHEN type = 'run_started' THEN body->>'kind' END) AS kind,
    max(CASE WHEN type = 'run_started' THEN name END) AS name,
    max(seq * 16 + CASE WHEN type IN {_STARTS} THEN 1 WHEN status = 'running' THEN 1 WHEN status = 'paused' THEN 2
      WHEN status = 'waiting' THEN 3 WHEN status = 'succeeded' THEN 4 WHEN status = 'failed' THEN 5
      WHEN status = 'cancelled' THEN 6 END) AS code,
    min(ts) AS started_at,
    max(CASE WHEN type IN ('run_succeeded', 'run_failed', 'run_cancelled') THEN ts END) AS ended_ts,
    CAST(sum(CASE WHEN type = 'model_requested' THEN 1 ELSE 0 END) AS BIGINT) AS model_calls,
    CAST(sum(CASE WHEN type = 'tool_started' AND attempt = 1 THEN 1 ELSE 0 END) AS BIGINT) AS tool_calls,
    CAST(sum(CASE WHEN type IN {_MODEL_ENDS} THEN coalesce(input_tokens, 0) ELSE 0 END) AS BIGINT) AS input_tokens,
    CAST(sum(CASE WHEN type IN {_MODEL_ENDS} THEN coalesce(output_tokens, 0) ELSE 0 END) AS BIGINT) AS output_tokens,
    sum(CASE WHEN type IN {_MODEL_ENDS} THEN cost_usd END) AS cost,
    CAST(sum(CASE WHEN type IN {_MODEL_ENDS} AND cost_usd IS NULL THEN 1 ELSE 0 END) AS BIGINT) AS unpriced,
    max(CASE WHEN type = 'run_failed' THEN (body->'error')->>'message' END) AS error,
    CAST(max(CASE WHEN type = 'run_started' THEN CAST(parent_run_id AS VARCHAR) END) AS UUID) AS parent_run_id,
    max(CASE WHEN type = 'run_started' THEN body->>'tags' END) AS tags,
    max(CASE WHEN type = 'run_started' THEN body->>'session' END) AS session_id,
    max(CASE WHEN type = 'run_started' THEN body->>'user' END) AS user_id,
    max(CASE WHEN type = 'graded' THEN lpad(CAST(seq AS VARCHAR), 10, '0') || (body->>'verdict') END) AS graded,
    count(*) AS events
  FROM events GROUP BY run_id
) AS r""",
    "steps": f"""
SELECT run_id, step,
  CASE WHEN of_model > 0 THEN 'model' WHEN of_tool > 0 THEN 'tool' WHEN of_ask > 0 THEN 'ask'
    WHEN of_step > 0 THEN 'step' ELSE 'other' END AS kind,
  name,
  CASE code % 16 WHEN 1 THEN 'running' WHEN 2 THEN 'ok' WHEN 3 THEN 'error' WHEN 4 THEN 'skipped' WHEN 5 THEN 'waiting'
    WHEN 6 THEN 'asked' WHEN 7 THEN 'answered' END AS status,
  attempts, started_at, ended_at, duration_ms, input_tokens, output_tokens,
  CASE WHEN unpriced = 0 THEN coalesce(cost, 0) END AS cost_usd,
  arguments, result, substr(failed, 11) AS error
FROM (
  SELECT run_id, step,
    CAST(sum(CASE WHEN type LIKE 'model%' THEN 1 ELSE 0 END) AS BIGINT) AS of_model,
    CAST(sum(CASE WHEN type LIKE 'tool%' THEN 1 ELSE 0 END) AS BIGINT) AS of_tool,
    CAST(sum(CASE WHEN type LIKE 'step%' THEN 1 ELSE 0 END) AS BIGINT) AS of_step,
    CAST(sum(CASE WHEN type = 'ask_started' THEN 1 ELSE 0 END) AS BIGINT) AS of_ask,
    max(name) AS name,
    max(seq * 16 + CASE WHEN type IN {_STARTS} THEN 1 WHEN type = 'step_skipped' THEN 4
      WHEN type = 'retry_scheduled' THEN 5 WHEN type = 'approval_requested' THEN 6
      WHEN type IN ('approval_answered', 'approval_expired') THEN 7
      WHEN type IN {_ENDS} AND status = 'ok' THEN 2 WHEN type IN {_ENDS} THEN 3 END) AS code,
    CAST(sum(CASE WHEN type IN {_STARTS} THEN 1 ELSE 0 END) AS BIGINT) AS attempts,
    min(CASE WHEN type IN {_STARTS} THEN ts END) AS started_at,
    max(CASE WHEN type IN {_ENDS} THEN ts END) AS ended_at,
    sum(CASE WHEN type IN {_ENDS} THEN duration_ms END) AS duration_ms,
    CAST(sum(CASE WHEN type IN {_MODEL_ENDS} THEN coalesce(input_tokens, 0) ELSE 0 END) AS BIGINT) AS input_tokens,
    CAST(sum(CASE WHEN type IN {_MODEL_ENDS} THEN coalesce(output_tokens, 0) ELSE 0 END) AS BIGINT) AS output_tokens,
    sum(CASE WHEN type IN {_MODEL_ENDS} THEN cost_usd END) AS cost,
    CAST(sum(CASE WHEN type IN {_MODEL_ENDS} AND cost_usd IS NULL THEN 1 ELSE 0 END) AS BIGINT) AS unpriced,
    max(CASE WHEN type = 'tool_started' THEN body->>'arguments' END) AS arguments,
    max(CASE WHEN type IN ('tool_succeeded', 'step_succeeded') THEN body->>'result' END) AS result,
    max(CASE WHEN type IN ('model_failed', 'tool_failed', 'step_failed')
      THEN lpad(CAST(seq AS VARCHAR), 10, '0') || ((body->'error')->>'message') END) AS failed
  FROM events WHERE step IS NOT NULL AND type NOT IN ('decided', 'checked', 'note', 'commented') GROUP BY run_id, step
) AS s""",
    "model_calls": f"""
SELECT run_id, seq, step, attempt, name AS model,
  CASE WHEN type = 'model_responded' THEN 'ok' ELSE 'error' END AS status, ts AS ended_at, duration_ms,
  input_tokens, output_tokens, cost_usd,
  body->>'finish_reason' AS finish_reason, body->>'text' AS text, (body->'error')->>'message' AS error,
  coalesce(body->>'lost', 'false') = 'true' AS lost
FROM events WHERE type IN {_MODEL_ENDS}""",
    "tool_calls": f"""
SELECT run_id, seq, step, attempt, name, CASE WHEN type = 'tool_succeeded' THEN 'ok' ELSE 'error' END AS status,
  ts AS ended_at, duration_ms, body->>'result' AS result, (body->'error')->>'message' AS error,
  CASE WHEN type = 'tool_failed' THEN coalesce(body->>'effect', 'none') END AS effect,
  coalesce(body->>'rejected', 'false') = 'true' AS rejected, coalesce(body->>'in_doubt', 'false') = 'true' AS in_doubt
FROM events WHERE type IN {_TOOL_ENDS}""",
    "decisions": """
SELECT run_id, seq, ts, step, body->>'action' AS action, body->>'why' AS why, body->>'instead_of' AS instead_of,
  body->>'offered' AS offered
FROM events WHERE type = 'decided'""",
    "approvals": """
SELECT run_id, approval_id, max(step) AS step, max(name) AS name,
  CASE WHEN max(CASE WHEN type = 'approval_answered' THEN 1 END) = 1 THEN 'answered'
    WHEN max(CASE WHEN type = 'approval_expired' THEN 1 END) = 1 THEN 'expired' ELSE 'pending' END AS status,
  min(CASE WHEN type = 'approval_requested' THEN ts END) AS requested_at,
  max(CASE WHEN type = 'approval_answered' THEN ts END) AS answered_at,
  max(CASE WHEN type = 'approval_requested' THEN body->>'kind' END) AS kind,
  max(CASE WHEN type = 'approval_requested' THEN body->>'prompt' END) AS prompt,
  max(CASE WHEN type = 'approval_requested' THEN body->>'arguments' END) AS arguments,
  max(CASE WHEN type = 'approval_answered' THEN body->>'verdict' END) AS verdict,
  max(CASE WHEN type = 'approval_answered' THEN body->>'comment' END) AS comment,
  max(CASE WHEN type = 'approval_answered' THEN body->>'who' END) AS who,
  max(CASE WHEN type = 'approval_answered' THEN body->>'through' END) AS through
FROM events WHERE type IN ('approval_requested', 'approval_answered', 'approval_expired')
GROUP BY run_id, approval_id""",
    "comments": """
SELECT run_id, seq, step, coalesce(CAST(body->>'said_at' AS TIMESTAMPTZ), ts) AS said_at,
  body->>'who' AS who, body->>'through' AS through, body->>'text' AS text
FROM events WHERE type = 'commented'""",
    "costs": f"""
SELECT run_id, seq, ts, step, attempt, name AS model, status, input_tokens, output_tokens, cost_usd
FROM events WHERE type IN {_MODEL_ENDS}""",
    "errors": """
SELECT run_id, seq, ts, type, step, attempt, name, (body->'error')->>'type' AS error,
  (body->'error')->>'message' AS message, coalesce((body->'error')->>'retryable', 'false') = 'true' AS retryable
FROM events
WHERE type IN ('model_failed', 'tool_failed', 'step_failed', 'run_failed')
  OR (type = 'checked' AND body->>'passed' = 'false')""",
    "exports": f"""
SELECT {", ".join(COLUMNS["exports"])} FROM (
  SELECT *, row_number() OVER (PARTITION BY target, run_id ORDER BY recorded_at DESC) AS newest FROM ledger
) AS x WHERE newest = 1 AND run_id IS NOT NULL""",
}


def statements(events: str, ledger: str = NO_EXPORTS, *, replace: str = "OR REPLACE") -> list[str]:
    """The statements that create every view, `events` first.

    Args:
        events: a SELECT that gives the envelope's columns, `body` and `schema_version`.
        ledger: a SELECT that gives the columns of `LEDGER`.
        replace: what stands between CREATE and VIEW.

    Returns:
        One statement a view, for DuckDB or PostgreSQL, to run with the views' schema as the current one.
    """
    texts = {"events": events, **VIEWS, "exports": f"WITH ledger AS ({ledger}) {VIEWS['exports'].strip()}"}
    return [f"CREATE {replace} VIEW {name} AS {sql.strip()}" for name, sql in texts.items()]


def create_views(connection: "duckdb.DuckDBPyConnection", events: str, ledger: str = NO_EXPORTS) -> None:
    """Create or replace the views in a DuckDB connection's current schema.

    Args:
        connection: an open connection.
        events: a SELECT that gives the envelope's columns, `body` and `schema_version`.
        ledger: a SELECT that gives the columns of `LEDGER`.
    """
    for statement in statements(events, ledger):
        connection.execute(statement)
