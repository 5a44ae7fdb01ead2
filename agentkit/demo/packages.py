"""What packages say about their licences: metadata and licence texts, as they are installed."""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from agentkit.jsonvalue import clean_text

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
        package = _package(distribution)
        if package is not None:  # the first one of a name is the one that is imported
            packages.setdefault(package.name.lower(), package)
    return [packages[name] for name in sorted(packages)]


def _package(distribution: metadata.Distribution) -> Package | None:
    """A package as far as it can be read; None where it has not even a name."""
    try:
        about: Any = distribution.metadata  # an email.message.Message, which typeshed knows in part
        name = about.get("Name")
    except (OSError, ValueError):  # metadata that is no UTF-8, for example
        about, name = {}, _folder_name(distribution)
    if not name:
        return None
    listed: list[str] = (about.get_all("Classifier") or []) if about else []
    return Package(
        name=clean_text(str(name)),
        version=clean_text(str(about.get("Version") or "?")),
        expression=_clean(about.get("License-Expression")),
        license=_clean(about.get("License")),
        classifiers=tuple(clean_text(line) for line in listed if line.startswith("License ::")),
        summary=_clean(about.get("Summary")),
        texts=dict(_texts(distribution)),
    )


def _clean(text: Any) -> str | None:
    return None if text is None else clean_text(str(text))


def _folder_name(distribution: metadata.Distribution) -> str | None:
    """The name in "name-1.0.dist-info", where the metadata cannot be read."""
    folder = getattr(distribution, "_path", None)  # the only way to it
    return None if folder is None else re.split(r"-\d|\.(?:dist|egg)-info", Path(str(folder)).name)[0]


def _texts(distribution: metadata.Distribution) -> Iterator[tuple[str, str]]:
    """The licence files: those in the package's metadata folder, else those beside its code."""
    try:
        files = [file for file in distribution.files or [] if _LICENCE_FILE.search(file.as_posix())]
    except (OSError, ValueError, TypeError, csv.Error):  # a list of files that cannot be read
        return
    own = [file for file in files if ".dist-info/" in file.as_posix() or ".egg-info/" in file.as_posix()]
    for file in sorted(own or files, key=lambda file: file.as_posix()):
        if file.suffix in {".py", ".pyc", ".pyi", ".so", ".json"} or _NOT_A_LICENCE.match(file.name):
            continue
        text = _read(Path(str(file.locate())))
        if text is not None:
            yield re.sub(r"^[^/]*\.(dist|egg)-info/(licenses/)?", "", file.as_posix()), text


def _read(path: Path) -> str | None:
    """A licence file's text, or its beginning; None where it is no file, or gone."""
    try:
        if not path.is_file():  # a pipe would be waited for
            return None
        with path.open("rb") as file:
            data = file.read(LONGEST)
    except (OSError, ValueError):
        return None
    wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    return clean_text(data.decode("utf-16" if wide else "utf-8-sig", errors="replace"))
