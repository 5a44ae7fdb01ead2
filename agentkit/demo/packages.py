"""What packages say about their licences: metadata and licence texts, as they are installed."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

LONGEST = 100_000
"""Characters of a licence text that are read: the GPL has 35,000."""

_LICENCE_FILE = re.compile(
    r"(^|/)(licen[cs]e|copying|notice|copyright|eula|unlicense)[^/]*$|(^|/)licen[cs]es/[^/]+$", re.IGNORECASE
)
_NOT_A_LICENCE = re.compile(r"readme|changelog|changes|authors|contributors|code_of_conduct|notice", re.IGNORECASE)
_NOTHING = {"", "unknown", "none", "n/a", "noassertion", "tbd"}


@dataclass(frozen=True)
class Package:
    """One package.

    Args:
        name: as it is installed.
        version: its version.
        expression: the field `License-Expression` (PEP 639), if any.
        license: the older field `License`, free text.
        classifiers: the classifiers that begin with "License ::".
        summary: one line of what it is.
        texts: its licence files: path → text.
    """

    name: str
    version: str
    expression: str | None = None
    license: str | None = None
    classifiers: tuple[str, ...] = ()
    summary: str | None = None
    texts: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def says(self) -> list[str]:
        """Everything it says about its licence: metadata, then the files' texts."""
        texts = [self.expression or "", said(self.license) or "", *map(classifier_name, self.classifiers)]
        return [text for text in (*texts, *self.texts.values()) if text.strip()]


def said(text: str | None) -> str | None:
    """A metadata field's text; None where it says nothing ("UNKNOWN")."""
    return None if text is None or text.strip().lower() in _NOTHING else text.strip()


def classifier_name(classifier: str) -> str:
    """The licence that a classifier names.

    Example:
        >>> classifier_name("License :: OSI Approved :: MIT License")
        'MIT License'
    """
    return classifier.rsplit(" :: ", 1)[-1]


def installed(paths: Iterable[str] | None = None) -> list[Package]:
    """Every package that is installed where this Python looks for them, by name.

    Args:
        paths: folders to look in instead, as in `sys.path`.
    """
    found = metadata.distributions() if paths is None else metadata.distributions(path=list(paths))
    packages: dict[str, Package] = {}
    for distribution in found:
        name: str | None = distribution.metadata["Name"]
        if name and name.lower() not in packages:  # the first one is the one that is imported
            packages[name.lower()] = _package(name, distribution)
    return [packages[name] for name in sorted(packages)]


def _package(name: str, distribution: metadata.Distribution) -> Package:
    about: Any = distribution.metadata  # an email.message.Message, which typeshed knows in part
    listed: list[str] = about.get_all("Classifier") or []
    classifiers = [line for line in listed if line.startswith("License ::")]
    return Package(
        name=name,
        version=distribution.version,
        expression=about.get("License-Expression"),
        license=about.get("License"),
        classifiers=tuple(classifiers),
        summary=about.get("Summary"),
        texts=dict(_texts(distribution)),
    )


def _texts(distribution: metadata.Distribution) -> Iterator[tuple[str, str]]:
    """The licence files: those in the package's metadata folder, else those beside its code."""
    files = [file for file in distribution.files or [] if _LICENCE_FILE.search(file.as_posix())]
    own = [file for file in files if ".dist-info/" in file.as_posix() or ".egg-info/" in file.as_posix()]
    for file in sorted(own or files, key=lambda file: file.as_posix()):
        if file.suffix in {".py", ".pyc", ".pyi", ".so", ".json"} or _NOT_A_LICENCE.match(file.name):
            continue
        try:
            text = file.locate().read_text("utf-8", errors="replace")  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType, reportAttributeAccessIssue]  SimplePath, in fact a Path
        except OSError:  # listed, and removed by whoever packaged it
            continue
        yield re.sub(r"^[^/]*\.(dist|egg)-info/(licenses/)?", "", file.as_posix()), str(text)[:LONGEST]  # pyright: ignore[reportUnknownArgumentType]  as above
