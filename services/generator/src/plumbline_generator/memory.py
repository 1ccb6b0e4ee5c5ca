"""What a model will take, from the headers of its weights, and what this machine or its container has."""

import ctypes
import gc
import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import psutil

MIB = 2**20
SCREENED_FROM = 2**22  # weights of an output layer: products of smaller ones are as fast
_STORED = {"float32": ("F32", 4), "bfloat16": ("BF16", 2), "float16": ("F16", 2)}  # safetensors' names, and bytes
_CGROUP = Path("/sys/fs/cgroup")
_KEPT_FREE = 0.1  # of all memory, for everything else


@dataclass(frozen=True)
class Need:
    """Bytes. `cache`: keys and values of a full batch. `loading`: beside the weights, while these are read."""

    weights: int
    cache: int
    loading: int = 0

    @classmethod
    def of(
        cls,
        folder: Path,
        dtype: str,
        rows: int,
        most_cache: int,
        *,
        packed: bool = False,
        screened: bool = False,
        adapter: Path | None = None,
    ) -> Self:
        """`packed` where linear layers are stored anew in another order, `screened` where a large output layer is
        stored in bfloat16, too. ValueError where a header cannot be read."""
        told, tensors = _text_config(folder), _tensors(folder)
        stored, itemsize = _STORED[dtype]
        parameters = sum(tensor.elements for tensor in tensors)
        copied, tied = _linear(tensors, told.get("vocab_size")) if packed else (0, 0)
        # Weights of the file's own type stay in it, mapped, and their pages are dropped when memory is short.
        mapped = adapter is None and all(tensor.dtype == stored for tensor in tensors)
        loading = 0 if mapped else copied * itemsize
        if adapter is not None:  # read and merged in float32, then cast
            own = 4 * sum(tensor.elements for tensor in _tensors(adapter))
            loading = max(loading, parameters * (4 - itemsize) + own)
        weights = parameters * itemsize
        cache = min(most_cache, _cache(folder, told, itemsize, rows) or most_cache)
        near = 2 * tied if screened and tied >= SCREENED_FROM else 0
        return cls(weights + tied * itemsize + near, cache, loading)

    @property
    def bytes(self) -> int:
        return self.weights + self.cache

    @property
    def peak(self) -> int:
        """Keys and values come when the weights are there, and nothing is beside them any more."""
        return self.weights + max(self.cache, self.loading)

    def __str__(self) -> str:
        parts = f"{mib(self.weights)} of weights and {mib(self.cache)} of keys and values"
        return parts + (f", {mib(self.peak)} while it is loaded" if self.peak > self.bytes else "")


class _Tensor(NamedTuple):
    dtype: str
    shape: tuple[int, ...]

    @property
    def elements(self) -> int:
        return math.prod(self.shape)


def _linear(tensors: list[_Tensor], vocabulary: int | None) -> tuple[int, int]:
    """Elements of the linear layers, and of the copy that stays where one table is embedding and output layer."""
    matrices = [tensor for tensor in tensors if len(tensor.shape) == 2]
    tables = [matrix.elements for matrix in matrices if matrix.shape[0] == vocabulary]
    tied = tables[0] if len(tables) == 1 else 0
    return sum(matrix.elements for matrix in matrices) - max(tables, default=0), tied


def _cache(folder: Path, told: dict[str, Any], itemsize: int, rows: int) -> int | None:
    """Of a full batch of the longest texts, and prefixes beside them; null where config.json does not tell."""
    layers, heads = told.get("num_hidden_layers"), told.get("num_attention_heads")
    longest = context_length(folder)
    if not (layers and heads and longest and told.get("hidden_size")):
        return None
    width = told.get("head_dim") or told["hidden_size"] // heads
    token: int = 2 * layers * (told.get("num_key_value_heads") or heads) * width * itemsize
    return 2 * rows * longest * token


def mib(size: int) -> str:
    return f"{math.ceil(size / MIB):,} MiB"


def context_length(folder: Path) -> int | None:
    """The most tokens of a prompt and its text, as config.json tells."""
    told = _text_config(folder)
    found = told.get("max_position_embeddings") or told.get("n_positions")
    return found if isinstance(found, int) else None


def budget() -> int:
    """What models may take together where no setting says it: nine tenths of the machine's or container's memory."""
    limit = _cgroup("memory.max")
    total = int(psutil.virtual_memory().total)
    return int((1 - _KEPT_FREE) * (total if limit is None else min(limit, total)))


def give_back() -> None:
    """Hand what was freed to the system: glibc keeps tensors below 32 MiB for itself, which is most of a model."""
    gc.collect()
    if (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:  # only glibc has it
        trim(0)


def available() -> int:
    """Free now, files that could be dropped from memory included."""
    free, limit, used = int(psutil.virtual_memory().available), _cgroup("memory.max"), _cgroup("memory.current")
    return free if limit is None or used is None else min(free, limit - used + _droppable())


def _tensors(folder: Path) -> list[_Tensor]:
    return [tensor for file in sorted(folder.glob("*.safetensors")) for tensor in _header(file)]


def _header(file: Path) -> list[_Tensor]:
    """Of all tensors. The header is an 8-byte length and so much JSON (safetensors' format description)."""
    with file.open("rb") as content:
        start = content.read(8)
        if len(start) < 8 or (length := struct.unpack("<Q", start)[0]) > file.stat().st_size:
            raise ValueError(f"{file.name} has no safetensors header")
        header = json.loads(content.read(length))
    return [_Tensor(told["dtype"], tuple(told["shape"])) for name, told in header.items() if name != "__metadata__"]


def _text_config(folder: Path) -> dict[str, Any]:
    try:
        told = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    told = told if isinstance(told, dict) else {}
    return dict(told.get("text_config") or told)


def _cgroup(name: str) -> int | None:
    """None without a limit, or where there is no cgroup of version 2."""
    try:
        text = (_CGROUP / name).read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None


def _droppable() -> int:
    try:
        lines = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return 0
    return int(lines.get("inactive_file", 0))
