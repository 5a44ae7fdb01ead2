"""Every example in a docstring runs and prints what it shows."""

import doctest
import importlib
import pkgutil

import pytest

import agentkit

MODULES = sorted(found.name for found in pkgutil.walk_packages(agentkit.__path__, "agentkit."))


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_run(name, tmp_path, monkeypatch):
    """In an empty folder, so that one which opens a log leaves none here."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("builtins._", None, raising=False)  # a prompt's last value, which the next test must not find
    module = importlib.import_module(name)
    failed, _tried = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert not failed, "see above what was printed instead"


def test_there_are_examples():
    """The tests above would pass on a package without any."""
    found = doctest.DocTestFinder(exclude_empty=True)
    assert sum(bool(test.examples) for name in MODULES for test in found.find(importlib.import_module(name))) >= 10
