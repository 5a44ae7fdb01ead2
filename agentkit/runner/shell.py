"""The IPython shell that this process runs in, if it does; it is never imported here: where it runs, it is there."""

import sys
from typing import Any


def the_shell() -> Any:  # IPython's, which has no types; None outside of it
    """The shell of this process, in a terminal or in a kernel."""
    return getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()


def the_kernel() -> Any:  # ipykernel's, likewise
    """The kernel that executes cells in this process."""
    return getattr(the_shell(), "kernel", None)


def somebody_looks() -> bool:
    """Whether a person executes the cell: `jupyter execute`, nbconvert and papermill allow no input."""
    return bool(getattr(the_kernel(), "_allow_stdin", False))
