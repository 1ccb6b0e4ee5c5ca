"""The page about a calibration: one self-contained HTML file."""

from importlib.resources import files

from jinja2 import Environment
from plumbline_contracts.calibrating import CalibrationRequest, CalibrationResponse
from plumbline_contracts.results import Estimate

from .advice import told


def render(request: CalibrationRequest, found: CalibrationResponse) -> str:
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"estimate": _estimate, "percent": _percent}
    template = environment.from_string(_resource("calibration", "page.html.j2"))
    return template.render(asked=request, found=found, css=_resource("report", "report.css"))


def _resource(folder: str, name: str) -> str:
    return (files("plumbline_analyzer") / folder / name).read_text(encoding="utf-8")


def _estimate(one: Estimate) -> str:
    return told(one, ".2f", "-")


def _percent(one: Estimate) -> str:
    return told(one, ".0%", "-")
