"""An MCP server for tests: every kind of tool, result and fault, over standard input or HTTP.

`python mcp_server.py FOLDER [--http PORT] [--pages N] [--sleep SECONDS] [--version V] [--legacy]`. What it did is in
FOLDER/ledger, a line a call. FOLDER/kill has it kill itself in its next call; FOLDER/status holds the HTTP status that
it answers instead of working.
"""

import argparse
import base64
import os
import signal
import sys
import time
from pathlib import Path

START = time.monotonic()
parser = argparse.ArgumentParser()
parser.add_argument("folder", type=Path)
parser.add_argument("--http", type=int)
parser.add_argument("--pages", type=int, default=1)
parser.add_argument("--sleep", type=float, default=0)
parser.add_argument("--version", default="1")
parser.add_argument("--legacy", action="store_true")
options = parser.parse_args()
print(f"starting with {os.environ.get('API_TOKEN', 'no token')}", file=sys.stderr, flush=True)
time.sleep(options.sleep)

import anyio  # noqa: E402
import mcp_types as types  # noqa: E402
from mcp import MCPError  # noqa: E402
from mcp.server.lowlevel import NotificationOptions, Server  # noqa: E402
from mcp.server.runner import serve_loop  # noqa: E402
from mcp.server.stdio import stdio_server  # noqa: E402
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ToolsListChanged  # noqa: E402

FOLDER: Path = options.folder
NOTHING = {"type": "object"}
TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
ORDER = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "title": "orderArguments",
    "properties": {
        "items": {"type": "array", "items": {"$ref": "#/$defs/Item"}, "minItems": 1},
        "speed": {"enum": ["slow", "fast"], "default": "slow"},
        "gift": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
    },
    "required": ["items"],
    "additionalProperties": False,
    "$defs": {
        "Item": {
            "type": "object",
            "properties": {"sku": {"type": "string", "pattern": "^[A-Z]-[0-9]+$"}, "count": {"type": "integer"}},
            "required": ["sku", "count"],
        }
    },
}


def hints(**given):
    return types.ToolAnnotations(**given)


READ = hints(read_only_hint=True)


def listed(name, schema=NOTHING, annotations=None, description=None, output=None):
    text = description or f"The tool {name} of the server that the tests of agentkit run. Returns what it did."
    return types.Tool(name=name, description=text, input_schema=schema, annotations=annotations, output_schema=output)


TOOLS = [
    listed("look", annotations=READ),
    listed("note", TEXT),
    listed("put", TEXT, hints(idempotent_hint=True)),
    listed("wipe", annotations=hints(destructive_hint=True)),
    listed("wait", {"type": "object", "properties": {"seconds": {"type": "number"}}}, READ),
    listed("meet", annotations=READ),
    listed("order", ORDER, READ),
    listed("picture", annotations=READ),
    listed("structure", annotations=READ),
    listed("huge", annotations=READ),
    listed("odd", annotations=READ),
    listed("fail", annotations=READ),
    listed("broken", annotations=READ),
    listed("liar", annotations=READ, output={"type": "object", "properties": {"answer": {"type": "integer"}}}),
    listed("slow", annotations=READ, output={"type": "object", "properties": {"answer": {"pattern": "^(a+)+$"}}}),
    listed("leak", annotations=READ),
    listed("chatter", annotations=READ),
    listed("grow", annotations=READ),
    listed("files.read/v2", annotations=READ),
    listed("files/read.v2", annotations=READ),
]


meeting = []


def record(line):
    with (FOLDER / "ledger").open("a") as ledger:
        print(line, file=ledger, flush=True)


def text(*words, **more):
    return types.CallToolResult(content=[types.TextContent(text=word) for word in words], **more)


async def list_tools(_ctx, params):
    size = -(-len(TOOLS) // options.pages)
    begin = int(params.cursor) if params and params.cursor else 0
    end = begin + size
    return types.ListToolsResult(tools=TOOLS[begin:end], next_cursor=str(end) if end < len(TOOLS) else None)


async def call_tool(ctx, params):
    arguments = params.arguments or {}
    record(f"{params.name} {arguments.get('text', '')}".strip())
    kill = FOLDER / "kill"
    if kill.exists():
        kill.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    return await globals()[f"do_{params.name.partition('.')[0].partition('/')[0]}"](ctx, arguments)


async def do_look(ctx, arguments):
    return text(str(os.getpid()))


async def do_note(ctx, arguments):
    return text(f"noted {arguments['text']}")


async def do_put(ctx, arguments):
    return text(f"put {arguments['text']}")


async def do_wipe(ctx, arguments):
    return text("wiped")


async def do_wait(ctx, arguments):
    try:
        await anyio.sleep(arguments.get("seconds", 60))
    except BaseException:
        record("cancelled")
        raise
    return text("waited")


async def do_meet(ctx, arguments):
    meeting.append(ctx)
    while len(meeting) < 3:
        await anyio.sleep(0.01)
    return text("met")


async def do_order(ctx, arguments):
    return types.CallToolResult(content=[], structured_content={"got": arguments})


async def do_picture(ctx, arguments):
    data = base64.b64encode(b"\x89PNG" + bytes(1_000_000)).decode()
    file = types.BlobResourceContents(uri="file:///a.bin", mime_type="application/x", blob=data)
    page = types.TextResourceContents(uri="file:///a.txt", text="a page")
    return types.CallToolResult(
        content=[
            types.TextContent(text="look:"),
            types.ImageContent(data=data, mime_type="image/png"),
            types.AudioContent(data="AAAA", mime_type="audio/wav"),
            types.EmbeddedResource(resource=file),
            types.EmbeddedResource(resource=page),
            types.ResourceLink(name="b", uri="https://example.org/b", size=7),
        ]
    )


async def do_structure(ctx, arguments):
    return text('{"answer": 42}', structured_content={"answer": 42})


async def do_huge(ctx, arguments):
    return text("x" * 5_000_000)


async def do_odd(ctx, arguments):
    return text("<script>alert(1)</script>\x1b[31m\0", "| second |")


async def do_fail(ctx, arguments):
    return text("no such order: A-1", is_error=True)


async def do_broken(ctx, arguments):
    raise MCPError(code=types.INTERNAL_ERROR, message="the disk is on fire")


async def do_liar(ctx, arguments):
    return text("", structured_content={"answer": "x" * 10_000})


async def do_slow(ctx, arguments):
    return text("a", structured_content={"answer": "a" * 40 + "!"})


async def do_leak(ctx, arguments):
    return text(f"your token is {os.environ.get('API_TOKEN') or ctx.request.headers['authorization']}")


async def do_chatter(ctx, arguments):
    print("\n".join(f"chatter {n}" for n in range(20_000)), file=sys.stderr, flush=True)
    return text("said")


async def do_grow(ctx, arguments):
    TOOLS.append(listed("grown", annotations=READ))
    TOOLS[0] = listed("look", annotations=READ, description="Look at something else, and return the process's number.")
    await ctx.session.send_tool_list_changed()  # as it was until 2025, and since then
    await bus.publish(ToolsListChanged())
    return text("grown")


async def do_grown(ctx, arguments):
    return text("here")


async def do_files(ctx, arguments):
    return text("read")


bus = InMemorySubscriptionBus()
server = Server(
    "shop",
    version=options.version,
    on_list_tools=list_tools,
    on_call_tool=call_tool,
    on_subscriptions_listen=ListenHandler(bus),
)


def faulty(app):
    """The server's HTTP side, with the status that FOLDER/status asks for."""

    async def serve(scope, receive, send):
        status = FOLDER / "status"
        discovers = dict(scope.get("headers", [])).get(b"mcp-method") == b"server/discover"
        code = int(status.read_text()) if scope["type"] == "http" and status.exists() else 0
        if options.legacy and discovers:  # a server of 2025 does not know this
            code = 405
        if not code:
            return await app(scope, receive, send)
        await send({"type": "http.response.start", "status": code, "headers": []})
        return await send({"type": "http.response.body", "body": b""})

    return serve


async def serve_stdio():
    initialization = server.create_initialization_options(NotificationOptions(tools_changed=True))
    async with stdio_server() as (read, write):
        if options.legacy:
            return await serve_loop(server, read, write, lifespan_state={}, init_options=initialization)
        return await server.run(read, write, initialization)


if options.http:
    import uvicorn

    uvicorn.run(faulty(server.streamable_http_app()), port=options.http, log_level="error", timeout_graceful_shutdown=1)
else:
    anyio.run(serve_stdio)
