"""Settings of the translator."""

from pathlib import Path
from typing import Literal

from plumbline_contracts import translator
from plumbline_kit.settings import ServiceSettings
from pydantic import Field
from pydantic_settings import SettingsConfigDict


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="TRANSLATOR_")

    port: int = translator.PORT
    engine: Literal["argos", "echo"] = "argos"
    packages_dir: Path = Field(default=Path("var/argos"), description="Folder with unpacked Argos packages.")
    threads: int = Field(default=2, ge=1, le=256, description="Batches translated side by side, one core each.")
