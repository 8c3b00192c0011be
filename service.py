"""The BentoML service: what serves, on which routes, within which limits. The work is done in hand_gesture/.

A request's way: connection -> exchange (limits, decoding) -> batch queue -> API method -> classifier -> exchange; by
ASGI through the gateway where it is not plain. The README has a picture.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import os
from pathlib import Path
from typing import Any, Final, cast

import bentoml
import numpy as np
from numpy.typing import NDArray

from hand_gesture.bento.http_connection import use_direct_connections
from hand_gesture.bento.reloading import ModelFollower
from hand_gesture.bento.supervision import use_reliable_supervisor
from hand_gesture.bento.timeouts import leave_predictions_to_the_gateway
from hand_gesture.landmarks import parse_hand
from hand_gesture.model.artifacts import (
    BUNDLED,
    MODEL_FILE,
    ORIGIN,
    ArtifactsError,
    load_artifacts,
    load_reference_hands,
    verify_artifacts,
)
from hand_gesture.model.classifier import NONE, Prediction
from hand_gesture.model.execution import Execution, use_one_thread
from hand_gesture.model.taught import load_teacher
from hand_gesture.settings import load_settings
from hand_gesture.telemetry.logs import use_json_logs
from hand_gesture.telemetry.metrics import ProcessTreeSampler, get_metrics, make_lost_workers_counter
from hand_gesture.web.asyncapi import asyncapi_document
from hand_gesture.web.contract import (
    CommandResponse,
    GesturesRequest,
    GesturesResponse,
    HandRequest,
    HandsRequest,
    PredictionResponse,
    PredictionsResponse,
)
from hand_gesture.web.decoding import use_unit
from hand_gesture.web.gateway import PredictionGateway
from hand_gesture.web.openapi import openapi_document
from hand_gesture.web.operation import operation_app
from hand_gesture.web.pages import page_routes
from hand_gesture.web.reference import reference_document
from hand_gesture.web.teaching import Reports, Teaching

# BentoML shows what its own loggers say
logger = logging.getLogger("bentoml.service.hand_gesture")

SAMPLE_SECONDS: Final = 5.0
_MODEL_TAG: Final = "MODEL_TAG"
use_json_logs()
SETTINGS: Final = load_settings()


def _follow_model(watcher: Any) -> None:
    ModelFollower(watcher, lambda: str(bentoml.models.get(SETTINGS.model_tag).tag), _MODEL_TAG).start()


use_reliable_supervisor(make_lost_workers_counter, _follow_model)
leave_predictions_to_the_gateway()
use_direct_connections(SETTINGS.keep_alive_seconds)


def _stored_model() -> bentoml.Model:
    """The model to serve, checked here so that what is wrong ends `bentoml serve` and not one worker after another."""
    try:
        stored = bentoml.models.get(SETTINGS.model_tag)
        manifest, _ = verify_artifacts(Path(stored.path), expected_version=stored.tag.version)
        use_unit(manifest.described_features.unit)
    except bentoml.exceptions.NotFound:
        raise SystemExit(
            f"There is no model {SETTINGS.model_tag} in the BentoML model store; "
            "run `.venv/bin/python import_model.py` first."
        ) from None
    except ArtifactsError as error:
        raise SystemExit(str(error)) from None
    # Workers inherit this: one that starts later answers with the same model, whatever has been imported meanwhile
    os.environ[_MODEL_TAG] = str(stored.tag)
    return stored


MODEL: Final = _stored_model()


def _openapi_document() -> dict[str, Any]:
    reference = load_reference_hands(Path(MODEL.path))
    example = {"landmarks": next(iter(reference.hands.values())), "image_size": reference.image_size}
    return openapi_document(SETTINGS, version=str(MODEL.tag.version), example=example)


def _asyncapi_document() -> dict[str, Any]:
    return asyncapi_document(SETTINGS, version=str(MODEL.tag.version))


def _reference_hands() -> dict[str, Any]:
    service: HandGesture = bentoml.get_current_service()
    return service.reference.model_dump()


@bentoml.service(
    name="hand_gesture",
    workers=SETTINGS.workers,
    http={"port": SETTINGS.port},
    # For health checks and figures; predictions have a deadline of their own, see timeouts.py
    traffic={"timeout": 5},
    # BentoML's own request metrics are labelled with whatever path a client sends; see metrics.py for ours.
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
    # Tracing costs a third of the throughput, exporter or not.
    tracing={"excluded_urls": [".*"]},
)
@bentoml.asgi_app(
    operation_app(
        {
            "/docs.json": _openapi_document,
            "/asyncapi.json": _asyncapi_document,
            "/reference_hands.json": _reference_hands,
        },
        page_routes(Path(__file__).parent / "build" / "mediapipe"),
        SETTINGS.metrics_token,
    ),
    path="/",
)
class HandGesture:
    """Hand gestures from the 21 landmarks that MediaPipe finds."""

    model = bentoml.models.BentoModel(MODEL.tag)

    def __init__(self) -> None:
        """Load the model, have it answer once, and get out of the garbage collector's way."""
        artifacts = load_artifacts(
            Path(MODEL.path), expected_version=MODEL.tag.version, min_confidence=SETTINGS.min_confidence
        )
        use_one_thread(artifacts.classifier.model)
        reference = load_reference_hands(Path(MODEL.path))
        a_hand = parse_hand(next(iter(reference.hands.values())))
        self._execution = Execution(artifacts.classifier.predict, sample=a_hand[np.newaxis])
        self._metrics = get_metrics()
        self._metrics.declare_model(
            gestures=(*artifacts.classifier.gestures, NONE),
            version=artifacts.version,
            digest=artifacts.manifest.sha256[MODEL_FILE],
            feature_contract=artifacts.manifest.feature_contract,
            kind=artifacts.classifier.kind,
        )
        self.reference = reference_document(
            artifacts,
            reference,
            name=MODEL.tag.name,
            bundled=MODEL.info.labels.get(ORIGIN) == BUNDLED,
        )
        self.teaching = Teaching(artifacts.classifier, functools.partial(load_teacher, Path(MODEL.path)), self._metrics)
        logger.info("model %s answers", MODEL.tag)
        logger.info(
            "predictions are %s, /metrics is %s",
            "for holders of a key" if SETTINGS.api_key else "open to everyone (API_KEY is not set)",
            "for holders of the token" if SETTINGS.metrics_token else "open to everyone (METRICS_TOKEN is not set)",
        )
        # What is alive now lives as long as the process: without these two, each full collection walks through all
        # of it and holds up the requests in flight for 50 ms.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 50, 50)

    @bentoml.on_startup
    async def start_sampling(self) -> None:
        """Measure CPU and memory from now on."""
        self._sampling = asyncio.create_task(ProcessTreeSampler(self._metrics).sample_forever(SAMPLE_SECONDS))

    @bentoml.api(
        batchable=True,
        max_batch_size=SETTINGS.max_batch_size,
        max_latency_ms=SETTINGS.max_batch_wait_ms,
        input_spec=HandRequest,
        output_spec=PredictionResponse,
    )
    async def predict(self, hands: NDArray[np.float64]) -> list[Prediction]:
        """Classify one hand; requests in flight together share a model call."""
        return await self._classify(hands, "/predict")

    @bentoml.api(input_spec=HandsRequest, output_spec=PredictionsResponse)
    async def predict_batch(self, hands: NDArray[np.float64]) -> list[Prediction]:
        """Classify several hands of one camera: those of a frame, or a recording."""
        return await asyncio.to_thread(self._classify_batch, hands)

    @bentoml.api(
        route="/predict/command",
        batchable=True,
        max_batch_size=SETTINGS.max_batch_size,
        max_latency_ms=SETTINGS.max_batch_wait_ms,
        input_spec=HandRequest,
        output_spec=CommandResponse,
    )
    async def predict_command(self, hands: NDArray[np.float64]) -> list[dict[str, str | None]]:
        """Classify one hand and get only the game's command."""
        predictions = await self._classify(hands, "/predict/command")
        return [{"gesture": prediction.command} for prediction in predictions]

    @bentoml.api(input_spec=GesturesRequest, output_spec=GesturesResponse)
    async def gestures(self, body: bytes) -> dict[str, Reports]:
        """Learn how well gestures of one's own can be told apart."""
        return await self.teaching.report(body)

    async def _classify(self, hands: NDArray[np.float64], route: str) -> list[Prediction]:
        call = await self._execution.call(hands)
        loop = asyncio.get_running_loop()
        # Two turns later, when the answers have been sent: otherwise a lone stream's come a sixth later
        loop.call_soon(loop.call_soon, self._metrics.count_model_call, route, call.predictions, call.seconds)
        return call.predictions

    def _classify_batch(self, hands: NDArray[np.float64]) -> list[Prediction]:
        call = self._execution.call_here(hands)
        self._metrics.count_model_call("/predict_batch", call.predictions, call.seconds)
        return call.predictions


def _teaching() -> Teaching:
    service: HandGesture = bentoml.get_current_service()
    return service.teaching


def _add_gateway(service: bentoml.Service[HandGesture]) -> None:
    service.add_asgi_middleware(PredictionGateway, settings=SETTINGS, teaching=_teaching)


_add_gateway(cast("bentoml.Service[HandGesture]", HandGesture))  # what the decorator made of the class
