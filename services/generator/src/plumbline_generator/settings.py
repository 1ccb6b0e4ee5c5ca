"""Settings of the generator."""

from pathlib import Path
from typing import Literal

from plumbline_contracts import generator
from plumbline_kit.settings import ServiceSettings
from pydantic import Field, FilePath
from pydantic_settings import SettingsConfigDict


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="GENERATOR_")

    port: int = generator.PORT
    engine: Literal["local", "canned"] = "local"
    models_dir: Path = Field(default=Path("var/models"), description="Folder that mirrors the hub: name or org/name.")
    hub: bool = Field(default=False, description="Download a model that is not in the folder.")
    threads: int | None = Field(default=None, ge=1, le=1024, description="Threads of torch; its own choice if not set.")
    batch_size: int = Field(default=32, ge=1, le=1024, description="Prompts completed side by side.")
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    loaded_models: int = Field(default=2, ge=1, le=64, description="Models kept in memory.")
    canned_file: FilePath | None = Field(default=None, description='JSONL of {"prompt": ..., "text": ...} for canned.')
