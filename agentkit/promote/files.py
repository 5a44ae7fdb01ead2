"""A promotion on disk: the module, its tests and the runs that they replay, written together or not at all."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agentkit.errors import PromotionError
from agentkit.promote.merging import merge
from agentkit.promote.runs_file import RunsFile, read
from agentkit.promote.tidy import tidy

_TESTS = '''"""Whether {module} does what {count} of {seen} runs of the agent {agent} did; written by agentkit."""

import pytest
from agentkit.testing import RecordedRun, recorded_runs
from {dotted} import pipeline

RUNS = recorded_runs(__file__, "{runs}")


@pytest.mark.parametrize("run", RUNS, ids=str)
def test_a_recorded_run_is_done_again(run: RecordedRun) -> None:
    """Recorded results in, the same calls out, and the same output."""
    run.assert_same(pipeline)


@pytest.mark.parametrize("run", RUNS, ids=str)
def test_what_is_not_as_recorded_leads_to_no_other_write(run: RecordedRun) -> None:
    """A field with another name, one element more, a call that fails: the pipeline stops, or does what is right."""
    run.assert_guarded(pipeline)
'''


_BARE = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "NO_COLOR": "1"}
"""The tests need none of pytest's plugins: what is installed is not to change what they say."""


@dataclass(frozen=True, slots=True)
class Files:
    """Where a promotion is written.

    Args:
        module: the pipeline.
        tests: its tests, beside it.
        runs: the recorded runs that they replay.
    """

    module: Path
    tests: Path
    runs: Path

    @classmethod
    def beside(cls, path: str | Path) -> "Files":
        """The files for a module's path.

        Raises:
            PromotionError: it is no module's.
        """
        module = Path(path).expanduser()
        if module.suffix != ".py" or not module.stem.isidentifier():
            raise PromotionError(f"{str(path)!r} is no module's file; give one such as 'pipelines/refund.py'")
        return cls(module, module.with_name(f"test_{module.name}"), module.with_name(f"{module.stem}.runs.json"))


@dataclass(frozen=True, repr=False)
class Tested:
    """What the generated tests said.

    Args:
        passed: whether all did.
        text: what pytest printed.
    """

    passed: bool
    text: str

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        if self.passed:
            return f"the tests pass: {self.text.splitlines()[-1].strip('= ')}"
        return f"the tests fail\n{self.text}"


def texts(files: Files, source: str, runs: RunsFile, *, overwrite: bool) -> dict[Path, str]:
    """What would be in each file.

    Args:
        files: where.
        source: the module as it is generated now.
        runs: what stands beside it.
        overwrite: what a person edited is lost.

    Raises:
        PromotionError: a file is somebody's, or an edit conflicts with what is generated now: each with both versions.
    """
    dotted = _dotted(files.module)
    tests = tidy(_tests(files, runs, dotted), files.tests, beside=[dotted.partition(".")[0]])
    new = {files.module: tidy(source, files.module), files.tests: tests}
    runs.generated = {path.name: text for path, text in new.items()}
    if not overwrite and any(path.exists() for path in new):
        base = read(files.runs).generated if files.runs.exists() else {}
        problems: list[str] = []
        for path in [path for path in new if path.exists()]:
            new[path] = _merged(path, base.get(path.name), new[path], files, problems)
        if problems:
            raise PromotionError(
                f"{files.module} was not written: a person changed what the runs now give otherwise; make each of "
                "these in the file what the runs give, or take it as it is there by overwrite=True and edit it again:",
                problems,
            )
    return {**new, files.runs: runs.text()}


def _merged(path: Path, base: str | None, text: str, files: Files, problems: list[str]) -> str:
    there = path.read_text("utf-8")
    if there == text:
        return text
    if base is None:
        raise PromotionError(
            f"{path} was not written: it is there, and {files.runs.name} does not say that agentkit generated it; "
            "write(…, overwrite=True) replaces it"
        )
    try:
        merged = merge(base, there, text)
        ast.parse(merged.text)
    except SyntaxError as error:
        raise PromotionError(
            f"{path} was not written: what is there is no Python (line {error.lineno}: {error.msg}); mend it, or "
            "write(…, overwrite=True) replaces it"
        ) from error
    problems += [f"{path.name}: {conflict}" for conflict in merged.conflicts]
    return merged.text


def write(contents: Mapping[Path, str]) -> None:
    """Write files: each whole, and none where one cannot be written.

    Args:
        contents: text by path.
    """
    temporary = {path: path.with_name(f".{path.name}.{os.getpid()}.tmp") for path in contents}
    try:
        for path, text in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary[path].write_text(text, "utf-8")
        for path, written in temporary.items():
            written.replace(path)
    finally:
        for written in temporary.values():
            written.unlink(missing_ok=True)


def run_tests(files: Files, seconds: float) -> Tested:
    """Run the generated tests in a process of their own.

    Args:
        files: where they are.
        seconds: how long they may take.

    Raises:
        PromotionError: there are none, pytest is not installed, or they do not end.
    """
    if not files.tests.exists():
        raise PromotionError(f"there is no {files.tests}; write the promotion first")
    paths = [str(Path(entry or ".").resolve()) for entry in sys.path if not entry.endswith(".zip")]
    command = [sys.executable, "-m", "pytest", "-q", "-o", "addopts=", "-p", "no:cacheprovider", files.tests.name]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **_BARE}
    try:
        done = subprocess.run(  # noqa: S603  this Python, and tests of the user's own
            command,
            cwd=files.tests.parent,
            env=environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        raise PromotionError(f"{files.tests} did not end within {seconds:g} s") from error
    said = (done.stdout + done.stderr).strip()
    if "No module named pytest" in said:
        raise PromotionError("the tests need pytest: pip install pytest")
    return Tested(done.returncode == 0, said)


def _tests(files: Files, runs: RunsFile, dotted: str) -> str:
    return _TESTS.format(
        module=files.module.name,
        count=len(runs.runs),
        seen=runs.seen,
        agent=re.sub(r'["\\]', "_", runs.agent),
        dotted=dotted,
        runs=files.runs.name,
    )


def _dotted(path: Path) -> str:
    """What a module is called where its test imports it: with the packages that it lies in."""
    parts, folder = [path.stem], path.resolve().parent
    while (folder / "__init__.py").exists():
        parts.insert(0, folder.name)
        folder = folder.parent
    return ".".join(parts)
