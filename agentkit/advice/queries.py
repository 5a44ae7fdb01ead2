# ruff: noqa: S608  the SQL is put together from constants of this module and from checked names
"""The SQL behind the advice: one text for DuckDB and PostgreSQL, over the log's views.

`$agent` is the agent's name, `$newest` how many of its runs are looked at. Names of tools and of fields stand in the
text: they are of letters, digits, - and _ only.
"""

import re
from collections.abc import Iterable

FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
"""A name that is safe in a query, and a plain key: DuckDB takes one that begins with $ or / for a path."""

_MINE = """WITH mine AS (
  SELECT run_id FROM events
  WHERE type = 'run_started' AND name = $agent AND body->>'kind' = 'agent'
  ORDER BY run_id DESC LIMIT $newest
)"""
_OF_MINE = "run_id IN (SELECT run_id FROM mine)"

RUNS = f"{_MINE}\nSELECT count(*) AS runs FROM mine"

READINESS = f"""{_MINE},
ok AS (
  SELECT run_id, seq, name, lag(name) OVER (PARTITION BY run_id ORDER BY seq) AS before
  FROM tool_calls WHERE status = 'ok' AND {_OF_MINE}
),
paths AS (  -- a call that is repeated counts once; one that failed does not count
  SELECT run_id, string_agg(name, ' > ' ORDER BY seq) AS path
  FROM ok WHERE before IS NULL OR before <> name GROUP BY run_id
),
parts AS (
  SELECT ended.ts, coalesce(paths.path, '(no tool)') AS path, ntile(4) OVER (ORDER BY ended.run_id) AS part
  FROM events AS ended LEFT JOIN paths ON paths.run_id = ended.run_id
  WHERE ended.type = 'run_succeeded' AND ended.{_OF_MINE}
),
counted AS (SELECT part, path, count(*) AS times, min(ts) AS since, max(ts) AS until FROM parts GROUP BY part, path)
SELECT part, min(since) AS since, max(until) AS until, CAST(sum(times) AS BIGINT) AS runs, count(*) AS sequences,
  max(times) AS most_common, substr(max(lpad(CAST(times AS VARCHAR), 9, '0') || path), 10) AS sequence
FROM counted GROUP BY part ORDER BY part"""

CALLED = """WITH mine AS (
  SELECT run_id FROM events
  WHERE type = 'run_started' AND name = $agent AND body->>'definition_sha256' = $definition
  ORDER BY run_id DESC LIMIT $newest
),
called AS (SELECT name, count(*) AS calls FROM events
  WHERE type = 'tool_started' AND run_id IN (SELECT run_id FROM mine) GROUP BY name)
SELECT tool.name AS tool, (SELECT count(*) FROM mine) AS runs, coalesce(called.calls, 0) AS calls
FROM ({tools}) AS tool LEFT JOIN called ON called.name = tool.name ORDER BY 1"""

ERRORS = f"""{_MINE}
SELECT name AS tool, coalesce(error, '') AS error, count(*) AS attempts
FROM tool_calls WHERE NOT rejected AND {_OF_MINE}
GROUP BY name, coalesce(error, '') ORDER BY 1, 3 DESC, 2"""

UNCHANGED = f"""{_MINE},
called AS (
  SELECT run_id, step, seq, name, body->>'arguments' AS arguments
  FROM events WHERE type = 'tool_started' AND attempt = 1 AND {_OF_MINE}
),
failed AS (  -- for good, and where trying the same again cannot help
  SELECT run_id, step, seq, (body->'error')->>'message' AS message FROM events
  WHERE type = 'tool_failed' AND {_OF_MINE} AND coalesce(body->>'retrying', 'false') = 'false'
    AND coalesce(body->>'rejected', 'false') = 'false' AND coalesce((body->'error')->>'retryable', 'false') = 'false'
),
errors_ AS (
  SELECT first.name, failed.message, EXISTS (
      SELECT 1 FROM called AS again WHERE again.run_id = failed.run_id AND again.name = first.name
        AND again.arguments = first.arguments AND again.seq > failed.seq
    ) AS unchanged
  FROM failed JOIN called AS first ON first.run_id = failed.run_id AND first.step = failed.step
)
SELECT name AS tool, count(*) AS errors, sum(CASE WHEN unchanged THEN 1 ELSE 0 END) AS tried_unchanged,
  min(CASE WHEN unchanged THEN message END) AS for_example
FROM errors_ GROUP BY name ORDER BY name"""

TWICE = f"""{_MINE},
done AS (
  SELECT begun.run_id, begun.name, begun.body->>'arguments' AS arguments, ended.body->>'result' AS result
  FROM events AS begun JOIN events AS ended
    ON ended.run_id = begun.run_id AND ended.step = begun.step AND ended.attempt = begun.attempt
  WHERE begun.type = 'tool_started' AND ended.type = 'tool_succeeded' AND begun.name IN ({{writes}})
    AND begun.{_OF_MINE}
),
twice AS (
  SELECT run_id, name, count(*) AS times, count(DISTINCT result) AS results
  FROM done GROUP BY run_id, name, arguments HAVING count(*) > 1
)
SELECT name AS tool, count(*) AS done_again, sum(CASE WHEN results > 1 THEN 1 ELSE 0 END) AS changed_again
FROM twice GROUP BY name ORDER BY name"""

SIZES = f"""{_MINE}
SELECT name AS tool, count(*) AS results, percentile_cont(0.95) WITHIN GROUP (ORDER BY
    -- a body without its call's id is a file of its own: it is at least 256 kB
    CASE WHEN body->>'call_id' IS NULL THEN 262144 ELSE coalesce(length(body->>'result'), 0) END / 4.0
  ) AS p95_tokens
FROM events WHERE type = 'tool_succeeded' AND {_OF_MINE}
GROUP BY name ORDER BY name"""

DIFFERS = f"""{_MINE},
begun AS (
  SELECT run_id, step, name, attempt, body->>'arguments' AS arguments,
    sum(CASE WHEN name IN ({{writes}}) THEN 1 ELSE 0 END) OVER (PARTITION BY run_id ORDER BY seq) AS writes_before
  FROM events WHERE type = 'tool_started' AND {_OF_MINE}
),
again AS (  -- the same read in one run, with no write between
  SELECT begun.name, count(*) AS times, count(DISTINCT ended.body->>'result') AS results
  FROM begun JOIN events AS ended
    ON ended.run_id = begun.run_id AND ended.step = begun.step AND ended.attempt = begun.attempt
  WHERE ended.type = 'tool_succeeded' AND begun.name NOT IN ({{writes}})
  GROUP BY begun.run_id, begun.name, begun.arguments, begun.writes_before HAVING count(*) > 1
)
SELECT name AS tool, count(*) AS read_again, sum(CASE WHEN results > 1 THEN 1 ELSE 0 END) AS differed
FROM again GROUP BY name ORDER BY name"""

FOLLOWED = f"""{_MINE},
ok AS (
  SELECT run_id, name, lead(name) OVER (PARTITION BY run_id ORDER BY seq) AS after
  FROM tool_calls WHERE status = 'ok' AND {_OF_MINE}
)
SELECT name AS tool, coalesce(after, '') AS followed_by, count(*) AS times, count(DISTINCT run_id) AS runs
FROM ok GROUP BY name, coalesce(after, '') ORDER BY 1, 3 DESC, 2"""

VALUES = f"""{_MINE}
SELECT CAST(run_id AS VARCHAR) AS run_id, type, name, attempt, body FROM events
WHERE type IN ('run_started', 'tool_started', 'tool_succeeded') AND {_OF_MINE} ORDER BY run_id, seq"""

COPIED = f"""{_MINE},
given AS (
  SELECT run_id, seq, (body->'arguments')->>'{{argument}}' AS value
  FROM events WHERE type = 'tool_started' AND attempt = 1 AND name = '{{tool}}' AND {_OF_MINE}
),
found AS (
  SELECT value, EXISTS (
      SELECT 1 FROM events AS earlier WHERE earlier.run_id = given.run_id AND earlier.seq < given.seq
        AND earlier.type = 'tool_succeeded' AND earlier.name = '{{source}}' AND {{path}} = given.value
    ) AS copied
  FROM given
)
SELECT count(*) AS calls, count(DISTINCT value) AS values_, sum(CASE WHEN copied THEN 1 ELSE 0 END) AS copied
FROM found"""


def called(tools: Iterable[str]) -> str:
    """`CALLED` for these tools."""
    return CALLED.format(tools=" UNION ALL ".join(f"SELECT '{name}' AS name" for name in tools))


def about_writes(sql: str, writes: Iterable[str]) -> str:
    """`TWICE` or `DIFFERS` for an agent whose tools that change something have these names."""
    return sql.format(writes=", ".join(f"'{name}'" for name in writes) or "''")


def copied(tool: str, argument: str, source: str, path: tuple[str, ...]) -> str:
    """`COPIED` for one argument, and where its value may come from."""
    *outer, last = ("result", *path)
    place = "earlier.body" + "".join(f"->'{key}'" for key in outer) + f"->>'{last}'"
    return COPIED.format(tool=tool, argument=argument, source=source, path=f"({place})")
