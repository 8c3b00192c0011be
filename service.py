"""The BentoML service: routes, limits and the model, wired together from hand_gesture/.

A request travels from its connection to a PredictionRequest (deadline, decoding), the batch queue, an API method below
and the model; its answer goes back through the PredictionRequest. The README has a diagram.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
from pathlib import Path
from typing import Any, Final, cast

import bentoml
import numpy as np
from numpy.typing import NDArray

from hand_gesture.bento.http_connection import install_http_protocol
from hand_gesture.bento.reloading import ModelReloader
from hand_gesture.bento.supervision import install_supervisor, stop_service
from hand_gesture.bento.timeouts import exempt_posts
from hand_gesture.landmarks import parse_hand
from hand_gesture.memory import freeze_heap
from hand_gesture.model.artifacts import (
    BUNDLED,
    MODEL_FILE,
    ORIGIN,
    ArtifactsError,
    load_artifacts,
    load_reference_hands,
)
from hand_gesture.model.classifier import NONE, Prediction
from hand_gesture.model.execution import Execution, use_one_thread
from hand_gesture.model.store import default_tag, find_model
from hand_gesture.model.taught import load_teacher
from hand_gesture.settings import load_settings
from hand_gesture.telemetry.logs import use_json_logs
from hand_gesture.telemetry.measured_model import MeasuredModel
from hand_gesture.telemetry.metrics import ProcessTreeSampler, get_metrics, make_lost_workers_counter
from hand_gesture.web.access import describe_access
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
from hand_gesture.web.operator_routes import operator_app
from hand_gesture.web.pages import page_routes
from hand_gesture.web.reference import reference_document
from hand_gesture.web.teaching import Reports, Teaching

# A child of BentoML's logger, whose level and format it inherits
logger = logging.getLogger("bentoml.service.hand_gesture")

SAMPLE_SECONDS: Final = 5.0
MODEL_TAG: Final = "MODEL_TAG"
MEDIAPIPE: Final = Path(__file__).parent / "build" / "mediapipe"


def _reload_models(watcher: Any) -> None:
    ModelReloader(watcher, lambda: str(bentoml.models.get(REQUESTED_TAG).tag), MODEL_TAG).start()


use_json_logs()
SETTINGS: Final = load_settings()
install_supervisor(make_lost_workers_counter, _reload_models)
exempt_posts()  # from BentoML's request timeout
install_http_protocol(SETTINGS.keep_alive_seconds)

REQUESTED_TAG: Final = SETTINGS.model_tag or default_tag(Path(__file__).parent)
MODEL, MANIFEST = find_model(REQUESTED_TAG)
os.environ[MODEL_TAG] = str(MODEL.tag)  # inherited by the workers: one that restarts after an import serves the same
use_unit(MANIFEST.described_features.unit)
batched = functools.partial(
    bentoml.api, batchable=True, max_batch_size=SETTINGS.max_batch_size, max_latency_ms=SETTINGS.max_batch_wait_ms
)


def _current() -> HandGesture:
    service: HandGesture = bentoml.get_current_service()
    return service


@bentoml.service(
    name="hand_gesture",
    workers=SETTINGS.workers,
    http={"port": SETTINGS.port},
    # For GET requests; each prediction route has its own deadline, see timeouts.py
    traffic={"timeout": 5},
    # BentoML's request metrics have a series for each path that clients make up; ours are in metrics.py
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
    # Tracing takes time in each request, even without an exporter
    tracing={"excluded_urls": [".*"]},
)
@bentoml.asgi_app(
    operator_app(SETTINGS, MODEL, lambda: _current().reference, page_routes(MEDIAPIPE)),
    path="/",
)
class HandGesture:
    """Hand gestures from the 21 landmarks that MediaPipe finds."""

    model = bentoml.models.BentoModel(MODEL.tag)

    def __init__(self) -> None:
        """Load the model and warm it up."""
        folder, metrics = Path(MODEL.path), get_metrics()
        try:
            artifacts = load_artifacts(
                folder, expected_version=MODEL.tag.version, min_confidence=SETTINGS.min_confidence
            )
        except ArtifactsError as error:
            stop_service(str(error))
        classifier, reference = artifacts.classifier, load_reference_hands(folder)
        use_one_thread(classifier.model)
        sample = parse_hand(next(iter(reference.hands.values())))[np.newaxis]
        self._sampler = ProcessTreeSampler(metrics)
        self._model = MeasuredModel(Execution(classifier.predict, sample), metrics)
        metrics.declare_model(
            gestures=(*classifier.gestures, NONE),
            version=artifacts.version,
            digest=artifacts.manifest.sha256[MODEL_FILE],
            feature_contract=artifacts.manifest.feature_contract,
            kind=classifier.kind,
        )
        is_bundled = MODEL.info.labels.get(ORIGIN) == BUNDLED
        self.reference = reference_document(artifacts, reference, name=MODEL.tag.name, bundled=is_bundled)
        self.teaching = Teaching(classifier, functools.partial(load_teacher, folder), metrics)
        logger.info("serving model %s", MODEL.tag)
        logger.info("%s", describe_access(SETTINGS))
        freeze_heap()

    @bentoml.on_startup
    async def start_sampling(self) -> None:
        """Start measuring CPU and memory."""
        self._sampling = asyncio.create_task(self._sampler.sample_forever(SAMPLE_SECONDS))

    @batched(input_spec=HandRequest, output_spec=PredictionResponse)
    async def predict(self, hands: NDArray[np.float64]) -> list[Prediction]:
        """Classify one hand; concurrent requests share a model call."""
        return await self._model.predict(hands, "/predict")

    @bentoml.api(input_spec=HandsRequest, output_spec=PredictionsResponse)
    async def predict_batch(self, hands: NDArray[np.float64]) -> list[Prediction]:
        """Classify several hands of one frame or recording."""
        return await self._model.predict_in_thread(hands, "/predict_batch")

    @batched(route="/predict/command", input_spec=HandRequest, output_spec=CommandResponse)
    async def predict_command(self, hands: NDArray[np.float64]) -> list[dict[str, str | None]]:
        """Classify one hand and return only the game's command."""
        predictions = await self._model.predict(hands, "/predict/command")
        return [{"gesture": prediction.command} for prediction in predictions]

    @bentoml.api(input_spec=GesturesRequest, output_spec=GesturesResponse)
    async def gestures(self, body: bytes) -> dict[str, Reports]:
        """Report how well custom gestures can be recognized."""
        return await self.teaching.report(body)


_service = cast("bentoml.Service[HandGesture]", HandGesture)  # the decorator has replaced the class
_service.add_asgi_middleware(PredictionGateway, settings=SETTINGS, teaching=lambda: _current().teaching)
