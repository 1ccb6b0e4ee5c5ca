"""What an adapter's folder says of the model that it goes over; no torch."""

import json
from pathlib import Path
from typing import Any

from plumbline_contracts.weights import ADAPTER_BASE, AdapterBase

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def is_adapter(folder: Path) -> bool:
    return (folder / CONFIG).is_file()


def base_reference(folder: Path) -> str:
    """Of the base, as adapter_config.json names it; ValueError where it does not."""
    told: Any = json.loads((folder / CONFIG).read_text("utf-8"))
    name = told.get("base_model_name_or_path") if isinstance(told, dict) else None
    if not isinstance(name, str) or not name:
        raise ValueError(f"{CONFIG} names no base_model_name_or_path")
    revision = told.get("revision")
    return name if revision in (None, "", "main") else f"{name}@{revision}"


def expected_base(folder: Path) -> str | None:
    """The sha256 that the base had in training, where the trainer wrote it down; ValueError if that is broken."""
    file = folder / ADAPTER_BASE
    return AdapterBase.model_validate_json(file.read_bytes()).sha256 if file.is_file() else None
