"""llama.cpp, through xllamacpp: how it is opened, with how many threads and how much context."""

import importlib.util
import os
from pathlib import Path
from typing import Any, cast

from agentkit.errors import ConfigError, ModelError, ModelNotFound

CONTEXT = 8192
"""Tokens that prompt and answer may have together: what SmolLM2 was trained with; 100 MB for the 0.5B, 235 the 1.5B."""

_MOST_THREADS = 8  # memory is the limit from about here on


def check_installed(name: str) -> None:
    """Refuse a local model where there is nothing to run it.

    Args:
        name: the model that was asked for, for the message.

    Raises:
        ModelNotFound: xllamacpp is not installed.
    """
    if importlib.util.find_spec("xllamacpp") is None:
        raise ModelNotFound(
            f"{name!r} runs here by xllamacpp, which is not installed: pip install 'jupyter-agentkit[local]'. "
            "It has wheels for Linux (glibc), macOS and Windows; elsewhere run Ollama and name its model, for example "
            "'ollama_chat/qwen2.5-coder'"
        )


def open_server(path: Path, *, api_key: str) -> Any:  # xllamacpp has no types
    """Load weights. Takes a second, and as much memory as the file plus the context.

    Args:
        path: a GGUF file.
        api_key: what requests over HTTP must show: the library listens on loopback, and nothing there is for anybody.

    Raises:
        ModelError: not such a file, a damaged one, or the library cannot be loaded.
    """
    _check_file(path)
    # OpenMP's threads spin while they wait: on a busy machine 32 tokens took 14 to 42 s that way, and 2 s this way
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        import xllamacpp
    except Exception as error:  # a wheel for another processor or libc raises several kinds
        raise ModelError(
            f"xllamacpp cannot be loaded here ({error}); reinstall it: pip install --force-reinstall xllamacpp"
        ) from error
    library = cast("Any", xllamacpp)
    try:
        return library.Server(_parameters(library, path, api_key))
    except RuntimeError as error:
        raise ModelError(
            f"{path} cannot be loaded: it is damaged, not a language model, or larger than the memory that is free; "
            "pull or copy it again",
            kind="bad_request",
        ) from error


def _check_file(path: Path) -> None:
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}", kind="bad_request") from error
    if magic != b"GGUF":
        raise ModelError(
            f"{path} is no GGUF file (it begins with {magic!r}); pull or copy it again", kind="bad_request"
        )


def _parameters(library: Any, path: Path, api_key: str) -> Any:
    chosen = library.CommonParams()
    chosen.model.path = str(path)
    chosen.n_ctx = _whole_number("AGENTKIT_LOCAL_CONTEXT", CONTEXT)
    chosen.n_parallel = 1
    chosen.cpuparams.n_threads = chosen.cpuparams_batch.n_threads = threads()
    chosen.warmup = False  # the first request does it
    chosen.verbosity = -1  # its log goes to the notebook's stderr otherwise
    chosen.cache_ram_mib = 0  # prompts of earlier runs are not kept
    # nobody but this process: no key is known to others, no page of a browser may read, nothing is shown
    chosen.api_keys, chosen.cors_origins = [api_key], ""
    chosen.ui = chosen.endpoint_slots = False
    return chosen


def threads() -> int:
    """How many threads compute: `$AGENTKIT_LOCAL_THREADS`; by default half the processors, and one in CI."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    default = 1 if os.environ.get("CI") == "true" else max(1, min(_MOST_THREADS, usable // 2))
    return _whole_number("AGENTKIT_LOCAL_THREADS", default)


def _whole_number(variable: str, default: int) -> int:
    said = os.environ.get(variable) or str(default)
    if not said.isdecimal() or int(said) < 1:
        raise ConfigError(f"${variable} is {said!r}; give a whole number above 0, or unset it for {default}")
    return int(said)
