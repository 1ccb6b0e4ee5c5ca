"""Settings from the environment: shared ones as PLUMBLINE_*, a service's own as <SERVICE>_*."""

import sys
from pathlib import Path
from typing import TypeVar

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings

Settings = TypeVar("Settings", bound="ServiceSettings")


class ServiceSettings(BaseSettings):
    """Subclasses set `env_prefix` and their own fields; `port` is read with that prefix."""

    host: str = Field(default="127.0.0.1", validation_alias="PLUMBLINE_HOST", description="Address to listen on.")
    port: int = Field(ge=0, le=65535, description="Port to listen on.")
    token: SecretStr | None = Field(
        default=None,
        validation_alias="PLUMBLINE_TOKEN",
        description="Bearer token that every request must carry; also sent to other services.",
    )
    log_level: str = Field(default="info", validation_alias="PLUMBLINE_LOG_LEVEL")
    max_request_bytes: int = Field(
        default=64 * 2**20, gt=0, validation_alias="PLUMBLINE_MAX_REQUEST_BYTES", description="Larger ones are refused."
    )
    artifacts_dir: Path = Field(
        default=Path("var/artifacts"), validation_alias="PLUMBLINE_ARTIFACTS_DIR", description="The artifact store."
    )


def load(settings: type[Settings]) -> Settings:
    """Read the environment; on a fault, say which variable is wrong and end the process with status 2."""
    try:
        return settings()
    except ValidationError as error:
        for fault in error.errors():
            field = str(fault["loc"][0]) if fault["loc"] else ""
            # A field with an alias is reported by its variable, the others by their field name.
            variable = settings.model_config["env_prefix"] + field.upper() if field in settings.model_fields else field
            # A rule about several settings stands at no field, and names them in its message.
            print(f"setting {variable}: {fault['msg']}" if field else f"settings: {fault['msg']}", file=sys.stderr)
        sys.exit(2)
