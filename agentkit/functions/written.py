"""Where in a user's code something was declared: the statement of a cell or a module that led to it."""

import inspect
import types
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Written:
    """A line outside of any function.

    Args:
        module: the module's name; `__main__` in a notebook and a script.
        file: what its code calls its file: a cell has a name of its own.
        line: from 1.
    """

    module: str
    file: str
    line: int


def written(frame: types.FrameType | None) -> Written | None:
    """The nearest line outside of any function that led to a frame; None where there is none.

    Args:
        frame: of the code that declares something.
    """
    while frame is not None:
        is_function = frame.f_code.co_flags & inspect.CO_OPTIMIZED
        if not is_function and frame.f_locals is frame.f_globals:
            return Written(frame.f_globals.get("__name__", ""), frame.f_code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return None
