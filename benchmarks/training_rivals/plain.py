"""Rival (a): a plain loop in torch. Command: ``python -m benchmarks.training_rivals.plain MODEL DATA``."""

import torch
from torch.utils.data import DataLoader

from benchmarks.training_rivals import common


def main() -> None:
    """Train all weights for some epochs with AdamW; print the seconds of each."""
    options = common.parse_options("Rival (a): a plain loop in torch.")
    course = common.course(options.model, options.data)
    train, val = (
        DataLoader(part, course.batch_size, shuffle=shuffle, collate_fn=course.collate)
        for part, shuffle in ((course.train, True), (course.val, False))
    )
    optimizer = torch.optim.AdamW(course.model.parameters(), lr=common.LEARNING_RATE)
    clock = common.Clock()
    for _ in range(options.epochs):
        course.model.train()
        for batch in train:
            optimizer.zero_grad()
            course.model(**batch)["loss"].backward()
            optimizer.step()
        course.model.eval()
        with torch.inference_mode():
            sum(float(course.model(**batch)["loss"]) for batch in val)
        clock.ring()
    common.print_result(clock)


if __name__ == "__main__":
    main()
