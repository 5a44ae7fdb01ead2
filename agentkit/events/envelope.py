"""The event: one row of the log, and how it is written and read."""

from datetime import UTC, datetime
from typing import Any, Self

from pydantic import Field, InstanceOf, ValidationError
from pydantic_core import from_json, to_json

from agentkit.errors import EncodingError, LogCorrupt, LogTooNew
from agentkit.events.body import BODIES, Body
from agentkit.jsonvalue import encode_model
from agentkit.messages import Fact

SCHEMA_VERSION = 1

# The envelope's columns in their order on a journal line and in every store; `body` and the version follow.
COLUMNS = (
    "run_id",
    "seq",
    "ts",
    "type",
    "step",
    "attempt",
    "name",
    "status",
    "duration_ms",
    "input_tokens",
    "output_tokens",
    "cost_usd",
    "parent_run_id",
    "approval_id",
)


_OPTIONAL = COLUMNS[4:]


class Event(Fact):
    """One row of the log: the envelope and its body.

    `ts` is UTC with microseconds, `duration_ms` milliseconds, `cost_usd` US dollars (None = unknown). `status` is the
    run's status after a `run_*` or `retry_scheduled` event, "ok" or "error" on what ends an attempt.
    """

    run_id: str
    seq: int = Field(ge=1)
    ts: datetime
    step: str | None = None
    attempt: int | None = None
    name: str | None = None
    status: str | None = None
    duration_ms: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    parent_run_id: str | None = None
    approval_id: str | None = None
    body: InstanceOf[Body]
    schema_version: int = SCHEMA_VERSION

    @property
    def type(self) -> str:
        """The event's type, for example "tool_started"."""
        return self.body.TYPE

    def columns(self) -> dict[str, Any]:
        """The envelope without its empty columns, JSON values only, in the order of `COLUMNS`."""
        return self._row(iso(self.ts))

    def _row(self, ts: str | datetime) -> dict[str, Any]:
        row: dict[str, Any] = {"run_id": self.run_id, "seq": self.seq, "ts": ts, "type": self.body.TYPE}
        given = self.__dict__  # a getattr for each of ten mostly empty columns would cost every event
        for column in _OPTIONAL:
            value = given[column]
            if value is not None:
                row[column] = value
        return row

    def body_json(self) -> bytes:
        """The body as compact JSON without its defaults.

        Raises:
            EncodingError: the body holds something JSON cannot, naming the field.
        """
        kept = vars(self)  # made once: who looks for secrets in an event and who writes it down read the same bytes
        encoded: bytes | None = kept.get("_encoded_body")
        if encoded is None:
            try:
                encoded = kept["_encoded_body"] = encode_model(self.body, self.body.TYPE)
            except EncodingError as error:
                raise EncodingError(error.where, f"{error.problem} (event {self.seq} of run {self.run_id})") from error
        return encoded

    def encode(self) -> bytes:
        """The event as one JSON object without a newline: the columns, then `body`, then `schema_version`."""
        # pydantic writes a time in UTC as `iso` does, in a third of the time, but no microseconds where they are zero
        ts = self.ts if self.ts.tzinfo is UTC and self.ts.microsecond else iso(self.ts)
        head = to_json(self._row(ts), inf_nan_mode="constants")
        return b'%s,"body":%s,"schema_version":%d}' % (head[:-1], self.body_json(), self.schema_version)

    @classmethod
    def decode(cls, data: bytes | str) -> Self:
        """Read what `encode` wrote.

        Raises:
            LogTooNew: the event's schema version is newer than this agentkit knows.
            LogCorrupt: it is not an event.
        """
        try:
            row = from_json(data)
        except ValueError as error:
            raise LogCorrupt(f"not a JSON object: {data[:80]!r} ({error})") from error
        return cls.from_row(row)

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Self:
        """Make an event of its columns plus `body`, the body being a dict or JSON text.

        Raises:
            LogTooNew: the row's schema version is newer than this agentkit knows.
            LogCorrupt: it is not an event.
        """
        version = row.get("schema_version", SCHEMA_VERSION)
        if version > SCHEMA_VERSION:
            raise LogTooNew(
                f"the log holds events of schema version {version}, this agentkit reads up to {SCHEMA_VERSION}; "
                "upgrade agentkit to open it"
            )
        kind = row.get("type")
        if kind not in BODIES:
            raise LogCorrupt(f"unknown event type {kind!r} in run {row.get('run_id')} at seq {row.get('seq')}")
        body: Any = row.get("body") or {}
        fields = {key: value for key, value in row.items() if key not in {"type", "body"} and value is not None}
        try:
            parsed = BODIES[kind].model_validate(from_json(body) if isinstance(body, str | bytes) else body)
            return cls(**fields, body=parsed)
        except (ValidationError, ValueError) as error:
            raise LogCorrupt(f"event {row.get('seq')} of run {row.get('run_id')} ({kind}): {error}") from error


def event_types() -> dict[str, type[Body]]:
    """Every event type by name, with its body's class."""
    return dict(BODIES)


def iso(moment: datetime) -> str:
    """A UTC time as text with microseconds: fixed width, so it sorts as text."""
    utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return f"{utc.isoformat(timespec='microseconds')[:-6]}Z"
