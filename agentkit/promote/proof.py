"""The proof that a written module stands alone: it is executed in a clean process, and what it defines is compared.

The process has neither this one's names nor a network, but for addresses of this machine.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from agentkit.errors import PromotionError
from agentkit.promote.facts import differences
from agentkit.redact import Redactor
from agentkit.text import one_line

_CHILD = """\
import importlib.util, ipaddress, json, sys

def local(host):
    try:
        return host in ("localhost", "", None) or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

def watch(event, args):
    if event == "socket.getaddrinfo" and not local(args[0]):
        raise OSError(f"the module asks for {args[0]!r} when it is imported, and is tried without a network")
    if event in ("socket.connect", "socket.sendto") and isinstance(args[1], tuple) and not local(args[1][0]):
        raise OSError(f"the module connects to {args[1][0]!r} when it is imported, and is tried without a network")

sys.addaudithook(watch)
path, name, value, out, *folders = sys.argv[1:]
sys.path[:0] = [folder for folder in folders if folder not in sys.path]
spec = importlib.util.spec_from_file_location(name, path)
module = importlib.util.module_from_spec(spec)
sys.modules[name] = module
spec.loader.exec_module(module)
from agentkit.promote.facts import facts
with open(out, "w", encoding="utf-8") as file:
    json.dump(facts(getattr(module, value).definition), file)
"""


def prove(text: str, path: Path, name: str, wanted: Mapping[str, Any], seconds: float, redactor: Redactor) -> None:
    """Execute a module in a clean process, and compare what it defines.

    Args:
        text: the module's source.
        path: where it will be.
        name: what it calls the pipeline or the agent.
        wanted: the facts of what was promoted.
        seconds: how long it may take.
        redactor: takes secrets out of what is said.

    Raises:
        PromotionError: it cannot be executed, or defines something else; all the differences.
    """
    with tempfile.TemporaryDirectory(prefix="agentkit-") as folder:
        module, out = Path(folder) / path.name, Path(folder) / "facts.json"
        module.write_text(text, "utf-8")
        folders = [str(Path.cwd()), str(path.parent.resolve())]
        command = [sys.executable, "-c", _CHILD, str(module), path.stem, name, str(out), *folders]
        log = {"AGENTKIT_LOG": str(Path(folder) / ".agentkit")}
        try:
            done = subprocess.run(  # noqa: S603  this Python, and a module of the user's own
                command,
                env={**os.environ, **log},
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired as error:
            raise PromotionError(
                f"{path.name} was not written: importing it did not end within {seconds:g} s; move what takes long "
                "into a step"
            ) from error
        if done.returncode or not out.exists():
            why = redactor.text(_said(done.stderr, module))
            raise PromotionError(f"{path.name} was not written: in a process of its own it fails: {why}")
        found = cast("dict[str, Any]", json.loads(out.read_text("utf-8")))
    same_kind = json.loads(json.dumps(wanted))  # tuples are lists there
    if unlike := list(differences(same_kind, found)):
        said = [redactor.text(one) for one in unlike]
        raise PromotionError(f"{path.name} was not written: what it defines differs from what was promoted", said)


def _said(error: str, module: Path) -> str:
    """The last line of a traceback, and the line of the module that led to it."""
    lines = [line.strip() for line in error.strip().splitlines()]
    places = [line.partition(", line ")[2].partition(",")[0] for line in lines if line.startswith(f'File "{module}"')]
    where = f" (line {places[-1]})" if places else ""
    return f"{one_line(lines[-1] if lines else 'it ended without a word', 300)}{where}"
