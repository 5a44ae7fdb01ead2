"""`agentkit doctor` and `agentkit models`: what is there, what is wrong, and how to mend it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from local_weights import smollm2

from agentkit.cli import doctor
from agentkit.stores.embedded.filesystem import network_file_system

MOUNTS = """\
/dev/vda / ext4 rw 0 0
server:/export /mnt/team nfs4 rw 0 0
//server/share /mnt/win\\040share cifs rw 0 0
me@host:/ /home/ann/remote fuse.sshfs rw 0 0
tmpfs /mnt/team/scratch tmpfs rw 0 0
/dev/vdb /home/ann/remote/local ext4 rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/log", None),
        ("/mnt/team/log", "nfs4"),
        ("/mnt/team/scratch/log", None),
        ("/mnt/win share", "cifs"),
        ("/home/ann/remote/x", "fuse.sshfs"),
        ("/home/ann/remote/local/x", None),
        ("/mnt/teammates/log", None),
    ],
)
def test_a_network_file_system_is_known_by_its_mount(path, kind):
    """The nearest mount above the folder counts, names with spaces too."""
    assert network_file_system(Path(path), MOUNTS) == kind


def test_what_cannot_be_told_is_no_warning(tmp_path):
    """An empty list of mounts, lines of another form; and this machine's own."""
    assert network_file_system(tmp_path, "") is None
    assert network_file_system(tmp_path, "odd\n\nline") is None
    assert network_file_system(tmp_path) is None


def command(folder, *arguments, **environment):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "agentkit", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def checks(folder, **environment):
    done = command(folder, "doctor", "--json", **environment)
    return done.returncode, {check["what"]: check for check in json.loads(done.stdout)}


def test_a_sound_installation_is_told(tmp_path):
    """What is configured and what answers; 0."""
    smollm2()
    (tmp_path / ".agentkit").mkdir()
    code, found = checks(tmp_path, AGENTKIT_MODEL="local/smollm2", OPENAI_API_KEY="sk-not-shown")
    assert code == 0
    assert found["default model"]["found"] == "local/smollm2: $AGENTKIT_MODEL names it"
    assert found["providers' keys"]["found"] == "$OPENAI_API_KEY"
    assert "smollm2" in found["models on this machine"]["found"]
    assert found["extra local"]["state"] == "ok"
    assert found["log"]["found"].endswith("no runs yet")
    assert "sk-not-shown" not in str(found)


@pytest.mark.parametrize(
    ("model", "says"), [("opnai/gpt-5", "did you mean"), ("local/nope", "no local model is called 'nope'")]
)
def test_a_default_model_that_cannot_answer_is_an_error(tmp_path, model, says):
    """A wrong name in $AGENTKIT_MODEL."""
    code, found = checks(tmp_path, AGENTKIT_MODEL=model)
    assert code == 1
    assert (found["default model"]["state"], says in found["default model"]["found"]) == ("error", True)


def test_a_missing_extra_says_what_to_install(tmp_path, monkeypatch):
    """A note, no error: it is not needed."""
    monkeypatch.setattr(doctor, "find_spec", lambda module: None)
    [found] = [check for check in doctor._extras() if check.what == "extra mcp"]
    assert (found.state, found.mend) == ("note", "pip install 'jupyter-agentkit[mcp]'")


def test_a_log_that_cannot_be_used_is_an_error(tmp_path):
    """1, with the reason."""
    (tmp_path / "notes").write_text("no log")
    code, found = checks(tmp_path, AGENTKIT_LOG=str(tmp_path / "notes"), AGENTKIT_MODEL="local/smollm2")
    assert code == 1
    assert "is a file; a log is a folder" in found["log"]["found"]


def test_a_log_on_a_network_is_warned_of(tmp_path, monkeypatch):
    """With what to do instead."""
    monkeypatch.setattr(doctor, "network_file_system", lambda path: "nfs4")
    check = doctor._file_system(tmp_path)
    assert (check.state, "nfs4" in check.found) == ("warning", True)
    assert "AGENTKIT_LOG" in check.mend


def test_a_full_disk_is_warned_of(tmp_path, monkeypatch):
    """Before it stops a run."""
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda place: type("Usage", (), {"free": 1_000_000})())
    assert doctor._disk(tmp_path).state == "warning"


def test_people_read_it_as_lines(tmp_path):
    """A mark, what, and what to do."""
    (tmp_path / ".agentkit").mkdir()
    done = command(tmp_path, "doctor", AGENTKIT_MODEL="local/smollm2")
    assert done.stdout.startswith("✓ agentkit: 0.")
    assert "✓ default model: local/smollm2" in done.stdout


def test_the_models_that_run_here_are_listed_and_fetched(tmp_path):
    """Which are here, how big the others are, under which licence; what is here is not fetched again."""
    path = smollm2()
    told = {one["name"]: one for one in json.loads(command(tmp_path, "models", "list", "--json").stdout)}
    assert told["local/smollm2"] | {"installed": True, "path": str(path)} == told["local/smollm2"]
    assert told["local/qwen2.5-coder-0.5b"]["licence"] == "Apache-2.0"
    done = command(tmp_path, "models", "list", AGENTKIT_MODEL="local/smollm2")
    assert "✓ local/smollm2  98 MB, Apache-2.0" in done.stdout
    assert "model: local/smollm2 ($AGENTKIT_MODEL names it)" in done.stderr
    assert "is here already" in command(tmp_path, "models", "pull", "local/smollm2").stderr
    wrong = command(tmp_path, "models", "pull", "gpt-9")
    assert (wrong.returncode, "there are qwen2.5-coder-1.5b" in wrong.stderr) == (2, True)
