"""Hashes of texts and pictures against slow references: all pairs, sets intersected, bits counted."""

import itertools
import random
from collections.abc import Iterable

import numpy as np
import pytest

from headstart.maths import minhash, perceptual
from headstart.maths.buckets import Joined, matches, pairs_of


def collected(parts: Iterable[np.ndarray]) -> set[tuple[int, int]]:
    return {(int(a), int(b)) for part in parts for a, b in part}


def triples(text: str) -> set[tuple[str, ...]]:
    words = text.lower().split()
    width = min(3, len(words))
    return (
        {tuple(words[place : place + width]) for place in range(len(words) - width + 1)} if words else set()
    )


def reference(one: str, other: str) -> float:
    a, b = triples(one), triples(other)
    return len(a & b) / len(a | b) if a and b else 0.0


def variants(count: int, words: int) -> list[str]:
    """Texts, and after each one the same with more and more words changed."""
    generator, found = random.Random(1), []
    for _ in range(count):
        text = [f"w{generator.randrange(500)}" for _ in range(words)]
        for changes in (0, 1, 2, 4, 8, 16, words // 2):
            spoilt = list(text)
            for place in generator.sample(range(words), changes):
                spoilt[place] = f"x{generator.randrange(500)}"
            found.append(" ".join(spoilt))
    return found


def test_jaccard_is_that_of_the_sets_of_word_triples() -> None:
    texts = [*variants(2, 40), "one", "one two", "one two three", "", "One, two: THREE!"]
    sketches = [minhash.sketch(minhash.shingles(minhash.words(text))) for text in texts]
    for (one, a), (other, b) in itertools.product(zip(texts, sketches, strict=True), repeat=2):
        plain = [text.replace(",", "").replace(":", "").replace("!", "") for text in (one, other)]
        assert minhash.jaccard(a, b) == pytest.approx(reference(*plain), abs=1e-12)


def test_of_long_texts_the_sketch_is_a_good_estimate() -> None:
    texts = variants(3, 900)
    for place in range(0, len(texts), 7):
        for other in texts[place + 1 : place + 7]:
            a, b = (minhash.sketch(minhash.shingles(minhash.words(text))) for text in (texts[place], other))
            assert len(a) == minhash.SKETCH * 4
            # The standard error of 256 draws is at most 0.031.
            assert minhash.jaccard(a, b) == pytest.approx(reference(texts[place], other), abs=0.1)


def test_signatures_agree_as_often_as_the_jaccard_index_says() -> None:
    texts = variants(30, 60)
    signatures = [minhash.signature(minhash.shingles(minhash.words(text))) for text in texts]
    errors = [
        float((signatures[a] == signatures[a + k]).mean()) - reference(texts[a], texts[a + k])
        for a in range(0, len(texts), 7)
        for k in range(1, 7)
    ]
    assert abs(np.mean(errors)) < 0.02
    assert np.std(errors) < 0.065  # sqrt(J (1 - J) / 64) is at most 0.0625


def test_texts_that_share_most_words_meet_and_others_do_not() -> None:
    texts = variants(30, 60)
    sets = [triples(text) for text in texts]
    signatures = np.stack([minhash.signature(minhash.shingles(minhash.words(text))) for text in texts])
    found = collected(minhash.candidates(signatures))
    likeness = {
        (a, b): len(sets[a] & sets[b]) / len(sets[a] | sets[b])
        for a, b in itertools.combinations(range(len(texts)), 2)
    }
    alike = {pair for pair, value in likeness.items() if value >= 0.8}
    assert len(alike) > 50
    assert len(alike - found) <= 0.02 * len(alike)
    assert all(likeness[pair] > 0.3 for pair in found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Caf\u00e9, CAF\u00c9!", ["caf\u00e9", "caf\u00e9"]),
        ("\ufb01ne \u2460", ["fine", "1"]),
        ("don't \u5317\u4eac GO", ["don", "t", "\u5317", "\u4eac", "go"]),
        (" \n", []),
    ],
)  # fmt: skip
def test_words_are_without_case_marks_and_compatibility_forms(text: str, expected: list[str]) -> None:
    assert minhash.words(text) == expected


def bits_apart(one: int, other: int) -> int:
    return (one ^ other).bit_count()


def test_all_pictures_within_the_radius_are_found() -> None:
    generator = random.Random(2)
    hashes = [generator.getrandbits(64) for _ in range(120)]
    for one in hashes[:60]:
        for flips in range(9):
            other = one
            for place in generator.sample(range(64), flips):
                other ^= 1 << place
            hashes.append(other)
    parts = list(perceptual.candidates(np.array(hashes, dtype=np.uint64)))
    found = collected(parts)
    assert sum(map(len, parts)) == len(found)  # each pair once
    expected = {
        (a, b)
        for a, b in itertools.combinations(range(len(hashes)), 2)
        if bits_apart(hashes[a], hashes[b]) <= perceptual.RADIUS
    }
    assert found == expected


def slow_hash(grey: np.ndarray) -> int:
    """The lowest frequencies by the definition of the cosine transform, a sum at a time."""
    low = [
        sum(
            float(grey[y, x]) * np.cos(np.pi * v * (2 * y + 1) / 64) * np.cos(np.pi * u * (2 * x + 1) / 64)
            for y in range(32)
            for x in range(32)
        )
        for v in range(8)
        for u in range(8)
    ]
    middle = float(np.median(low[1:]))
    return sum(1 << (63 - place) for place in range(1, 64) if low[place] > middle)


def test_the_hash_is_the_signs_of_the_lowest_frequencies() -> None:
    grey = np.random.default_rng(3).integers(0, 256, (32, 32), dtype=np.uint8)
    assert int(perceptual.hashes(grey)[0]) == slow_hash(grey)
    assert int(perceptual.hashes(grey // 2)[0]) == int(perceptual.hashes(grey // 2 * 2)[0])


def test_light_contrast_and_noise_leave_pictures_alike_and_a_mouth_does_not() -> None:
    generator = np.random.default_rng(4)
    cells = generator.integers(0, 200, (8, 8))
    grey = np.kron(cells, np.ones((4, 4))).astype(np.uint8)
    assert perceptual.likeness(grey, grey) == pytest.approx(1.0)
    assert perceptual.likeness(grey, (grey * 0.7 + 30).astype(np.uint8)) > 0.99
    assert perceptual.likeness(grey, np.clip(grey + generator.normal(0, 5, grey.shape), 0, 255)) > 0.98
    smiling = grey.copy()
    smiling[20:26, 8:24] = 255 - smiling[20:26, 8:24]
    assert perceptual.likeness(grey, smiling) == 0.0
    assert perceptual.likeness(grey, np.zeros_like(grey)) == 0.0


def test_pairs_share_a_key_and_large_buckets_cost_no_square() -> None:
    keys = np.array([5, 1, 5, 9, 1, 5], dtype=np.uint64)
    assert collected(pairs_of(keys)) == {(0, 2), (0, 5), (2, 5), (1, 4)}
    # Probes one and the other way: where a key is 5 and another 9, or 1 and 5.
    probed = {(a, b) for a, b in itertools.combinations(range(6), 2) if abs(int(keys[a]) - int(keys[b])) == 4}
    assert collected(pairs_of(keys, keys + np.uint64(4))) == probed
    many = np.zeros(5_000, dtype=np.uint64)
    found = sum(len(part) for part in pairs_of(many, most=10))
    assert found <= 10 * len(many)
    joined = Joined(len(many))
    for part in pairs_of(many, most=10):
        for one, other in part:
            joined.join(int(one), int(other), 1.0)
    assert [len(members) for members, _ in joined.sets()] == [5_000]  # joined all the same


def test_joined_sets_are_the_connected_components() -> None:
    generator = random.Random(5)
    edges = [(generator.randrange(80), generator.randrange(80), generator.random()) for _ in range(50)]
    joined = Joined(80)
    for one, other, likeness in edges:
        joined.join(one, other, likeness)
    reached = {item: {item} for item in range(80)}
    for one, other, _ in edges:
        together = reached[one] | reached[other]
        for item in together:
            reached[item] = together
    expected = {tuple(sorted(some)) for some in reached.values() if len(some) > 1}
    assert {tuple(members) for members, _ in joined.sets()} == expected
    assert all(0 < likeness <= 1 for _, likeness in joined.sets())


def test_each_form_has_the_hash_of_the_picture_turned_so() -> None:
    grey = np.random.default_rng(5).integers(0, 256, (32, 32), dtype=np.uint8)
    hashes = perceptual.hashes(grey)
    forms = [perceptual.form(grey, number) for number in range(8)]
    assert [int(one) for one in hashes] == [slow_hash(one) for one in forms]
    assert len({one.tobytes() for one in forms}) == 8
    for turns in range(4):
        for mirrored in (False, True):
            turned = np.rot90(grey[:, ::-1] if mirrored else grey, turns)
            value, number = perceptual.closest_form(turned, grey)
            assert value == pytest.approx(1.0)
            assert np.array_equal(perceptual.form(grey, number), turned)
            assert ("mirror" in perceptual.FORMS[number]) == mirrored
            assert ("turned" in perceptual.FORMS[number]) == bool(turns % 2 or (turns and not mirrored))


def test_a_picture_meets_the_forms_of_others_and_not_its_own() -> None:
    generator = np.random.default_rng(6)
    greys = [generator.integers(0, 256, (32, 32), dtype=np.uint8) for _ in range(20)]
    even = greys[0] // 2 + greys[0][:, ::-1] // 2  # its own mirror image
    greys += [greys[3][:, ::-1], np.rot90(greys[5]), even]
    found = collected(perceptual.candidates_of_forms(np.stack([perceptual.hashes(one) for one in greys])))
    assert {tuple(sorted(pair)) for pair in found} == {(3, 20), (5, 21)}


def test_forms_that_differ_in_a_few_bits_are_those_of_a_slow_search() -> None:
    generator = np.random.default_rng(7)
    cells = generator.integers(0, 256, (60, 8, 8))
    greys = [np.kron(one, np.ones((4, 4))) for one in cells]
    noisy = [perceptual.form(one, number % 8) for number, one in enumerate(greys)]
    noisy = [np.clip(one + generator.normal(0, 12, one.shape), 0, 255) for one in noisy]
    order = generator.permutation(120)  # so that the earlier of two is now the one, now the other
    hashes_NF = np.stack([perceptual.hashes([*greys, *noisy][place].astype(np.uint8)) for place in order])
    apart_NNF = np.bitwise_count(hashes_NF[:, None, :1] ^ hashes_NF[None])
    near_NN = (apart_NNF <= perceptual.RADIUS).any(axis=2)
    expected = {(a, b) for a, b in itertools.combinations(range(120), 2) if near_NN[a, b]}
    assert collected(perceptual.candidates_of_forms(hashes_NF)) == expected
    assert len(expected) >= 50
    assert (apart_NNF.min(axis=2)[tuple(zip(*expected, strict=True))] > 0).sum() > 20


def test_probes_match_keys_wherever_they_are() -> None:
    keys, probes = np.array([1, 3, 3, 3, 8], np.uint64), np.array([8, 3, 0, 9, 1], np.uint64)
    found = {tuple(pair) for part in matches(keys, probes) for pair in part.tolist()}
    assert found == {(0, 4), (1, 1), (1, 2), (1, 3), (4, 0)}
    assert sum(len(part) for part in matches(keys, probes, most=2)) == 4
    assert not list(matches(keys[:0], probes))
