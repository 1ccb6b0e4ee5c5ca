"""Settings of the generator."""

from pathlib import Path
from typing import Literal, Self

from plumbline_contracts import generator
from plumbline_kit.settings import ServiceSettings
from pydantic import Field, FilePath, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="GENERATOR_")

    port: int = generator.PORT
    engine: Literal["local", "openai", "tgi", "canned"] = Field(
        default="local", description="`openai` and `tgi` ask an inference server for the models that it has."
    )
    backend_url: str | None = Field(
        default=None, pattern=r"^https?://", description="Its base URL: http://vllm:8000/v1, http://tgi:80."
    )
    backend_api_key: SecretStr | None = Field(default=None, description="Sent as bearer token, where it wants one.")
    backend_concurrency: int = Field(default=16, ge=1, le=1024, description="Completions asked for at a time.")
    backend_timeout_seconds: float = Field(default=300.0, gt=0, description="For one completion.")
    backend_retries: int = Field(default=3, ge=0, le=10, description="After a call that failed for a passing reason.")
    models_dir: Path = Field(default=Path("var/models"), description="Folder that mirrors the hub: name or org/name.")
    hub: bool = Field(default=False, description="Download a model that is not in the folder.")
    threads: int | None = Field(default=None, ge=1, le=1024, description="Threads of torch; its own choice if not set.")
    batch_size: int = Field(default=32, ge=1, le=1024, description="Prompts completed side by side.")
    kv_cache_mb: int = Field(
        default=1024, ge=1, description="Keys and values of one model's prompts and prefixes; one prompt always fits."
    )
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    loaded_models: int = Field(default=2, ge=1, le=64, description="Models kept in memory.")
    memory_mb: int | None = Field(
        default=None, ge=1, description="Of all loaded models; nine tenths of what the machine, container or GPU has."
    )
    trusted_code: list[str] = Field(default=[], description="References of models whose folders' own code may be run.")
    queue: int = Field(default=4096, ge=256, description="Prompts unfinished at a time; more are refused with 429.")
    canned_file: FilePath | None = Field(default=None, description='JSONL of {"prompt": ..., "text": ...} for canned.')

    @model_validator(mode="after")
    def _backend_has_an_address(self) -> Self:
        if self.engine in ("openai", "tgi") and self.backend_url is None:
            raise ValueError(f"GENERATOR_ENGINE={self.engine} needs GENERATOR_BACKEND_URL")
        return self
