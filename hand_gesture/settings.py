"""The service's settings, from environment variables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import bentoml
from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

_SECRETS: Final = Path("/run/secrets")


class Settings(BaseSettings):
    """Each field is read from the environment variable of its name in capitals; docs/reference.md has the same table.

    If there is no variable, a Docker secret of the field's name is used, such as ``/run/secrets/api_key``.
    """

    model_config = SettingsConfigDict(
        env_ignore_empty=True,
        str_strip_whitespace=True,
        secrets_dir=_SECRETS if _SECRETS.is_dir() else None,
    )

    port: int = Field(default=3000, ge=1, le=65535, description="Port that the service listens on.")
    workers: int = Field(default=1, ge=1, le=64, description="Worker processes; one uses about one core.")
    allowed_origins: Annotated[list[str], NoDecode] = Field(
        default=["*"], description="Browser origins that may call the service, separated by commas."
    )
    api_key: Annotated[list[str], NoDecode] = Field(
        default=[], description="Accepted API keys, separated by commas; none: no key required."
    )
    metrics_token: str = Field(default="", description="Bearer token for /metrics; none: no token required.")
    model_tag: str | None = Field(
        default=None, description="Model to serve, from the BentoML store; none: the Bento's, or the latest."
    )
    min_confidence: float | None = Field(
        default=None, ge=0, le=1, description="Minimum probability of a gesture; none: the model's own threshold."
    )
    max_batch_size: int = Field(default=128, ge=2, le=4096, description="Maximum hands in one model call of /predict.")
    max_batch_wait_ms: int = Field(
        default=1000, ge=10, le=60_000, description="Maximum time in the batch queue, in milliseconds."
    )
    max_hands: int = Field(default=1024, ge=1, le=100_000, description="Maximum hands in one /predict_batch.")
    max_body_bytes: int = Field(default=2_000_000, ge=1000, description="Maximum body of /predict_batch, in bytes.")
    max_in_flight: int = Field(default=2000, ge=1, description="Maximum queued requests and frames per worker.")
    request_timeout_seconds: float = Field(
        default=2.0, gt=0, le=60, description="Maximum time from a request's first byte to its response."
    )
    keep_alive_seconds: float = Field(
        default=75.0,
        ge=1,
        le=3600,
        description="Keep-alive timeout of an idle connection; must exceed that of a proxy in front.",
    )
    max_streams: int = Field(default=1000, ge=1, le=100_000, description="Maximum open streams per worker.")
    stream_idle_seconds: float = Field(default=300.0, ge=1, le=86_400, description="Idle timeout of a stream.")

    @field_validator("allowed_origins", "api_key", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        parts = [part.strip() for part in value.split(",") if part.strip()]
        if not parts and value.strip():  # fail closed: "," may be a template whose keys are not set
            raise ValueError("there is nothing between the commas")
        return parts

    @field_validator("allowed_origins")
    @classmethod
    def _normalize_origins(cls, origins: list[str]) -> list[str]:
        return [origin if origin in ("*", "null") else _origin_of(origin) for origin in origins]

    @field_validator("model_tag")
    @classmethod
    def _is_tag(cls, tag: str | None) -> str | None:
        try:
            if tag is not None:
                bentoml.Tag.from_str(tag)
        except bentoml.exceptions.BentoMLException as error:
            raise ValueError(str(error)) from None
        return tag


def _origin_of(address: str) -> str:
    """Serialize the origin of a URL as browsers do (RFC 6454, https://www.rfc-editor.org/rfc/rfc6454#section-6.2).

    Raises:
        ValueError: the URL has no origin.
    """
    message = f"{address} is not an origin such as https://game.example; list origins, or use * for all"
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
        host = host if host.isascii() else host.encode("idna").decode()
        port = parts.port
    except ValueError:
        raise ValueError(message) from None
    if not parts.scheme or not host or "@" in parts.netloc or not set(host).isdisjoint(" *%,;'\"\\"):
        raise ValueError(message)
    host = f"[{host}]" if ":" in host else host
    is_default_port = port is None or (parts.scheme, port) in (("http", 80), ("https", 443))
    return f"{parts.scheme}://{host}" if is_default_port else f"{parts.scheme}://{host}:{port}"


def load_settings() -> Settings:
    """Read the settings from the environment.

    Raises:
        SystemExit: a variable is invalid; the message names it and says why.
    """
    try:
        return Settings()
    except ValidationError as error:
        problems = "; ".join(f"{str(e['loc'][0]).upper()}={e['input']}: {e['msg']}" for e in error.errors())
        raise SystemExit(f"Invalid environment variables: {problems}.") from None
