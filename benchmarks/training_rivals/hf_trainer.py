"""Rival (b): the HF Trainer. Command: ``python -m benchmarks.training_rivals.hf_trainer MODEL DATA``."""

import sys
import tempfile
from contextlib import redirect_stdout
from typing import Any

from benchmarks.training_rivals import common

# isort: split
from transformers import Trainer, TrainerCallback, TrainingArguments


class Epochs(TrainerCallback):
    """Rings the clock after each evaluation."""

    def __init__(self, clock: common.Clock) -> None:
        self.clock = clock

    def on_evaluate(self, *told: Any, **more: Any) -> None:
        """The epoch is over."""
        self.clock.ring()


def main() -> None:
    """Train all weights for some epochs with AdamW; print the seconds of each."""
    options = common.parse_options("Rival (b): the HF Trainer.")
    course, clock = common.course(options.model, options.data), common.Clock()
    # The Trainer prints its progress on standard output, which is for the result alone.
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(sys.stderr):
        trainer = Trainer(
            model=course.model,
            args=TrainingArguments(
                output_dir=folder,
                num_train_epochs=options.epochs,
                learning_rate=common.LEARNING_RATE,
                per_device_train_batch_size=course.batch_size,
                per_device_eval_batch_size=course.batch_size,
                eval_strategy="epoch",
                save_strategy="no",
                report_to="none",
                use_cpu=True,
            ),
            data_collator=course.collate,
            train_dataset=course.train,
            eval_dataset=course.val,
            callbacks=[Epochs(clock)],
        )
        trainer.train()
    common.print_result(clock)


if __name__ == "__main__":
    main()
