"""The floor: the same bytes appended to one file, made durable twice a turn."""

import os
from collections.abc import Callable
from pathlib import Path

from workload import ANSWER, Script, compact


class Contestant:
    """A file and two durable appends a turn."""

    def __init__(self, folder: Path) -> None:
        self.file = os.open(folder / "raw.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def ready(self, script: Script) -> Callable[[], str]:
        return lambda: self.run(script)

    def run(self, script: Script) -> str:
        while (turn := script.propose()) is not None:
            self.append({"says": turn.says, "calls": turn.arguments})
            self.append(script.read(**turn.arguments))
        self.append({"says": ANSWER})
        return ANSWER

    def append(self, value: object) -> None:
        os.write(self.file, compact(value) + b"\n")
        os.fdatasync(self.file)

    def close(self) -> None:
        os.close(self.file)
