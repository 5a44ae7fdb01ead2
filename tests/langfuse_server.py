"""A Langfuse on loopback: the few calls of its public API that agentkit makes, as its SDK 5.0.4 reads them.

Field names and status codes are those of the SDK's own types; what the real server does with them is shown only by
the live test.
"""

import base64
import gzip
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit

PUBLIC, SECRET = "pk-lf-test", "sk-lf-test"
PROJECT = "cm0project"
MOMENT = "2026-11-20T10:00:00.000Z"


@dataclass(frozen=True)
class Asked:
    """One request."""

    method: str
    path: str
    query: dict
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


@dataclass
class LangfuseServer:
    """A project. Put prompts and dataset items in; `status` other than 200 is what every call answers."""

    prompts: list[dict] = field(default_factory=list)
    datasets: dict[str, list[dict]] = field(default_factory=dict)
    scores: dict[str, dict] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    status: int = 200

    def __enter__(self) -> Self:
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"project": self}))
        self._http.daemon_threads = True
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    @property
    def environment(self) -> dict[str, str]:
        return {"LANGFUSE_BASE_URL": self.url, "LANGFUSE_PUBLIC_KEY": PUBLIC, "LANGFUSE_SECRET_KEY": SECRET}

    def add_prompt(self, name, prompt, *, labels=(), kind="text"):
        """A new version of a prompt; a label moves to it."""
        for other in self.prompts:
            if other["name"] == name:
                other["labels"] = [label for label in other["labels"] if label not in labels]
        version = 1 + sum(other["name"] == name for other in self.prompts)
        entry = {"name": name, "version": version, "type": kind, "prompt": prompt, "labels": list(labels)}
        self.prompts.append({**entry, "config": {}, "tags": []})
        return version

    def add_item(self, dataset, given, expected=None, **more):
        """A new item of a dataset."""
        items = self.datasets.setdefault(dataset, [])
        item = {
            "id": f"item-{len(items) + 1}",
            "status": "ACTIVE",
            "input": given,
            "expectedOutput": expected,
            "metadata": None,
            "datasetId": f"id-of-{dataset}",
            "datasetName": dataset,
            "createdAt": MOMENT,
            "updatedAt": MOMENT,
            "mediaReferences": [],
        }
        items.append({**item, **more})

    def answer(self, asked: Asked) -> tuple[int, object]:
        """What a request is answered with: a status and a body."""
        known = base64.b64encode(f"{PUBLIC}:{SECRET}".encode()).decode()
        if asked.headers.get("authorization") != f"Basic {known}":
            return 401, {"message": "Invalid credentials"}
        if self.status != 200:
            return self.status, {"message": "as told"}
        what, _, rest = asked.path.removeprefix("/api/public/").partition("/")
        match asked.method, what:
            case "GET", "projects":
                organization = {"id": "cm0org", "name": "Acme"}
                project = {"id": PROJECT, "name": "support", "organization": organization, "metadata": {}}
                return 200, {"data": [project]}
            case "GET", "dataset-items":
                return self._items(asked.query)
            case "POST", "scores":
                self.scores |= {f"{score['id']} {score['timestamp']}": score for score in asked.json}
                return 202, {"message": "Accepted"}
            case "POST", "otel":
                return 200, {}
            case "GET", "v2" if rest.startswith("prompts/"):
                return self._prompt(unquote(rest.removeprefix("prompts/")), asked.query)
            case "GET", "v2" if rest.startswith("datasets/"):
                return self._dataset(unquote(rest.removeprefix("datasets/")))
        return 404, {"message": f"no {asked.method} {asked.path}"}

    def _prompt(self, name, query):
        found = [entry for entry in self.prompts if entry["name"] == name]
        if "version" in query:
            found = [entry for entry in found if entry["version"] == int(query["version"])]
        else:
            found = [entry for entry in found if query.get("label", "production") in entry["labels"]]
        return (200, found[0]) if found else (404, {"message": "Prompt not found"})

    def _dataset(self, name):
        if name not in self.datasets:
            return 404, {"message": "Dataset not found"}
        known = {"id": f"id-of-{name}", "name": name, "metadata": None, "projectId": PROJECT}
        return 200, {**known, "createdAt": MOMENT, "updatedAt": MOMENT}

    def _items(self, query):
        items, page, limit = self.datasets[query["datasetName"]], int(query["page"]), int(query["limit"])
        pages = -(-len(items) // limit)
        meta = {"page": page, "limit": limit, "totalItems": len(items), "totalPages": pages}
        return 200, {"data": items[(page - 1) * limit : page * limit], "meta": meta}


class _Handler(BaseHTTPRequestHandler):
    project: LangfuseServer
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self._serve()

    def do_POST(self):
        self._serve()

    def _serve(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        where = urlsplit(self.path)
        query = {key: values[-1] for key, values in parse_qs(where.query).items()}
        headers = {key.lower(): value for key, value in self.headers.items()}
        asked = Asked(self.command, where.path, query, headers, body)
        self.project.asked.append(asked)
        status, answer = self.project.answer(asked)
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_args):
        """Say nothing."""
