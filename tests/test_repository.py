"""What the repository promises to whoever checks it out."""

import hashlib
import os
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_no_registry_but_the_public_one_is_locked():
    """The lock works on any machine."""
    hosts = set(re.findall(r"https?://([^/\"]+)", (ROOT / "uv.lock").read_text()))
    assert hosts == {"pypi.org", "files.pythonhosted.org"}


def test_the_licence_is_the_unmodified_text():
    """Byte for byte https://www.apache.org/licenses/LICENSE-2.0.txt."""
    assert hashlib.sha256((ROOT / "LICENSE").read_bytes()).hexdigest() == (
        "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
    )
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["license"] == "Apache-2.0"


def test_the_checks_can_be_run():
    """`.ci/run` is what the README says to call."""
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_the_changelog_has_a_place_for_what_is_new():
    """The newest section comes first."""
    sections = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert sections[0] == "Unreleased"
