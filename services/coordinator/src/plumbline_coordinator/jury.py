"""What the analyzer is told of panels, and of the errors of judges."""

from collections.abc import Iterator, Mapping

from plumbline_contracts import analyzer
from plumbline_contracts.analysis import JudgeRole
from plumbline_contracts.calibration import Calibration, JudgeCalibration
from plumbline_contracts.common import Info
from plumbline_contracts.experiment import JudgeChoice
from plumbline_kit.errors import ProblemError
from pydantic import ValidationError

from .run import Run


def panel_labels(run: Run, services: Mapping[str, Info]) -> Iterator[analyzer.JudgeLabel]:
    """`services` are those of the manifest."""
    for panel in run.spec.panels:
        models = [services[f"judge:{name}"].model for name in panel.judges]
        yield analyzer.JudgeLabel(
            name=panel.name,
            implementation="panel",
            model=", ".join(dict.fromkeys(model for model in models if model)) or None,
            description=f"The {panel.aggregation} of {', '.join(panel.judges)}"
            f"; {panel.quorum or len(panel.judges)} of them must have scored.",
            role=JudgeRole.PANEL,
        )


def calibrations(run: Run) -> list[JudgeCalibration]:
    return [
        JudgeCalibration(judge=choice.name, calibration=calibration(run, choice), method=choice.calibration.method)
        for choice in run.spec.judges
        if choice.calibration is not None
    ]


def calibration(run: Run, choice: JudgeChoice) -> Calibration:
    """The file as it was uploaded; the problem `invalid-calibration` when it is none, or of another rubric."""
    assert choice.calibration is not None
    text = run.reader(run.files)(choice.calibration.path)
    try:
        found = Calibration.model_validate_json(text)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"])) or "the file"
        detail = f"is no calibration as `plumbline calibrate` writes it: {where}: {fault['msg']}"
        raise ProblemError(422, "invalid-calibration", detail) from error
    if found.rubric not in choice.rubrics.values():
        of = "of items with criteria of their own" if found.rubric is None else f"of the rubric {found.rubric!r}"
        asked = ", ".join(choice.rubrics.values())
        raise ProblemError(422, "invalid-calibration", f"is {of}; this judge is asked on {asked}")
    return found
