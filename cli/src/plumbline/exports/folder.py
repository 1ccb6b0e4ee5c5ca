"""A folder from which the analysis can be done again without any service."""

import hashlib
import json
from pathlib import Path
from typing import Any

from plumbline_contracts.coordinator import Manifest
from plumbline_kit.errors import ProblemError
from pydantic import BaseModel

from ..client import PlumblineClient


def write(client: PlumblineClient, id: str, target: Path) -> int:
    """observations.jsonl and analysis.json are what the analyzer was given; the digest in the latter is checked.

    Beside them responses.jsonl (with rationales), results.json, manifest.json and experiment.yaml. Raises
    `not-finished`.
    """
    results, manifest = client.results(id), client.manifest(id)
    target.mkdir()
    count, digest = 0, hashlib.sha256()
    with (target / "responses.jsonl").open("wb") as responses, (target / "observations.jsonl").open("wb") as observed:
        for count, record in enumerate(client.responses(id), start=1):  # noqa: B007 - the last count is the result
            responses.write(_line(record))
            digest.update(line := _line(record.observation()))
            observed.write(line)
    request = _request(manifest)
    if request["data"]["sha256"] != digest.hexdigest():
        detail = f"The responses of {id!r} are not what was analyzed: sha256 {digest.hexdigest()}, then it was "
        raise ProblemError(500, "digest-mismatch", detail + request["data"]["sha256"])
    _write_json(target / "analysis.json", request)
    _write_json(target / "results.json", results.model_dump(mode="json"))
    _write_json(target / "manifest.json", manifest.model_dump(mode="json"))
    (target / "experiment.yaml").write_text(manifest.text, encoding="utf-8")
    return count


def _request(manifest: Manifest) -> dict[str, Any]:
    if manifest.analysis is None:
        detail = "It was analyzed by a coordinator that did not keep what it asked; export it as jsonl or parquet."
        raise ProblemError(409, "not-kept", detail)
    return manifest.analysis


def _line(content: BaseModel) -> bytes:
    return content.model_dump_json().encode() + b"\n"


def _write_json(target: Path, content: Any) -> None:
    target.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
