"""What an operator can set, from environment variables."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class Settings(BaseSettings):
    """The service's settings; each field's variable is its name in capitals. The README has the same table."""

    model_config = SettingsConfigDict(env_ignore_empty=True)

    port: int = Field(default=3000, ge=1, le=65535, description="Port that the service listens on.")
    workers: int = Field(default=1, ge=1, le=64, description="Worker processes; one uses about one core.")
    allowed_origins: Annotated[list[str], NoDecode] = Field(
        default=["*"], description="Browser origins that may call the service, separated by commas."
    )
    api_key: Annotated[list[str], NoDecode] = Field(
        default=[], description="Keys, separated by commas, of which a prediction request must carry one; none: open."
    )
    metrics_token: str = Field(default="", description="Token that /metrics asks for; none: open.")
    model_tag: str = Field(default="hand_gesture:latest", description="Model in the BentoML store that answers.")
    max_batch_size: int = Field(default=128, ge=2, le=4096, description="Most hands in one model call of /predict.")
    max_batch_wait_ms: int = Field(
        default=1000, ge=10, le=60_000, description="Longest that a request may wait for its batch, in milliseconds."
    )
    max_hands: int = Field(default=1024, ge=1, le=100_000, description="Most hands in one /predict_batch request.")
    max_body_bytes: int = Field(default=2_000_000, ge=1000, description="Largest body of /predict_batch, in bytes.")
    max_in_flight: int = Field(default=512, ge=1, description="Most prediction requests at once in one worker.")
    request_timeout_seconds: float = Field(default=2.0, gt=0, le=60, description="Longest that a request may take.")

    @field_validator("allowed_origins", "api_key", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def load_settings() -> Settings:
    """Read the environment.

    Raises:
        SystemExit: a variable has a value that does not fit; the message says which and why.
    """
    try:
        return Settings()
    except ValidationError as error:
        problems = "; ".join(f"{str(e['loc'][0]).upper()}={e['input']}: {e['msg']}" for e in error.errors())
        raise SystemExit(f"These environment variables do not fit: {problems}.") from None
