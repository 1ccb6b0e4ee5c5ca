"""Calibration of judges: agreement with gold, probes, what follows from them, corrected means."""

from .calibrate import calibrate
from .correction import corrected_means

__all__ = ["calibrate", "corrected_means"]
