"""The floor: each step's result appended to one file and made durable; a list's items share a sync, eight at a time."""

import os
from pathlib import Path

import pipeline_work
from workload import compact


class Contestant:
    """A file."""

    def __init__(self, folder: Path) -> None:
        self.file = os.open(folder / "raw.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def three(self, x: int) -> dict:
        first = pipeline_work.a(x)
        self.append([first])
        second = pipeline_work.b(first)
        self.append([second])
        third = pipeline_work.c(second)
        self.append([third])
        return third

    def fan(self, items: list[int]) -> int:
        done: list[dict] = []
        for start in range(0, len(items), pipeline_work.CONCURRENCY):
            some = [pipeline_work.work(item) for item in items[start : start + pipeline_work.CONCURRENCY]]
            self.append(some)
            done += some
        counted = pipeline_work.count(done)
        self.append([counted])
        return counted

    def append(self, results: list) -> None:
        os.write(self.file, b"".join(compact(result) + b"\n" for result in results))
        os.fdatasync(self.file)

    def close(self) -> None:
        os.close(self.file)
