"""Settings of the judge."""

from pathlib import Path
from typing import Literal, Self

from plumbline_contracts import judge
from plumbline_kit.settings import ServiceSettings
from pydantic import Field, SecretStr, model_validator
from pydantic_settings import SettingsConfigDict


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="JUDGE_")

    port: int = judge.PORT
    implementation: Literal["rules", "openai", "generator"] = Field(
        default="rules",
        description="A model behind an OpenAI-compatible server, or in a generator of ours; `rules` needs none.",
    )
    backend_url: str | None = Field(
        default=None,
        pattern=r"^https?://",
        description="Base URL of the one or the other: http://127.0.0.1:8080/v1, http://127.0.0.1:8002.",
    )
    model: str | None = Field(default=None, min_length=1, description="Name of the judge model there.")
    api_key: SecretStr | None = Field(default=None, description="Sent as bearer token, where the server wants one.")
    temperature: float = Field(default=0.0, ge=0, le=2)
    max_tokens: int = Field(default=1024, ge=16, description="Longest reply; a longer one is unscored as truncated.")
    concurrency: int = Field(default=8, ge=1, le=256, description="Calls to the judge model at a time.")
    timeout_seconds: float = Field(default=120.0, gt=0, description="For one reply.")
    retries: int = Field(default=3, ge=0, le=10, description="After a call that failed for a passing reason.")
    api: Literal["chat", "completions"] = Field(
        default="chat", description="`completions` for a server or model without a chat template."
    )
    structured: Literal["auto", "json_schema", "structured_outputs", "off"] = Field(
        default="auto",
        description="Constrain replies by a JSON schema, the second in vLLM's own words; `auto` tries both, then none.",
    )
    top_logprobs: int = Field(
        default=10, ge=0, le=20, description="Likely tokens asked for, from which confidence is read; 0 for none."
    )
    repair: bool = Field(default=True, description="Show the model an unusable reply's error, and ask once more.")
    rubrics_dir: Path | None = Field(default=None, description="Folder of rubrics of your own, one YAML file each.")

    @model_validator(mode="after")
    def _backend_of_a_model(self) -> Self:
        if self.implementation != "rules" and (self.backend_url is None or self.model is None):
            raise ValueError(f"JUDGE_IMPLEMENTATION={self.implementation} needs JUDGE_BACKEND_URL and JUDGE_MODEL")
        return self
