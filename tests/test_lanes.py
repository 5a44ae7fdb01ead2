"""Many things done side by side: in their order, and not after an error."""

import threading
import time

import pytest

from agentkit.batch.lanes import side_by_side


def test_things_are_begun_in_their_order_and_done_side_by_side():
    """In several threads; `begin` never twice at a time."""
    begun, done, threads = [], [], set()

    def do(n):
        threads.add(threading.get_ident())
        time.sleep(0.01)
        done.append(n)

    assert side_by_side(range(40), lambda n: begun.append(n) or (lambda: do(n)))
    assert begun == list(range(40))
    assert sorted(done) == begun
    assert len(threads) > 1


def test_nothing_is_begun_after_an_error_or_a_no():
    """The first error is raised, once what was begun is done; `None` ends it without one."""
    begun = []

    def fails():
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        side_by_side(range(1000), lambda n: begun.append(n) or fails)
    assert len(begun) <= 8
    assert not side_by_side(range(1000), lambda n: (lambda: None) if n < 10 else None)
    assert side_by_side([], lambda _n: None)
