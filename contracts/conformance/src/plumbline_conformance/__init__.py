"""Does the service behind a URL keep its contract? Needs the OpenAPI document and the URL, nothing else of ours."""

from .findings import Check, Findings
from .runner import DOCUMENTS, SERVICES, run

__all__ = ["DOCUMENTS", "SERVICES", "Check", "Findings", "run"]
__version__ = "0.1.0"
