"""Rival (b), Hugging Face Trainer: every weight of EfficientNet-Lite0 trained, 3 epochs.

AdamW and linear decay, both the Trainer's defaults, rate 1e-3, batch 32, one evaluation at the
end. Expected on 400 + 400 Fashion-MNIST pictures: accuracy about 0.85 (0.8500 with seed 0; a rate
of 5e-4 gave 0.8125, which would be too easy a rival).
Command: ``python -m benchmarks.rivals.hf_trainer DATA``.
"""

import sys
import tempfile
import time
from contextlib import redirect_stdout

import torch

from benchmarks.rivals import common

# isort: split
from transformers import EvalPrediction, Trainer, TrainingArguments

EPOCHS = 3
LEARNING_RATE = 1e-3


def compute_metrics(scored: EvalPrediction) -> dict[str, float]:
    """Accuracy on the evaluation pictures."""
    logits, labels = torch.as_tensor(scored.predictions), torch.as_tensor(scored.label_ids)
    return {"accuracy": common.accuracy(logits, labels)}


def training_arguments(folder: str, seed: int, workers: int) -> TrainingArguments:
    """The recipe; no checkpoints, no reporting."""
    return TrainingArguments(
        output_dir=folder,
        num_train_epochs=EPOCHS,
        learning_rate=LEARNING_RATE,
        per_device_train_batch_size=common.BATCH_SIZE,
        per_device_eval_batch_size=common.BATCH_SIZE,
        save_strategy="no",
        report_to="none",
        seed=seed,
        dataloader_num_workers=workers,
        use_cpu=True,
    )


def main() -> None:
    """Train, evaluate once, print the accuracy."""
    options = common.parse_options("Rival (b): HF Trainer, everything trained.")
    started = time.perf_counter()
    torch.manual_seed(options.seed)
    train, test = (common.pictures(options.data / split) for split in ("train", "test"))
    # The Trainer prints its progress on standard output, which is for the result alone.
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(sys.stderr):
        trainer = Trainer(
            model=common.Classifier(len(train.classes)),
            args=training_arguments(folder, options.seed, options.workers),
            data_collator=common.collate,
            train_dataset=train,
            eval_dataset=test,
            compute_metrics=compute_metrics,
        )
        trainer.train()
        accuracy = trainer.evaluate()["eval_accuracy"]
    common.print_result(accuracy, time.perf_counter() - started)


if __name__ == "__main__":
    main()
