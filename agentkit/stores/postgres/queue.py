"""The queue of a log in PostgreSQL: a row a run, taken by one statement in which nobody waits for anybody.

A take looks at as many rows as it may need: by one index at those of each name that are ready, by another at those
whose sleep ends, and at those of processes that died. Of all these it locks the first that no other take has locked.
"""

import platform
import secrets
from collections.abc import Collection
from typing import Any

from agentkit import failpoints
from agentkit.store import Taken
from agentkit.stores.names import checked_run_id
from agentkit.stores.postgres.connections import Connections
from agentkit.stores.postgres.presence import Presence, is_gone
from agentkit.stores.postgres.writer import Writer

FAIL_POINTS = ("postgres.queue.put", "postgres.queue.taken")

_MORE = 100  # rows that a take looks at beyond its limit, since other takes may have locked them just now

_PUT = "INSERT INTO queue (run_id, name) VALUES (%s, %s) ON CONFLICT DO NOTHING"
_TAKE = """
WITH takers AS MATERIALIZED (
  SELECT DISTINCT process FROM queue WHERE process IS NOT NULL AND process <> %(me)s
), dead AS MATERIALIZED (
  SELECT process FROM takers
  WHERE NOT lives(process, %(lease)s, CASE WHEN process = ANY(%(gone)s::text[]) THEN 0 ELSE %(grace)s::float8 END)
), seen AS (
  SELECT r.run_id FROM unnest(%(names)s::text[]) AS n(name) CROSS JOIN LATERAL (
    SELECT run_id FROM queue WHERE name = n.name AND process IS NULL AND asleep_until IS NULL
    ORDER BY submitted_at, run_id LIMIT %(look)s
  ) AS r
  UNION ALL (
    SELECT run_id FROM queue WHERE asleep_until <= now() AND asleep_until < 'infinity'
      AND name = ANY(%(names)s::text[])
    ORDER BY asleep_until LIMIT %(look)s
  )
  UNION ALL (
    SELECT run_id FROM queue WHERE process IN (SELECT process FROM dead) AND name = ANY(%(names)s::text[])
    ORDER BY submitted_at, run_id LIMIT %(look)s
  )
), free AS MATERIALIZED (
  SELECT run_id FROM queue WHERE run_id = ANY(ARRAY(SELECT run_id FROM seen)) AND (
    process IS NULL AND (asleep_until IS NULL OR asleep_until <= now())
    OR process = ANY(ARRAY(SELECT process FROM dead))
  )
  ORDER BY submitted_at, run_id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), taken AS (
  UPDATE queue SET process = %(me)s, token = %(token)s, asleep_until = NULL,
    lost = lost + CASE WHEN process IS NULL THEN 0 ELSE 1 END
  WHERE run_id = ANY(ARRAY(SELECT run_id FROM free))
  RETURNING run_id, name, submitted_at, lost
)
SELECT run_id, name, submitted_at, lost FROM taken ORDER BY submitted_at, run_id
"""
_TAKERS = """
SELECT process, pid, host FROM processes AS p
WHERE host = %(host)s AND process <> %(me)s AND EXISTS (SELECT 1 FROM queue WHERE process = p.process)
"""
_PUT_BACK = """
UPDATE queue SET process = NULL, token = NULL, lost = CASE WHEN %(forgive)s THEN 0 ELSE lost END,
  asleep_until = CASE
    WHEN %(after)s::float8 IS NULL THEN 'infinity'
    WHEN %(after)s::float8 > 0 THEN now() + make_interval(secs => LEAST(%(after)s::float8, 1e9))
  END
WHERE run_id = %(run)s AND process = %(me)s
"""
_WAKE = "UPDATE queue SET asleep_until = NULL, lost = 0 WHERE run_id = %s RETURNING run_id"
_FORGET = "UPDATE queue SET process = NULL, token = NULL WHERE process = %(me)s AND token = %(token)s"
_LEAVE = "UPDATE queue SET process = NULL, token = NULL WHERE process = %(me)s"


class PostgresQueue:
    """The queue; see `Queue`.

    Args:
        connections: to the server.
        writer: what this process tells the server in the end, whatever becomes of its connections.
        presence: says that this process lives.
        lease: seconds without a sign of life after which a process counts as dead.
    """

    def __init__(self, connections: Connections, writer: Writer, presence: Presence, *, lease: float) -> None:
        self.took = False
        self._connections = connections
        self._writer = writer
        self._presence = presence
        self._lease = lease

    def put(self, run_id: str, name: str) -> None:
        """A run is ready from now on; see `Queue.put`."""
        self._connections.execute(_PUT, [checked_run_id(run_id), name])
        failpoints.hit("postgres.queue.put")

    def take(self, names: Collection[str], limit: int) -> list[Taken]:
        """Take runs that are ready; see `Queue.take`."""
        if limit < 1 or not names:
            return []
        self._presence.start()
        self.took = True
        token = secrets.randbits(62)
        try:
            runs = self._take(names, limit, token, [])
            if len(runs) < limit and (gone := self._gone()):
                runs += self._take(names, limit - len(runs), token, gone)
        except BaseException:  # the server may have given some, and only its word was lost
            self._writer.soon(lambda: (_FORGET, {"me": self._writer.process, "token": token}))
            raise
        return runs

    def put_back(self, run_id: str, *, after: float | None, forgive: bool = True) -> None:
        """Let go of a run that this process took, as soon as the server can be told; see `Queue.put_back`."""
        given = {"run": checked_run_id(run_id), "me": self._writer.process, "after": after, "forgive": forgive}
        if self.took:
            self._writer.tell(lambda: (_PUT_BACK, given))

    def wake(self, run_id: str) -> bool:
        """Have a run that is asleep ready at once; see `Queue.wake`."""
        return bool(self._connections.execute(_WAKE, [checked_run_id(run_id)]))

    def remove(self, run_id: str) -> None:
        """Forget a run; see `Queue.remove`."""
        self._connections.execute("DELETE FROM queue WHERE run_id = %s", [checked_run_id(run_id)])

    def leave(self) -> tuple[str, dict[str, Any]]:
        """The statement that has ready what this process took."""
        return _LEAVE, {"me": self._writer.process}

    def _take(self, names: Collection[str], limit: int, token: int, gone: list[str]) -> list[Taken]:
        """Take what is ready.

        Args:
            names: whose.
            limit: at most so many.
            token: what this take is known by.
            gone: processes that are dead as soon as the server knows it, though they were seen a moment ago.
        """
        given = {
            "me": self._writer.process,
            "token": token,
            "names": sorted(set(names)),
            "limit": limit,
            "look": limit + _MORE,
            "gone": gone,
            "lease": self._lease,
            "grace": self._presence.grace,
        }
        rows = self._connections.execute(_TAKE, given)
        failpoints.hit("postgres.queue.taken")
        return [Taken(*row) for row in rows]

    def _gone(self) -> list[str]:
        """The processes of this machine that took runs and are not there any more."""
        rows = self._connections.execute(_TAKERS, {"host": platform.node(), "me": self._writer.process})
        return [process for process, pid, host in rows if is_gone(pid, host)]
