"""The same two pipelines for every contestant: three steps in a row, and a list fanned out and then counted."""

from collections.abc import Mapping

STEPS = 3
CONCURRENCY = 8  # items in flight at once

# What was called with which number, in order of the calls; each contestant runs in a process of its own.
called: list[tuple[str, int]] = []


def a(x: int) -> dict:
    """The first step."""
    called.append(("a", x))
    return {"order": x, "status": "broken", "note": f"order {x} was read and found to be broken"}


def b(a: dict) -> dict:
    """The second step."""
    called.append(("b", a["order"]))
    return {"order": a["order"], "status": "refund", "note": f"order {a['order']} is to be paid back"}


def c(b: dict) -> dict:
    """The third step."""
    called.append(("c", b["order"]))
    return {"order": b["order"], "status": "paid", "note": f"order {b['order']} was paid back"}


def work(item: int) -> dict:
    """One item of the list."""
    called.append(("work", item))
    return {"item": item, "square": item * item, "note": f"item {item} was looked at"}


def count(work: list[dict]) -> int:
    """The step after the list: how many results are those of their item, in the items' order."""
    called.append(("count", len(work)))
    return sum(each["item"] == place and each["square"] == place * place for place, each in enumerate(work))


def check_three(x: int, output: object) -> None:
    """The run of three steps gave its output, and each step was called once, in order."""
    assert output == {"order": x, "status": "paid", "note": f"order {x} was paid back"}, f"the run gave {output!r}"
    assert called == [("a", x), ("b", x), ("c", x)], f"the steps' calls were {called}"
    called.clear()


def check_fan(items: int, output: object) -> None:
    """The run over a list counted every item, and each item's function was called once."""
    assert output == items, f"the run gave {output!r} for {items} items"
    assert sorted(called[:-1]) == [("work", item) for item in range(items)], "an item was lost or done twice"
    assert called[-1] == ("count", items), f"the last call was {called[-1]}"
    called.clear()


def facts() -> Mapping[str, str]:
    """The workload in words, for a report."""
    return {"three": f"{STEPS} steps in a row, about 70 B each", "fan": f"a list, {CONCURRENCY} at once, then a count"}
