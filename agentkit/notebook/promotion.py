"""Buttons under a promotion in a live notebook: write it, and run its tests."""

import sys
from html import escape
from typing import Any

from agentkit.errors import AgentKitError
from agentkit.text import inert


def show_buttons(promotion: Any) -> None:
    """Show the buttons, where a person can click.

    Args:
        promotion: a `Promotion` that has a pipeline.
    """
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if getattr(getattr(shell, "kernel", None), "_allow_stdin", False):  # else nobody clicks there
        from IPython.display import display  # pyright: ignore[reportUnknownVariableType]  which has no types

        display(Buttons(promotion).box)


class Buttons:
    """A path, a button that writes, one that runs the tests, and what came of it.

    Args:
        promotion: what is written.
    """

    def __init__(self, promotion: Any) -> None:
        import ipywidgets as widgets

        made: Any = widgets  # which has no types
        self._promotion = promotion
        self.path = made.Text(value=f"pipelines/{promotion.name}.py", description="file")
        self.writes = made.Button(description="Write", icon="save")
        self.tests = made.Button(description="Run its tests", icon="check")
        self.said = made.HTML()
        self.writes.on_click(self._on_write)
        self.tests.on_click(self._on_test)
        self.box = made.VBox([made.HBox([self.path, self.writes, self.tests]), self.said])

    def _on_write(self, _button: Any) -> None:
        self._do(self._write)

    def _on_test(self, _button: Any) -> None:
        self._do(self._test)

    def _write(self) -> str:
        return f"wrote {self._promotion.write(self.path.value)}, its tests and their runs"

    def _test(self) -> str:
        return repr(self._promotion.test(self.path.value))

    def _do(self, work: Any) -> None:  # a function that gives what to say
        buttons = (self.writes, self.tests)
        for button in buttons:
            button.disabled = True
        self._say("…")
        try:
            self._say(work())
        except (AgentKitError, OSError) as error:
            self._say(f"✗ {error}")
        finally:
            for button in buttons:
                button.disabled = False

    def _say(self, words: str) -> None:
        self.said.value = f"<pre style='white-space:pre-wrap'>{escape(inert(words))}</pre>"
