"""Settings of the coordinator."""

from pathlib import Path

from plumbline_contracts import analyzer, coordinator, generator, judge, trainer, translator
from plumbline_kit.settings import ServiceSettings
from pydantic import Field
from pydantic_settings import SettingsConfigDict


def _local(port: int) -> str:
    return f"http://127.0.0.1:{port}"


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="COORDINATOR_")

    port: int = coordinator.PORT
    database_url: str = Field(
        default="sqlite:///var/coordinator.sqlite",
        description="sqlite:///FILE (embedded) or postgresql://USER:PASSWORD@HOST/DATABASE (deployed).",
    )
    datasets_dir: Path = Field(default=Path("var/datasets"), description="Folders that mirror hub data sets: org/name.")
    hub: bool = Field(default=False, description="Download data sets that are not in datasets_dir.")
    translator_url: str = _local(translator.PORT)
    generator_url: str = _local(generator.PORT)
    trainer_url: str = _local(trainer.PORT)
    analyzer_url: str = _local(analyzer.PORT)
    judge_url: str = Field(default=_local(judge.PORT), description="The judge that experiments call `judge`.")
    judges: dict[str, str] = Field(default={}, description='Further judges by name, as JSON: {"strict": "http://..."}.')
    executor: str = Field(default="embedded", description="Keep it, so that a restart goes on with its work.")
    concurrency: int = Field(default=2, ge=1, description="Batches under way at once per service.")
    batch_size: int = Field(default=32, ge=1, le=64, description="Items per request to a service.")
    request_timeout_s: float = Field(default=1800, gt=0, description="For one batch.")
    max_request_bytes: int = Field(
        default=512 * 2**20,
        gt=0,
        validation_alias="PLUMBLINE_MAX_REQUEST_BYTES",
        description="Uploaded data files are larger than other requests.",
    )

    @property
    def judge_urls(self) -> dict[str, str]:
        return {"judge": self.judge_url} | self.judges
