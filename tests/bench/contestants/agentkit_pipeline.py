"""agentkit: the functions as they are, as steps of two pipelines over the embedded log."""

from pathlib import Path

import pipeline_work

import agentkit as ak

three = ak.Pipeline("three", input={"x": int})
for function in (pipeline_work.a, pipeline_work.b, pipeline_work.c):
    three.step(function)

fan = ak.Pipeline("fan", input={"items": list[int]})
fan.step(pipeline_work.work, each="items", concurrency=pipeline_work.CONCURRENCY)
fan.step(pipeline_work.count)


class Contestant:
    """A log."""

    def __init__(self, folder: Path) -> None:
        self.log = ak.open_log(str(folder / "log"))

    def three(self, x: int) -> dict:
        return three.run(x=x, log=self.log).result()

    def fan(self, items: list[int]) -> int:
        return fan.run(items=items, log=self.log).result()

    def close(self) -> None:
        self.log.close()
