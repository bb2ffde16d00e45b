"""What the rivals share: a model that gives a loss, the examples as it takes them, the JSON line."""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from benchmarks.rivals import common as pictures
from benchmarks.text_rivals import common as texts

# isort: split
from transformers import AutoModelForSequenceClassification, AutoTokenizer

LEARNING_RATE = 1e-4
BATCH_SIZE = {"lite0": 32, "minilm": 16}


@dataclass(frozen=True)
class Course:
    """A model with the examples it trains and is validated on, and what makes a batch of some."""

    model: Any
    train: "Dataset[Any]"
    val: "Dataset[Any]"
    collate: Callable[[Sequence[Any]], dict[str, Tensor]]
    batch_size: int


@dataclass
class Clock:
    """The seconds of each epoch, validation included."""

    began_s: float = field(default_factory=time.perf_counter)
    epochs_s: list[float] = field(default_factory=list)

    def ring(self) -> None:
        """Say that an epoch is over."""
        now_s = time.perf_counter()
        self.epochs_s.append(round(now_s - self.began_s, 3))
        self.began_s = now_s


def course(model: str, data: Path) -> Course:
    """The course on ``data`` of EfficientNet-Lite0 or of MiniLM."""
    return {"lite0": _of_pictures, "minilm": _of_texts}[model](data)


def parse_options(description: str) -> argparse.Namespace:
    """The command line of a rival."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("model", choices=sorted(BATCH_SIZE))
    parser.add_argument("data", type=Path)
    parser.add_argument("--epochs", type=int, default=4)
    return parser.parse_args()


def print_result(clock: Clock) -> None:
    """The one JSON line of a rival."""
    print(json.dumps({"epochs_s": clock.epochs_s}))


def _of_pictures(data: Path) -> Course:
    train, val = (pictures.pictures(data / split) for split in ("train", "val"))

    model = pictures.Classifier(len(train.classes))
    return Course(model, train, val, pictures.collate, BATCH_SIZE["lite0"])


def _of_texts(data: Path) -> Course:
    train, val, names = texts.read(data, ("train", "val"))
    tokenizer = AutoTokenizer.from_pretrained(texts.weights())

    def encoded(part: texts.Texts) -> Any:
        tokens = tokenizer(
            part.texts, truncation=True, max_length=128, padding="longest", return_tensors="pt"
        )
        return [
            {"input_ids": ids, "attention_mask": mask, "labels": label}
            for ids, mask, label in zip(
                tokens["input_ids"], tokens["attention_mask"], part.labels, strict=True
            )
        ]

    def collate(examples: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        batch = {
            name: torch.stack([one[name] for one in examples]) for name in ("input_ids", "attention_mask")
        }
        return {**batch, "labels": torch.tensor([one["labels"] for one in examples])}

    model = AutoModelForSequenceClassification.from_pretrained(texts.weights(), num_labels=len(names))
    return Course(model, encoded(train), encoded(val), collate, BATCH_SIZE["minilm"])
