"""Settings of the trainer, and the part of them that a training process needs."""

from pathlib import Path
from typing import Literal

from plumbline_contracts import trainer
from plumbline_kit.settings import ServiceSettings
from pydantic import BaseModel, Field
from pydantic_settings import SettingsConfigDict

Engine = Literal["trl", "dry_run"]


class Plan(BaseModel):
    """How this installation trains, whatever the request; written beside each job for its process to read."""

    engine: Engine
    models_dir: Path
    hub: bool
    checkpoint_steps: int
    dry_run_s: float


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="TRAINER_")

    port: int = trainer.PORT
    engine: Engine = Field(default="trl", description="`dry_run` trains nothing and returns the weights unchanged.")
    jobs_dir: Path = Field(default=Path("var/trainings"), description="One folder a job; survives restarts.")
    models_dir: Path = Field(default=Path("var/models"), description="Folders that mirror hub models: org/name.")
    hub: bool = Field(default=False, description="Download models that are not in models_dir.")
    threads: int | None = Field(default=None, ge=1, description="CPU threads of one training; unset: one a core.")
    parallel: int = Field(default=1, ge=1, description="Trainings at once; the others are queued.")
    checkpoint_steps: int = Field(default=50, ge=1, description="Steps between checkpoints, where a restart goes on.")
    keep_checkpoints: bool = Field(default=False, description="Keep them (and their disk space) after the job's end.")
    grace_s: float = Field(default=5.0, gt=0, description="Seconds from SIGTERM to SIGKILL when a training is ended.")
    dry_run_s: float = Field(default=0.0, ge=0, description="Seconds that a dry run takes, to try out cancelling.")

    @property
    def plan(self) -> Plan:
        return Plan(
            engine=self.engine,
            models_dir=self.models_dir.absolute(),
            hub=self.hub,
            checkpoint_steps=self.checkpoint_steps,
            dry_run_s=self.dry_run_s,
        )
