"""An invented run, with everything a record may hold and names that try to break the page."""

import base64
import io
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from headstart.core.records import (
    Dropped,
    Evaluation,
    Exhibit,
    Fitted,
    Gallery,
    Matrix,
    Metric,
    Note,
    Reliability,
    Table,
    to_json,
)
from headstart.maths import classification
from headstart.maths.classifier_sums import verdicts

EVIL = "<img src=x onerror=alert(1)>"
CLASSES = ("animals", "clothing", "food-and-drink", "objects", "people", "places", "smileys", EVIL)


def picture(seed: int) -> str:
    """Return a small picture as a data URI."""
    colour = tuple(int(c) for c in np.random.default_rng(seed).integers(40, 220, 3))
    image = Image.new("RGBA", (112, 112), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    draw.ellipse((8 + 3 * seed, 10, 80 + 2 * seed, 100), fill=colour)
    draw.rectangle((40, 60 - 3 * seed, 100, 104), fill=colour[::-1])
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def probabilities(num_classes: int = 8, n: int = 105) -> tuple[Any, Any]:
    """Return invented predictions, about 84% right."""
    random = np.random.default_rng(7)
    targets = random.integers(0, num_classes, n)
    logits = random.normal(size=(n, num_classes)) * 1.3
    logits[np.arange(n), targets] += 3.4
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return shares, targets


def sections(num_classes: int = 8) -> tuple[Any, ...]:
    """Return one section of every kind."""
    shares, targets = probabilities(num_classes)
    bins = classification.reliability(verdicts(shares, targets))
    labels = CLASSES if num_classes == 8 else tuple(f"class {k}" for k in range(num_classes))
    counts = tuple(tuple(int(c) for c in row) for row in classification.confusion(verdicts(shares, targets)))
    exhibits = tuple(
        Exhibit(
            caption=f"{CLASSES[i % 8]} ({97 - 4 * i}%)",
            detail=f"is {CLASSES[(i + 3) % 8]} ({i + 1}%) · places/{i}.png",
            image=picture(i),
        )
        for i in range(8)
    )
    texts = (
        Exhibit(
            caption="sport (91%)",
            detail="is business (4%)",
            text="Shares in the club rose after\nthe final <b>whistle</b>.",
        ),
        Exhibit(
            caption="tech (88%)", detail="is politics (6%)", text="The minister unveiled a plan for fibre."
        ),
    )
    rows = tuple(
        (name, "13", "0.85 (0.62-1.00)", "0.79 (0.54-0.96)", "0.81 (0.60-0.95)") for name in labels[:8]
    )
    return (
        Gallery(
            title="Worst mistakes", note="17 of 105 were wrong; the surest mistakes first.", items=exhibits
        ),
        Matrix(title="Confusion matrix", note="", labels=labels, counts=counts),
        Reliability(
            title="Reliability",
            note="When the model says 80%, is it right 80% of the time? On the diagonal it is.",
            edges=bins.edges,
            confidence=bins.confidence,
            accuracy=bins.accuracy,
            counts=bins.counts,
        ),
        Table(
            title="Class by class",
            note="",
            header=("class", "pictures", "precision", "recall", "F1"),
            rows=rows,
        ),
        Gallery(title="Texts", note="", items=texts),
    )


def evaluation(num_classes: int = 8) -> dict[str, Any]:
    """Return ``evaluation.json``."""
    shares, targets = probabilities(num_classes)
    random = np.random.default_rng(1)
    majority = np.tile(
        np.linspace(0.21, 0.04, num_classes) / np.linspace(0.21, 0.04, num_classes).sum(), (105, 1)
    )
    weak = shares**0.25 + 0.35 * random.random(shares.shape)
    record = Evaluation(
        split="test",
        metrics=classification.scores(verdicts(shares, targets)),
        baselines={
            "majority": classification.scores(verdicts(majority, targets)),
            "pixels": classification.scores(verdicts(weak / weak.sum(1, keepdims=True), targets)),
        },
        looks=1,
        dropped=(Dropped(file=f"objects/{EVIL}.png", reason="the file ends in the middle of the picture"),),
        notes=(Note(what="turned upright as its EXIF tag says", count=3, examples=("places/a.jpg", EVIL)),),
        sections=sections(num_classes),
    )
    return dict(to_json(record))


def fitted() -> dict[str, Any]:
    """Return ``run.json``."""
    return dict(to_json(_fitted()))


def _fitted() -> Fitted:
    return Fitted(
        run="runs/emoji-efficientnet-lite0",
        task="image-classification",
        base="pack:efficientnet-lite0",
        strategy="head",
        classes=CLASSES,
        split={
            "made": "70/15/15 drawn from all pictures with seed 0, each class in proportion",
            "reported": "test",
            "train": 490,
            "val": 105,
            "test": 105,
        },
        objective=OBJECTIVE,
        engine={
            "name": "openvino",
            "rates": {"openvino": 150.2, "onnxruntime": 110.0, "torch": 43.1},
            "unit": "pictures/s",
            "why": "the fastest here that reproduces torch's output",
            "left_out": {"tensorrt": "not installed"},
        },
        metrics={"accuracy": Metric(value=0.84, low=0.77, high=0.9, n=105)},
        baselines={},
        dropped=(Dropped(file="people/empty.png", reason="the file is empty"),),
        notes=(Note(what="transparent pixels shown on white", count=412, examples=("animals/ox.png",)),),
        looks=1,
        seconds={"read": 0.42, "features": 5.31, "head": 2.07, "evaluate": 0.66, "total": 8.46},
        versions={"python": "3.11.2", "headstart": "0.1.0", "torch": "2.6.0", "openvino": "2025.0.0"},
        model={
            "architecture": "efficientnet-lite0",
            "licence": "Apache-2.0",
            "parameters_trained": 31240,
            "weights_digest": "9d3f5f0f4d1b7f4be5f2a7c6a1b2c3d4e5f60718293a4b5c6d7e8f9001122334",
        },
        spec={"data": "examples/emoji/fluent", "seed": 0},
        command="headstart fit examples/emoji/fluent --out runs/emoji-efficientnet-lite0",
        data_digest="5b1f6c2d9a7e4f30b1c2d3e4f5061728394a5b6c7d8e9f00112233445566778",
    )


OBJECTIVE = {
    "loss": "cross-entropy",
    "penalty": "l2",
    "lambda": 0.001,
    "layers": "deep",
    "features": 3904,
    "examples": 490,
    "parameters": 31240,
    "formula": "min over W, b of 1/N Σ −log p(yᵢ|xᵢ) + λ/2 ‖W‖²",
    "solver": "L-BFGS on standardised features",
    "chosen": [
        {"layers": "deep", "l2": 0.001, "log_loss": 0.56, "accuracy": 0.83},
        {"layers": "deep", "l2": 0.01, "log_loss": 0.58, "accuracy": 0.82},
        {"layers": "last", "l2": 0.01, "log_loss": 0.61, "accuracy": 0.8},
        {"layers": "all", "l2": 0.003, "log_loss": 0.6, "accuracy": 0.81},
    ],
}
