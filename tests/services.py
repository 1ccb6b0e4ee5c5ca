"""The matrix: one line per service. test_repository.py compares it with the folders, the contracts and the Makefile."""

from typing import NamedTuple


class ServiceLine(NamedTuple):
    name: str
    model_free: dict[str, str]  # the settings of its implementation without a model


SERVICES = [
    ServiceLine("translator", {"TRANSLATOR_ENGINE": "echo"}),
    ServiceLine("generator", {"GENERATOR_ENGINE": "canned"}),
    ServiceLine("trainer", {"TRAINER_ENGINE": "dry_run"}),
    ServiceLine("judge", {"JUDGE_IMPLEMENTATION": "rules"}),
    ServiceLine("analyzer", {}),
    ServiceLine("coordinator", {}),
]
MODEL_FREE = {key: value for line in SERVICES for key, value in line.model_free.items()}
