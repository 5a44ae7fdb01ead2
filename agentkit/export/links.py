"""Where a run can be looked at in the systems it is exported to."""

import os
import time
from urllib.parse import quote

from agentkit.errors import AgentKitError
from agentkit.export.ids import trace_id
from agentkit.export.langfuse_api import Access, access, ask
from agentkit.export.recorded import root_of
from agentkit.runner.run import Run

TEMPLATE = "AGENTKIT_TRACE_URL"
"""The variable that says where any other system shows a trace: `http://localhost:6006/redirects/traces/{trace_id}`."""

PATIENCE = 300.0
"""Seconds for which a server that did not say which project the keys are of is not asked again: a view looks often."""

_projects: dict[Access, tuple[float, str | None]] = {}


def links(run: Run) -> list[tuple[str, str]]:
    """A name and an http(s) URL for each system that the environment names; a run that was not sent is not there yet.

    Langfuse's are made of the project's id, which its server is asked for once in a process. A server that is away
    costs one try, and its link.
    """
    started = run.store.read(run.run_id, until=1)
    if not started:
        return []
    trace = format(trace_id(root_of(run.store, started[0])), "032x")
    found = [("Langfuse", _langfuse(trace)), ("trace", _templated(trace))]
    return [(name, url) for name, url in found if url is not None and _is_web(url)]


def _langfuse(trace: str) -> str | None:
    project = access()
    found = _project(project) if project is not None and _is_web(project.url) else None
    return f"{project.url}/project/{quote(found, safe='')}/traces/{trace}" if project and found else None


def _project(project: Access) -> str | None:
    """The id of the project that the keys are of."""
    at, found = _projects.get(project, (0.0, None))
    if found is None and (not at or time.monotonic() - at > PATIENCE):
        try:
            told = ask(project, "Langfuse's project", lambda client: client.projects.get())
            found = told.data[0].id if told.data else None
        except AgentKitError:
            found = None
        _projects[project] = (time.monotonic(), found)
    return found


def _templated(trace: str) -> str | None:
    template = os.environ.get(TEMPLATE)
    return template.replace("{trace_id}", trace) if template else None


def _is_web(url: str) -> bool:
    """Whether a view may make a link of it."""
    return url.startswith(("https://", "http://")) and url.isprintable() and not set(url) & set(" \"'<>")
