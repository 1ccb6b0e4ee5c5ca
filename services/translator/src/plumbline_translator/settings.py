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
