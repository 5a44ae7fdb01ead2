"""A person at a notebook: JupyterLab or Notebook 7 on this machine, in a Chromium without a window.

Servers have configuration folders of their own, and listen on the loopback address only.
"""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True},
    "docmanager-extension/plugin": {"autosave": False},
}
CLASSES = {"lab": ("jupyterlab", "LabApp"), "notebook": ("notebook", "JupyterNotebookApp")}


def missing():
    """What a browser test needs and this machine does not have; None where all is there."""
    if not CHROMIUM.exists():
        return f"there is no {CHROMIUM}; on Debian: apt-get install chromium"
    return None


MARKS = [
    pytest.mark.browser,
    pytest.mark.timeout(300),
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
]
"""Of every test in a browser."""


class Server:
    """One server.

    Args:
        app: "lab" or "notebook".
        folder: for everything that it writes; its notebooks are in `folder / "root"`.
        env: of its kernels.
    """

    def __init__(self, app, folder, **env):
        self.app, self.folder, self.root = app, folder, folder / "root"
        self.root.mkdir(parents=True)
        self.token = secrets.token_hex(16)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{free.getsockname()[1]}"
        self.env = {**os.environ, **env}
        for name in ("config", "data", "runtime"):
            self.env[f"JUPYTER_{name.upper()}_DIR"] = str(folder / name)
        self.env["IPYTHONDIR"] = str(folder / "ipython")
        for name, value in SETTINGS.items():
            place = folder / "config" / "lab" / "user-settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(json.dumps(value))
        self.process = None

    def start(self):
        """Start it, without waiting for it."""
        module, name = CLASSES[self.app]
        options = {
            "ServerApp.ip": "127.0.0.1",
            "ServerApp.port": self.url.rpartition(":")[2],
            "ServerApp.port_retries": "0",
            "ServerApp.root_dir": str(self.root),
            "ServerApp.terminals_enabled": "False",
            "IdentityProvider.token": self.token,
            f"{name}.expose_app_in_browser": "True",
            "LabApp.extension_manager": "readonly",
        }
        command = [sys.executable, "-m", module, "--no-browser", "--allow-root"]
        command += [f"--{key}={value}" for key, value in options.items()]
        with (self.folder / "server.log").open("w") as output:
            self.process = subprocess.Popen(
                command, env=self.env, stdout=output, stderr=output, cwd=self.root, start_new_session=True
            )

    def wait(self):
        """Wait until it answers."""
        until = time.monotonic() + 90
        while time.monotonic() < until and self.process.poll() is None:
            try:
                self.ask("GET", "/api/status")
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise RuntimeError((self.folder / "server.log").read_text())

    def stop(self):
        """Stop it and its kernels."""
        if self.process.poll() is None:
            with suppress(OSError):  # one that does not answer yet has no kernels
                self.end_sessions()
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def end_sessions(self):
        """End all its kernels."""
        for session in self.ask("GET", "/api/sessions"):
            self.ask("DELETE", f"/api/sessions/{session['id']}")

    def ask(self, method, path):
        """Call its REST interface."""
        request = urllib.request.Request(
            self.url + path, method=method, headers={"Authorization": f"token {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=20) as reply:
            text = reply.read()
        return json.loads(text) if text else None

    def write(self, name, *cells):
        """Write a notebook of code cells."""
        made = [
            {
                "cell_type": "code",
                "id": f"c{i}",
                "metadata": {},
                "source": source,
                "outputs": [],
                "execution_count": None,
            }
            for i, source in enumerate(cells)
        ]
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        notebook = {"cells": made, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
        (self.root / name).write_text(json.dumps(notebook))

    def read(self, name):
        """A saved notebook's cells."""
        return json.loads((self.root / name).read_text())["cells"]


@contextmanager
def serving(folder, **modules):
    """A JupyterLab whose kernels share a log and find these modules, each given as its source."""
    server = Server("lab", folder / "lab", AGENTKIT_LOG=str(folder / "log"))
    for name, source in modules.items():
        (server.root / f"{name}.py").write_text(source)
    server.start()
    try:
        yield server
    finally:
        server.stop()


class Notebook:
    """One notebook, open in a page.

    Args:
        page: the browser's page.
        server: where it is.
        name: its file's.
    """

    PANEL = "[...jupyterapp.shell.widgets('main')].find(w => w.context?.path === name && w.content?.widgets)"

    def __init__(self, page, server, name):
        self.page, self.server, self.name = page, server, name
        self.console = []
        page.on("console", lambda message: self.console.append(message.text))

    def open(self, *, kernel=True):
        """Go to it, and wait until it is there; and until its kernel is idle, where one is wanted."""
        path = f"/lab/tree/{self.name}?reset&" if self.server.app == "lab" else f"/notebooks/{self.name}?"
        self.page.goto(f"{self.server.url}{path}token={self.server.token}")
        self.page.bring_to_front()
        self.until(
            "window.jupyterapp && (jupyterapp.restored.then(() => { window.isRestored = true; }), window.isRestored)"
        )
        self.until("panel?.context.isReady && panel.content.widgets.length > 0")
        if kernel:
            self.until("panel.sessionContext.session?.kernel?.status === 'idle'")
        return self

    def _function(self, body):
        return f"([name, arg]) => {{ const panel = window.jupyterapp ? {self.PANEL} : null; {body} }}"

    def until(self, condition, arg=None, *, seconds=60):
        """Wait until an expression of `panel` and `arg` holds. By a timer: a page in the background gets no frames."""
        self.page.wait_for_function(
            self._function(f"return {condition};"), arg=[self.name, arg], timeout=seconds * 1000, polling=50
        )

    def js(self, body, arg=None):
        """Run JavaScript with `panel` and `arg`."""
        return self.page.evaluate(f"async {self._function(body)}", [self.name, arg])

    def start(self, index):
        """Begin to execute a cell."""
        # the command is silent where the panel is not the current one yet
        self.until("(jupyterapp.shell.currentWidget === panel || (jupyterapp.shell.activateById(panel.id), false))")
        before = self.js("return panel.content.widgets[arg].model.executionCount;", index)
        self.js(
            "panel.content.activeCellIndex = arg; panel.content.deselectAll();"
            "jupyterapp.commands.execute('notebook:run-cell');",
            index,
        )
        took = (
            "(m => m.executionState === 'running' || m.executionCount !== arg[1])(panel.content.widgets[arg[0]].model)"
        )
        self.until(took, [index, before], seconds=20)

    def run(self, index):
        """Execute a cell, and wait for its end."""
        self.start(index)
        self.until(
            "(m => m.executionState !== 'running' && m.executionCount !== null)(panel.content.widgets[arg].model)",
            index,
        )

    def output(self, index):
        """A cell's output."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(index).locator(".jp-OutputArea").first

    def sees(self, index, text, *, seconds=20):
        """Wait until a cell's output shows a text."""
        self.output(index).get_by_text(text).first.wait_for(timeout=seconds * 1000)

    def row(self, index, step):
        """A row of a cell's live trace."""
        return self.output(index).locator(f'.agentkit-row[data-step="{step}"]')

    def is_at(self, index, step, status, *, seconds=20):
        """Wait until a row of a cell's live trace has a status."""
        row = self.output(index).locator(f'.agentkit-row[data-step="{step}"][data-status="{status}"]')
        row.first.wait_for(timeout=seconds * 1000)

    def has_rows(self, index, count):
        """Wait until a cell's live trace shows so many rows."""
        from playwright.sync_api import expect

        expect(self.output(index).locator(".agentkit-row")).to_have_count(count, timeout=20_000)

    def card(self, index):
        """The first question of a cell's live trace."""
        return self.output(index).locator(".agentkit-card").first

    def click(self, index, label):
        """Click a button of the card."""
        self.card(index).get_by_role("button", name=label, exact=True).click()

    def save(self):
        """Save the notebook."""
        self.js("await panel.context.save();")

    def kernel(self):
        """The kernel's id."""
        return self.js("return panel.sessionContext.session?.kernel?.id ?? null;")

    def picture(self, name):
        """Keep a picture of the page."""
        picture(self.page, name)


def picture(page, name):
    """Keep a picture of a page, where $AGENTKIT_SCREENSHOTS says to."""
    folder = os.environ.get("AGENTKIT_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder) / f"{name}.png")


@contextmanager
def chromium():
    """A browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()
