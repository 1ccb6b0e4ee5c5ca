"""What a finished build says of itself: its inputs as one key, and every file with its digest."""

import json
from dataclasses import asdict
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tinyworld.parameters import Parameters

NAME = "manifest.json"
FIELDS = {"key", "seed", "parameters", "libraries", "sources", "seconds", "files"}
LIBRARIES = ("torch", "transformers", "tokenizers", "ctranslate2", "sentencepiece")


def inputs(seed: int, parameters: Parameters) -> dict[str, Any]:
    """All that the result depends on, short of the machine."""
    sources = sorted(path for path in Path(__file__).parent.iterdir() if path.is_file())
    return {
        "seed": seed,
        "parameters": asdict(parameters),
        "libraries": {name: version(name) for name in LIBRARIES},
        "sources": {path.name: sha256(path.read_bytes()).hexdigest() for path in sources},
    }


def key_of(inputs: dict[str, Any]) -> str:
    return sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def describe_files(folder: Path) -> dict[str, dict[str, Any]]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / NAME)
    return {
        path.relative_to(folder).as_posix(): {
            "sha256": sha256(path.read_bytes()).hexdigest(),
            "bytes": path.stat().st_size,
        }
        for path in paths
    }


def write(folder: Path, inputs: dict[str, Any], seconds: dict[str, float]) -> dict[str, Any]:
    """Describes what lies in `folder`; call it when everything does."""
    manifest = {"key": key_of(inputs), **inputs, "seconds": seconds, "files": describe_files(folder)}
    (folder / NAME).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return manifest


def read(folder: Path) -> dict[str, Any] | None:
    """The manifest in `folder`, or None when no build of ours finished there."""
    try:
        manifest: dict[str, Any] = json.loads((folder / NAME).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
        return None
    return manifest if manifest.keys() >= FIELDS else None


def is_whole(folder: Path, manifest: dict[str, Any]) -> bool:
    """True when every file that the manifest names is there, unchanged. Files beside them do not matter."""
    found = describe_files(folder)
    return all(found.get(name) == description for name, description in manifest["files"].items())
