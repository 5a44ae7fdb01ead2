"""What the workers of the benchmark execute: five steps that do nothing, or one that takes its time."""

import time

import agentkit as ak

quick = ak.Pipeline("quick", input={"n": int})


@quick.step
def one(n: int) -> int:
    return n + 1


@quick.step
def two(one: int) -> int:
    return one + 1


@quick.step
def three(two: int) -> int:
    return two + 1


@quick.step
def four(three: int) -> int:
    return three + 1


@quick.step(writes=True, idempotent=True)
def five(four: int) -> int:
    return four + 1


slow = ak.Pipeline("slow", input={"n": int})


@slow.step
def sleep(n: int) -> int:
    time.sleep(60)  # killed long before
    return n
