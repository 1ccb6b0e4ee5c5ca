"""Settings of the coordinator."""

from pathlib import Path
from typing import Self

from plumbline_contracts import analyzer, coordinator, generator, judge, trainer, translator
from plumbline_kit.settings import ServiceSettings
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError


def _local(port: int) -> str:
    return f"http://127.0.0.1:{port}"


class ServiceLimits(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    concurrency: int = Field(ge=1, le=1000)
    rate: float | None = Field(default=None, gt=0)


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="COORDINATOR_")

    port: int = coordinator.PORT
    database_url: str = Field(
        default="sqlite:///var/coordinator.sqlite",
        description="sqlite:///FILE (embedded) or postgresql://USER@HOST:PORT/DATABASE (deployed).",
    )
    database_password: SecretStr | None = Field(default=None, description="Of USER; better here than in the URL.")
    datasets_dir: Path = Field(default=Path("var/datasets"), description="Folders that mirror hub data sets: org/name.")
    hub: bool = Field(default=False, description="Download data sets that are not in datasets_dir.")
    translator_url: str = _local(translator.PORT)
    generator_url: str = _local(generator.PORT)
    trainer_url: str = _local(trainer.PORT)
    analyzer_url: str = _local(analyzer.PORT)
    judge_url: str = Field(default=_local(judge.PORT), description="The judge that experiments call `judge`.")
    judges: dict[str, str] = Field(default={}, description='Further judges by name, as JSON: {"strict": "http://..."}.')
    executor: str | None = Field(
        default=None, max_length=100, description="Name of this process among those of one database; none is as good."
    )
    lease_s: float = Field(default=15, gt=0, description="On PostgreSQL, whoever is silent for so long is taken over.")
    concurrency: int = Field(default=2, ge=1, description="Requests under way at once per service.")
    rate: float | None = Field(default=None, gt=0, description="Requests per second to a service; none: no limit.")
    services: dict[str, dict[str, float]] = Field(
        default={},
        description='Other limits for some, as JSON: {"generator": {"concurrency": 8}, "judge:strict": {"rate": 0.5}}.',
    )
    patience_s: float = Field(
        default=1800, gt=0, description="After so long without the service that it needs, an experiment is paused."
    )
    least_free_bytes: int = Field(
        default=64 * 2**20, ge=2**20, description="With less room on a disk that it needs, an experiment is paused."
    )
    batch_size: int = Field(default=32, ge=1, le=64, description="Items per request to a service.")
    request_timeout_s: float = Field(default=1800, gt=0, description="For one batch.")
    max_request_bytes: int = Field(
        default=512 * 2**20,
        gt=0,
        validation_alias="PLUMBLINE_MAX_REQUEST_BYTES",
        description="Uploaded data files are larger than other requests.",
    )

    @field_validator("database_url")
    @classmethod
    def _is_known(cls, given: str) -> str:
        try:
            known = make_url(given).get_backend_name() in ("sqlite", "postgresql")
        except ArgumentError:
            known = False
        if not known:  # without the URL in the message, because it may have a password
            raise ValueError("must be sqlite:///FILE or postgresql://USER@HOST:PORT/DATABASE")
        return given

    @model_validator(mode="after")
    def _limits_are_of_services(self) -> Self:
        known = ["translator", "generator", "trainer", "analyzer", *(f"judge:{name}" for name in self.judge_urls)]
        if strangers := sorted(self.services.keys() - set(known)):
            raise ValueError(f"services: no service {', '.join(strangers)}; there are {', '.join(known)}")
        for name in self.services:
            self.limits_of(name)
        return self

    def limits_of(self, service: str) -> ServiceLimits:
        """How fast a service may be asked, by all replicas together."""
        general = {"concurrency": self.concurrency, "rate": self.rate}
        return ServiceLimits.model_validate(general | self.services.get(service, {}))

    @property
    def database(self) -> URL:
        """The URL with the password, which its text form hides."""
        url = make_url(self.database_url)
        if self.database_password is None or url.get_backend_name() == "sqlite":
            return url
        return url.set(password=self.database_password.get_secret_value())

    @property
    def judge_urls(self) -> dict[str, str]:
        return {"judge": self.judge_url} | self.judges
