"""Rival (a), the textbook Keras recipe in plain torch: a dense head on a frozen trunk.

The trunk runs on each batch of each epoch, and each epoch ends with validation on the test
pictures. Dense 1024 with ReLU, RMSprop as Keras has it (rate 1e-3, rho 0.9), batch 32, 10 epochs.
Expected on 400 + 400 Fashion-MNIST pictures: accuracy about 0.82.
Command: ``python -m benchmarks.rivals.dense_head DATA``.
"""

import sys
import time

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader

from benchmarks.rivals import common

HIDDEN = 1024
EPOCHS = 10
LEARNING_RATE = 1e-3

Batches = DataLoader[tuple[Tensor, Tensor]]


def build(num_classes: int) -> tuple[nn.Module, nn.Sequential]:
    """The frozen trunk, (B, 3, H, W) to (B, 1280), and the new head, (B, 1280) to (B, K)."""
    trunk = common.pretrained_lite0()
    features = trunk.num_features
    trunk.reset_classifier(0)
    trunk.eval().requires_grad_(requires_grad=False)
    head = nn.Sequential(nn.Linear(features, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, num_classes))
    return trunk, head


def train_epoch(
    trunk: nn.Module, head: nn.Module, batches: Batches, optimizer: torch.optim.Optimizer
) -> None:
    """One pass over the training pictures, the trunk without gradients."""
    for images, labels in batches:
        with torch.no_grad():
            features = trunk(images)
        loss = functional.cross_entropy(head(features), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


@torch.no_grad()
def validate(trunk: nn.Module, head: nn.Module, batches: Batches) -> float:
    """Accuracy on the test pictures."""
    scored = [(head(trunk(images)), labels) for images, labels in batches]
    return common.accuracy(torch.cat([s for s, _ in scored]), torch.cat([y for _, y in scored]))


def main() -> None:
    """Train, validate each epoch, print the last accuracy."""
    options = common.parse_options("Rival (a): dense head on a frozen EfficientNet-Lite0.")
    started = time.perf_counter()
    torch.manual_seed(options.seed)
    train, test = (common.pictures(options.data / split) for split in ("train", "test"))
    trunk, head = build(len(train.classes))
    optimizer = torch.optim.RMSprop(head.parameters(), lr=LEARNING_RATE, alpha=0.9, eps=1e-7)
    train_batches: Batches = DataLoader(train, common.BATCH_SIZE, shuffle=True, num_workers=options.workers)
    test_batches: Batches = DataLoader(test, common.BATCH_SIZE, num_workers=options.workers)
    accuracy = 0.0
    for epoch in range(EPOCHS):
        train_epoch(trunk, head, train_batches, optimizer)
        accuracy = validate(trunk, head, test_batches)
        print(f"epoch {epoch + 1}: accuracy {accuracy:.4f}", file=sys.stderr)
    common.print_result(accuracy, time.perf_counter() - started)


if __name__ == "__main__":
    main()
