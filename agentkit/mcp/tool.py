"""One tool of a server, as the core sees a tool."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from agentkit.definition import Approve, Context
from agentkit.errors import ServerUnavailable, ToolError
from agentkit.jsonvalue import JsonValue, clean, clean_text
from agentkit.mcp.arguments import Arguments
from agentkit.mcp.link import Link, fingerprint
from agentkit.mcp.place import redactor
from agentkit.mcp.results import as_value, text_of
from agentkit.messages import ToolSchema
from agentkit.policy import NO_RETRY, Retry
from agentkit.tools import TRANSIENT

if TYPE_CHECKING:
    import mcp_types

_LONGEST_ERROR = 4000  # characters of a server's error that are told


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What the user says of one tool; None leaves it to the server's hints.

    Args:
        name: what the model calls it.
        writes: whether it changes something outside.
        idempotent: whether it may be run again with the same arguments.
        approve: when to ask a person first.
        retry: how a read or an idempotent write is tried again.
        timeout: seconds for one attempt.
        max_result: characters of JSON of a result.
    """

    name: str
    writes: bool | None = None
    idempotent: bool | None = None
    approve: "Approve | None" = None
    retry: Retry | None = None
    timeout: float | None = None
    max_result: int | None = None


class MCPTool:
    """A tool of an MCP server; made by `MCP.tools`.

    Args:
        tool: as the server listed it.
        server: what the server calls itself.
        link: the way to it.
        choice: what the user says of it.

    Raises:
        ConfigError: the schema of its arguments is no JSON schema.
    """

    kind: Literal["function"] = "function"
    made_elsewhere = True  # nobody here can mend its description
    is_async = True
    child = None

    def __init__(self, tool: "mcp_types.Tool", server: list[str | None], link: Link, choice: Choice) -> None:
        hints = tool.annotations
        read_only = hints is not None and hints.read_only_hint is True
        idempotent = hints is not None and hints.idempotent_hint is True and not read_only
        destructive = hints is not None and hints.destructive_hint is True and not read_only
        self.remote_name = tool.name
        self.source_sha256 = fingerprint(tool, link.place, server)
        self.schema = ToolSchema(
            name=choice.name,
            description=clean_text(tool.description or tool.title or (hints.title if hints else None) or tool.name),
            parameters=clean(tool.input_schema),
        )
        self.writes = not read_only if choice.writes is None else choice.writes
        self.idempotent = self.writes and (idempotent if choice.idempotent is None else choice.idempotent)
        self.approve: Approve = (destructive and self.writes) if choice.approve is None else choice.approve
        self.retry: Retry = NO_RETRY if self._is_plain_write else choice.retry or Retry()
        self.retry_on = TRANSIENT
        self.timeout = choice.timeout
        self.shown = f"{tool.name} of {link.place.shown}"
        self._arguments = Arguments(self.shown, self.schema.parameters)
        self._max_result = choice.max_result
        self._link = link
        self._redactor = redactor(link.place)

    @property
    def name(self) -> str:
        """What the model calls it."""
        return self.schema.name

    @property
    def _is_plain_write(self) -> bool:
        return self.writes and not self.idempotent

    def __repr__(self) -> str:
        marks = [mark for mark in ("writes", "idempotent", "approve") if getattr(self, mark)]
        return f"<MCPTool {self.name} of {self._link.place.call}{''.join(f' {mark}' for mark in marks)}>"

    def validate(self, arguments: Any) -> dict[str, Any]:
        """What a model wrote, checked against the server's schema, its defaults filled in.

        Raises:
            InvalidArguments: with one entry a problem: `path`, `problem`, and `input` where one value is wrong.
        """
        return self._arguments.validate(arguments)

    def arguments_json(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Validated arguments, which are JSON already."""
        return dict(arguments)

    async def call(self, arguments: Mapping[str, Any], context: Context) -> "mcp_types.CallToolResult":
        """Have the server run it.

        Args:
            arguments: what `validate` returned.
            context: nothing of it reaches the server.

        Raises:
            ToolError: the tool says that it failed, or the call never reached a server.
            ServerUnavailable: the server was lost; a read or an idempotent write is tried again with a new connection.
        """
        del context
        try:
            result = await self._link.call(self.remote_name, self.source_sha256, dict(arguments))
        except ServerUnavailable as error:
            if error.sent or not self._is_plain_write:
                raise
            raise ToolError(f"nothing was done: {error}", retryable=True) from error
        if result.is_error:
            said = text_of(result) or "the tool failed and did not say why"
            raise ToolError(self._redactor.text(clean_text(said))[:_LONGEST_ERROR])
        return result

    def result_json(self, value: "mcp_types.CallToolResult") -> JsonValue:
        """The result as JSON, without the secrets that the server was given."""
        return as_value(value, self._max_result, self._redactor)
