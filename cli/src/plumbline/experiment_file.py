"""An experiment file on this machine, with the local files that it names."""

import hashlib
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml
from plumbline_contracts.common import Place
from plumbline_contracts.experiment import local_paths
from plumbline_kit.errors import ProblemError

_LONGEST = 1_000_000  # as the contract says


@dataclass(frozen=True)
class LocalFile:
    """`path` as the experiment file gives it, and where and what that is."""

    path: str
    location: Path
    sha256: str
    bytes: int


@dataclass(frozen=True)
class ExperimentFile:
    source: str
    text: str
    name: str
    files: list[LocalFile]

    @classmethod
    def read(cls, path: Path | str) -> Self:
        """Read the file and the digests of what it names; the problem `invalid-spec` names every missing file."""
        path = Path(path)
        text = _text(path)
        document = _parsed(text, path)
        faults, files = [], []
        for given in local_paths(document):
            location = path.parent / given
            if not location.is_file():
                cause = "is a folder, not a file" if location.is_dir() else "is not a file on this machine"
                faults += [Place(place=place, message=f"{location} {cause}") for place in _places(text, given, path)]
                continue
            with location.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            files.append(LocalFile(given, location, sha256, location.stat().st_size))
        if faults:
            raise _invalid(faults)
        name = document.get("name") if isinstance(document, dict) else None
        return cls(str(path), text, name if isinstance(name, str) else path.stem, files)

    @property
    def default_id(self) -> str:
        """The same for the same content, so that running an unchanged file again is the same experiment."""
        lines = [self.text, *sorted(f"{file.path} {file.sha256}" for file in self.files)]
        digest = hashlib.sha256("\0".join(lines).encode()).hexdigest()
        ascii_name = unicodedata.normalize("NFKD", self.name).encode("ascii", "ignore").decode().lower()
        slug = re.sub(r"[^a-z0-9]+", "-", ascii_name).strip("-")[:60].rstrip("-")
        return f"{slug or 'experiment'}-{digest[:8]}"


def _text(path: Path) -> str:
    if not path.is_file():
        raise ProblemError(422, "invalid-spec", f"There is no experiment file {path}.")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise _invalid([Place(place=str(path), message=f"is not UTF-8 text (byte {error.start})")]) from error
    if not text or len(text) > _LONGEST or "\0" in text:
        raise _invalid([Place(place=str(path), message=f"is not a text of 1 to {_LONGEST} characters")])
    return text


def _parsed(text: str, path: Path) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise _invalid([Place(place=f"{path}{line}", message=getattr(error, "problem", None) or str(error))]) from error


def _places(text: str, value: str, path: Path) -> Iterator[str]:
    """Everywhere that the file says `path: value`, as `file:line dataset.path`."""
    stack = [("", yaml.compose(text, Loader=yaml.SafeLoader))]
    while stack:
        prefix, node = stack.pop()
        if isinstance(node, yaml.MappingNode):
            for key, child in node.value:
                dotted = f"{prefix}.{key.value}" if prefix else str(key.value)
                if key.value == "path" and isinstance(child, yaml.ScalarNode) and child.value == value:
                    yield f"{path}:{child.start_mark.line + 1} {dotted}"
                stack.append((dotted, child))
        elif isinstance(node, yaml.SequenceNode):
            stack += [(f"{prefix}[{index}]", child) for index, child in enumerate(node.value)]


def _invalid(faults: list[Place]) -> ProblemError:
    return ProblemError(422, "invalid-spec", f"{len(faults)} fault(s) in the experiment file.", errors=faults)
