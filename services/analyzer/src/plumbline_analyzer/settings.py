"""Settings of the analyzer."""

from typing import Annotated

from plumbline_contracts import analyzer
from plumbline_kit.settings import ServiceSettings
from pydantic import Field, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="ANALYZER_")

    port: int = analyzer.PORT
    workers: int = Field(default=2, ge=1, le=64, description="Detection batches that run at the same time.")
    languages: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("en", "fr", "es", "pt", "it", "de", "ca", "ru", "zh", "ja", "ko", "ar"),
        min_length=2,
        description="Languages to tell apart (ISO 639-1, separated by commas); a close relative more is a doubt more.",
    )

    @field_validator("languages", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value
