"""The sixty packages of `data/licences/` as the demo sees packages, and their labels."""

import json
from pathlib import Path

from agentkit.demo.packages import Package

FOLDER = Path(__file__).parent / "data" / "licences"


class Shelf:
    """Packages that are looked up here and not among the installed ones.

    Args:
        packages: the packages.
    """

    def __init__(self, packages):
        self._packages = {package.name: package for package in packages}

    def names(self):
        return list(self._packages)

    def get(self, name):
        return self._packages[name]


def records():
    """The records as they stand in the files."""
    return [json.loads(file.read_text("utf-8")) for file in sorted(FOLDER.glob("*.json"))]


def packages():
    """The packages, in order."""
    return [
        Package(
            name=record["name"],
            version=record["version"],
            expression=record["metadata"]["license_expression"],
            license=record["metadata"]["license"],
            classifiers=tuple(record["metadata"]["classifiers"]),
            summary=record["metadata"]["summary"],
            texts=record["texts"],
        )
        for record in records()
    ]


def labels():
    """What each package's category is, as a person found."""
    return {record["name"]: record["label"] for record in records()}
