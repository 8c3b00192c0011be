"""The document at /reference_hands.json: the served model and typical hands of its gestures."""

from __future__ import annotations

from pydantic import BaseModel, Field

from hand_gesture.model.artifacts import Artifacts, ReferenceHands

_Hand = list[list[float]]


class ServedModel(BaseModel):
    """The served model."""

    name: str = Field(description="Name in the BentoML model store.")
    version: str = Field(description="Version in the store; the same as in the metric hand_gesture_model_info.")
    kind: str = Field(description="Class of the classifier, such as MLPClassifier, SVC or RandomForestClassifier.")
    features: str = Field(description="Name of the features that it was trained on.")
    bundled: bool = Field(description="Whether it is the model that is part of the project.")


class ReferenceDocument(BaseModel):
    """The served model's gestures; a hand is 21 [x, y, z], in 0..1 of a frame of image_size pixels."""

    image_size: tuple[int, int] = Field(description="Width and height of the hands' frame in pixels.")
    hands: dict[str, _Hand] = Field(description="A typical hand of each gesture for which there is one.")
    other_side: dict[str, _Hand] = Field(description="The same for the other hand (left or right), where there is one.")
    gestures: list[str] = Field(description="All gestures of the model except none.")
    commands: dict[str, str] = Field(description="The game's command for each gesture that has one.")
    model: ServedModel


def reference_document(
    artifacts: Artifacts, reference: ReferenceHands, *, name: str, bundled: bool
) -> ReferenceDocument:
    """Describe a loaded model.

    Args:
        artifacts: the model.
        reference: typical hands, also of gestures that the model does not have.
        name: of the model in the BentoML store.
        bundled: whether the model is part of the project.
    """
    classifier = artifacts.classifier
    return ReferenceDocument(
        image_size=reference.image_size,
        hands={gesture: reference.hands[gesture] for gesture in classifier.gestures if gesture in reference.hands},
        other_side={
            gesture: reference.other_side[gesture] for gesture in classifier.gestures if gesture in reference.other_side
        },
        gestures=list(classifier.gestures),
        commands=classifier.commands,
        model=ServedModel(
            name=name,
            version=artifacts.version,
            kind=classifier.kind,
            features=classifier.features.name,
            bundled=bundled,
        ),
    )
