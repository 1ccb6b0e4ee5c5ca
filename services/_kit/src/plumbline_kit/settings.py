"""Settings from the environment and from secret files: shared ones as PLUMBLINE_*, a service's own as <SERVICE>_*."""

import os
import re
import sys
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SecretsSettingsSource, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError

Settings = TypeVar("Settings", bound="EnvironmentSettings")
_SECRETS_DIR = "PLUMBLINE_SECRETS_DIR"
_BUCKET_URL = re.compile(r"s3://[a-z0-9][a-z0-9.-]+[a-z0-9](/[A-Za-z0-9_-][A-Za-z0-9._-]*)*/?")


class SecretFiles(SecretsSettingsSource):
    """Files named as the variables in lower case; an empty one sets nothing, as an empty variable."""

    def __init__(self, settings: type[BaseSettings]) -> None:
        given = os.environ.get(_SECRETS_DIR)
        folder = Path(given or "/run/secrets")
        if given and not folder.is_dir():
            raise SettingsError(f"setting {_SECRETS_DIR}: there is no folder {folder}")
        super().__init__(settings, secrets_dir=folder if folder.is_dir() else None)

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        value, key, is_complex = super().get_field_value(field, field_name)
        return value or None, key, is_complex


class EnvironmentSettings(BaseSettings):
    """Variables come before secret files."""

    model_config = SettingsConfigDict(env_ignore_empty=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, SecretFiles(settings_cls)


class StoreSettings(EnvironmentSettings):
    """Where artifacts are."""

    artifacts_dir: Path = Field(
        default=Path("var/artifacts"),
        validation_alias="PLUMBLINE_ARTIFACTS_DIR",
        description="Folder of the artifacts, shared by the services; with PLUMBLINE_ARTIFACTS_URL, a cache.",
    )
    artifacts_url: str | None = Field(
        default=None,
        validation_alias="PLUMBLINE_ARTIFACTS_URL",
        description="s3://BUCKET or s3://BUCKET/PREFIX: artifacts are kept there.",
    )
    s3_endpoint: str | None = Field(
        default=None,
        validation_alias="PLUMBLINE_S3_ENDPOINT",
        description="URL of the S3 server if it is not Amazon's.",
    )
    s3_region: str | None = Field(default=None, validation_alias="PLUMBLINE_S3_REGION")
    s3_access_key_id: SecretStr | None = Field(
        default=None,
        validation_alias="PLUMBLINE_S3_ACCESS_KEY_ID",
        description="If neither key is set: AWS_* variables, then the role of the machine or pod.",
    )
    s3_secret_access_key: SecretStr | None = Field(default=None, validation_alias="PLUMBLINE_S3_SECRET_ACCESS_KEY")

    @field_validator("artifacts_url")
    @classmethod
    def _is_a_bucket(cls, url: str | None) -> str | None:
        if url is not None and not _BUCKET_URL.fullmatch(url):
            raise ValueError("must be s3://BUCKET or s3://BUCKET/PREFIX, of letters, digits, - . and _")
        return url

    @field_validator("s3_endpoint")
    @classmethod
    def _is_http(cls, url: str | None) -> str | None:
        if url is not None and not re.match(r"https?://[^/]", url):
            raise ValueError("must begin with http:// or https://")
        return url

    @model_validator(mode="after")
    def _both_keys(self) -> Self:
        if (self.s3_access_key_id is None) != (self.s3_secret_access_key is None):
            raise ValueError("set both PLUMBLINE_S3_ACCESS_KEY_ID and PLUMBLINE_S3_SECRET_ACCESS_KEY, or neither")
        return self


class ServiceSettings(StoreSettings):
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
    grace_seconds: int = Field(
        default=10,
        ge=0,
        validation_alias="PLUMBLINE_GRACE_SECONDS",
        description="After SIGTERM, requests under way get this long to end.",
    )


def load(settings: type[Settings]) -> Settings:
    """Read environment and secret files; on a fault, say which variable is wrong and end the process with status 2."""
    try:
        return settings()
    except SettingsError as error:
        print(_unreadable(settings, error), file=sys.stderr)
    except ValidationError as error:
        for fault in error.errors():
            # A rule about several settings stands at no field, and names them in its message.
            place = f"setting {_variable(settings, str(fault['loc'][0]))}" if fault["loc"] else "settings"
            print(f"{place}: {fault['msg']}", file=sys.stderr)
    sys.exit(2)


def _variable(settings: type[EnvironmentSettings], field: str) -> str:
    """A field with an alias is reported by its variable, the others by their field name."""
    if (known := settings.model_fields.get(field)) is None:
        return field
    alias = known.validation_alias
    first = alias.choices[0] if isinstance(alias, AliasChoices) else alias
    return str(first or settings.model_config["env_prefix"] + field.upper())


def _unreadable(settings: type[EnvironmentSettings], error: SettingsError) -> str:
    """Of a value that is not JSON where it should be, or of a secret file that this user may not read."""
    field, cause = re.search(r'field "(\w+)"', str(error)), error.__cause__
    if field is None:
        return str(error)
    if isinstance(cause, OSError):
        reason = f"its secret file cannot be read: {cause.strerror}"
    else:
        reason = "its secret file is not UTF-8 text" if isinstance(cause, UnicodeError) else f"must be JSON: {cause}"
    return f"setting {_variable(settings, field[1])}: {reason}"
