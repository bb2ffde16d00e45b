"""Confident learning against loops over the paper's definitions."""

import numpy as np

from headstart.maths import confident


def reference(p: np.ndarray, labels: np.ndarray) -> list[tuple[int, int]]:
    """Suspects as section 3 of the paper defines them, the surest first."""
    classes = p.shape[1]
    threshold = []
    for k in range(classes):
        own = [p[i, k] for i in range(len(labels)) if labels[i] == k]
        threshold.append(sum(own) / len(own) if own else 2.0)
    found = []
    for i in range(len(labels)):
        reached = [k for k in range(classes) if p[i, k] >= threshold[k]]
        if not reached:
            continue
        best = max(reached, key=lambda k: (p[i, k], -k))
        if best != labels[i] and p[i, best] > p[i, labels[i]]:
            found.append((i, best, p[i, best] - p[i, labels[i]]))
    return [(i, k) for i, k, _ in sorted(found, key=lambda one: -one[2])]


def test_suspects_are_those_of_the_definition() -> None:
    generator = np.random.default_rng(0)
    for classes in (2, 3, 7):
        p = generator.dirichlet(np.full(classes, 0.4), 300)
        labels = np.array([generator.choice(classes, p=row) for row in p])
        labels[labels == classes - 1] = 0  # a class that nobody is labelled with
        places, likely = confident.suspected(p, labels)
        assert list(zip(places.tolist(), likely.tolist(), strict=True)) == reference(p, labels)


def test_flipped_labels_are_found_and_a_weak_class_is_not_accused() -> None:
    generator = np.random.default_rng(1)
    truth = generator.integers(0, 3, 600)
    # The third class is known with little confidence: its own threshold is low, and so nobody is accused.
    p = np.full((600, 3), 0.05)
    p[np.arange(600), truth] = np.where(truth == 2, 0.4, 0.9)
    p += generator.uniform(0, 0.02, p.shape)
    p /= p.sum(axis=1, keepdims=True)
    labels = truth.copy()
    flipped = generator.choice(600, 30, replace=False)
    labels[flipped] = (labels[flipped] + 1) % 3
    places, likely = confident.suspected(p, labels)
    assert set(places.tolist()) == set(flipped.tolist())
    assert (likely == truth[places]).all()
    assert [len(found) for found in confident.suspected(p, truth)] == [0, 0]
