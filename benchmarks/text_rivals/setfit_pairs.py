"""Rival (c): SetFit, contrastive pairs and then logistic regression (arXiv 2209.11055).

The paper draws 20 pairs a text each way; on thousands of texts one is what two cores can bear.
Needs ``pip install setfit``. Command: ``python -m benchmarks.text_rivals.setfit_pairs DATA``.
"""

import sys
import tempfile
from contextlib import redirect_stdout

from benchmarks.text_rivals import common

# isort: split
from datasets import Dataset
from setfit import SetFitModel, Trainer, TrainingArguments

PAIRS_A_TEXT = 1


def main() -> None:
    """Train, predict, print the accuracy."""
    options = common.parse_options("Rival (c): SetFit.")
    train, test, _ = common.read(options.data)
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(sys.stderr):
        model = SetFitModel.from_pretrained(common.weights(), device="cpu")
        model.model_body.max_seq_length = options.max_length
        arguments = TrainingArguments(
            output_dir=folder, num_iterations=PAIRS_A_TEXT, num_epochs=1, seed=options.seed, report_to="none"
        )
        data = Dataset.from_dict({"text": train.texts, "label": train.labels})
        Trainer(model=model, args=arguments, train_dataset=data).train()
        predicted = [int(one) for one in model.predict(test.texts, as_numpy=True)]
    common.print_result(predicted, test)


if __name__ == "__main__":
    main()
