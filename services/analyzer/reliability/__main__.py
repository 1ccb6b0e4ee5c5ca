"""Write docs/detectors.md: python -m services.analyzer.reliability, from the repository's root."""

from .document import DOCUMENT, measured, render

if __name__ == "__main__":
    DOCUMENT.write_text(render(measured()), encoding="utf-8")
