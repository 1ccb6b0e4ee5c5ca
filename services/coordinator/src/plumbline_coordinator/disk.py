"""Whether there is room on the disks of this machine that experiments fill."""

import shutil

from sqlalchemy import Engine

from . import database
from .settings import Settings


def full(settings: Settings, engine: Engine) -> str | None:
    """Which disk is too full to go on, and what to do. Looked up when asked: on a full one it could not be stored."""
    for folder in (settings.artifacts_dir, *database.folders(engine)):
        if folder.is_dir() and (free := shutil.disk_usage(folder).free) < settings.least_free_bytes:
            return f"The disk of {folder} is full ({free} bytes left, {settings.least_free_bytes} are needed)."
    return None
