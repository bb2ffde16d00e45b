"""Rival (b): Hugging Face Trainer, every weight trained, one epoch.

AdamW, rate 5e-5 and linear decay: the Trainer's defaults; batches of 16, padded to their longest.
Command: ``python -m benchmarks.text_rivals.hf_trainer DATA``.
"""

import sys
import tempfile
from contextlib import redirect_stdout
from typing import Any

from benchmarks.text_rivals import common

# isort: split
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    set_seed,
)


def main() -> None:
    """Train, predict, print the accuracy."""
    options = common.parse_options("Rival (b): HF Trainer, everything trained for one epoch.")
    train, test, names = common.read(options.data)
    set_seed(options.seed)
    tokenizer = AutoTokenizer.from_pretrained(common.weights())

    def encoded(part: common.Texts) -> list[dict[str, Any]]:
        tokens = tokenizer(part.texts, truncation=True, max_length=options.max_length)["input_ids"]
        return [{"input_ids": ids, "labels": label} for ids, label in zip(tokens, part.labels, strict=True)]

    # The Trainer prints its progress on standard output, which is for the result alone.
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(sys.stderr):
        trainer = Trainer(
            model=AutoModelForSequenceClassification.from_pretrained(common.weights(), num_labels=len(names)),
            args=TrainingArguments(
                output_dir=folder,
                num_train_epochs=1,
                per_device_train_batch_size=16,
                per_device_eval_batch_size=32,
                save_strategy="no",
                report_to="none",
                seed=options.seed,
                use_cpu=True,
            ),
            data_collator=DataCollatorWithPadding(tokenizer),
            train_dataset=encoded(train),
        )
        trainer.train()
        predicted = trainer.predict(encoded(test)).predictions.argmax(axis=1).tolist()
    common.print_result(predicted, test)


if __name__ == "__main__":
    main()
