"""A child that is forked from the test's own process."""

import os
import select
import signal

_PATIENCE = 15.0  # seconds; what a test has a child do takes far less than one


def in_a_child(work):
    """What a function returns in a forked child, as text, or the error that it raises; "hangs" where it never ends."""
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        try:
            os.write(write, str(work()).encode())
        except BaseException as error:
            os.write(write, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(0)
    os.close(write)
    try:
        is_done, _, _ = select.select([read], [], [], _PATIENCE)
        return os.read(read, 10_000).decode() if is_done else "hangs"
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(read)
