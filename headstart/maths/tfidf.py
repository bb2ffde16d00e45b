"""Term frequency times inverse document frequency: texts as sparse rows of unit length.

    w(t, d) = (1 + ln tf(t, d)) * (1 + ln((1 + n) / (1 + df(t))))

Sublinear tf and smoothed idf as in Manning, Raghavan, Schuetze, "Introduction to Information
Retrieval" (2008), table 6.15. Shape letters: N texts, V terms.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import sparse

_WORD = re.compile(r"\w\w+")
MAX_TERMS = 30_000


def words(text: str) -> list[str]:
    """Return the words of two letters or more, in lower case."""
    return _WORD.findall(text.lower())


def learn(texts: Iterable[str]) -> dict[str, Any]:
    """Return the terms that stand in two texts or more, the commonest 30,000, with their idf."""
    document_counts: Counter[str] = Counter()
    num_texts = 0
    for text in texts:
        document_counts.update(set(words(text)))
        num_texts += 1
    common = sorted(document_counts.items(), key=lambda one: (-one[1], one[0]))[:MAX_TERMS]
    kept = [one for one in common if one[1] > 1] or common
    idf = [round(float(1 + np.log((1 + num_texts) / (1 + count))), 6) for _, count in kept]
    return {"terms": [term for term, _ in kept], "idf": idf}


def matrix(learnt: Mapping[str, Any], texts: Sequence[str]) -> sparse.csr_array:
    """Return tf-idf rows of unit length, float32 [N, V]; a text without known terms is a row of zeros."""
    places = {term: place for place, term in enumerate(learnt["terms"])}
    idf_V = np.asarray(learnt["idf"], dtype=np.float32)
    data: list[float] = []
    indices: list[int] = []
    starts = [0]
    for text in texts:
        counts = Counter(places[word] for word in words(text) if word in places)
        indices += counts.keys()
        data += (1 + np.log(count) for count in counts.values())
        starts.append(len(indices))
    rows = sparse.csr_array(
        (np.asarray(data, np.float32), np.asarray(indices, np.int32), np.asarray(starts, np.int32)),
        shape=(len(texts), len(idf_V)),
    )
    rows.data *= idf_V[rows.indices]
    lengths_N = np.sqrt(rows.multiply(rows).sum(axis=1))
    rows.data /= np.repeat(np.maximum(lengths_N, 1e-12), np.diff(rows.indptr)).astype(np.float32)
    return rows
