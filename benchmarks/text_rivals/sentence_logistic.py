"""Rival (a): Sentence-Transformers' vectors and scikit-learn's LogisticRegression, as its users do it.

All defaults but the length. Command: ``python -m benchmarks.text_rivals.sentence_logistic DATA``.
"""

from benchmarks.text_rivals import common

# isort: split
from sentence_transformers import SentenceTransformer
from sklearn.linear_model import LogisticRegression


def main() -> None:
    """Encode, fit, print the accuracy."""
    options = common.parse_options("Rival (a): Sentence-Transformers and logistic regression.")
    train, test, _ = common.read(options.data)
    encoder = SentenceTransformer(common.weights(), device="cpu")
    encoder.max_seq_length = options.max_length
    vectors = [encoder.encode(part.texts, show_progress_bar=False) for part in (train, test)]
    classifier = LogisticRegression(max_iter=1000, random_state=options.seed)
    classifier.fit(vectors[0], train.labels)
    common.print_result(classifier.predict(vectors[1]).tolist(), test)


if __name__ == "__main__":
    main()
