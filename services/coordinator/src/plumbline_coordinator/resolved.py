"""Specs as they were stored when their experiments were submitted, with every default of that time filled in."""

from typing import Any

from plumbline_contracts.experiment import ExperimentSpec


def resolved(stored: dict[str, Any]) -> ExperimentSpec:
    """What had no name then was not done then, whatever is the default by now."""
    return ExperimentSpec.model_validate(stored | {"decoding": {"stop_loops": None} | stored["decoding"]})
