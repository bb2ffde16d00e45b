"""Test 17 of the reliability programme: every task x kind of model x engine, against the model's own library.

The table is what sources declare (``headstart sources``): what they say fails has to fail, for that reason.
Features equal the library's to 1e-4 of the largest, from the file on; nothing touches the network.
"""

import json
import random
import shutil
import socket
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import sklearn.datasets
from numpy.typing import NDArray
from PIL import Image

import headstart
from headstart.api import sources
from headstart.contracts import Allowed, Family, Source, Task, TextPreprocess
from headstart.core import plugins
from headstart.core.errors import EngineUnavailable
from headstart.core.frameworks import prepare_torch
from headstart.data.prompts import prompted
from headstart.model.batches import stacked
from headstart.model.head import DenseHead, seen
from headstart.model.saved import load_model
from headstart.model.trunk import FrozenModel, find_model
from tests.model.families import LONGEST, PAIRS, ROOT
from tests.sources.models import KINDS, everything, made

torch = prepare_torch()

from safetensors.numpy import load_file  # noqa: E402

pytestmark = [pytest.mark.usefixtures("one_thread"), pytest.mark.filterwarnings("ignore::FutureWarning")]
TOLERANCE = 1e-4
"""Of a feature, as a share of the largest in its column."""
EXAMPLE_TASK = {"picture": "image-classification", "text": "text-classification"}
QUICK: Mapping[str, Any] = {"epochs": 1, "batch_size": 8, "target_length": 8, "beams": 1}


def family_of(source: str, name: str) -> Family:
    one: Source = plugins.load("source", source)
    return next(family for family in one.families if family.name == name)


def cells(kind: str) -> Iterator[Any]:
    """Yield every declared kind of model with each task or engine; what is said to fail is expected to."""
    for source, name in everything():
        family = family_of(source, name)
        for other in plugins.names(kind):
            if kind == "task" and plugins.load("task", other).takes != family.takes:
                continue
            why = family.lacks.get(other)
            raised = (EngineUnavailable, headstart.UserError)
            expected = [pytest.mark.xfail(strict=True, raises=raised, reason=why)] if why else []
            yield pytest.param(source, name, other, marks=expected, id=f"{source}-{name}-{other}")


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail whatever reaches out."""

    def refuse(*given: object) -> None:
        raise AssertionError(f"the network was asked: {given[1:]}")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Three pictures of other shapes, and three texts of other lengths, the last one cut."""
    folder = tmp_path_factory.mktemp("inputs")
    with Image.open(Path(sklearn.datasets.__file__).parent / "images" / "china.jpg") as china:
        wide = china.crop((0, 0, 634, 427))  # resized, what is cut away is even: half of it is half for all
        wide.save(folder / "wide.png")
        wide.transpose(Image.Transpose.ROTATE_90).save(folder / "high.png")
        china.crop((0, 0, 300, 300)).save(folder / "square.png")
    texts = [" ".join(pair["description"].split()) for pair in PAIRS]  # a line each: translated one by one
    for name, text in (("one", "one"), ("some", texts[0]), ("long", " ".join(texts))):
        (folder / f"{name}.txt").write_text(text)
    return {
        "picture": [folder / f"{name}.png" for name in ("wide", "high", "square")],
        "text": [folder / f"{name}.txt" for name in ("one", "some", "long")],
    }


@cache
def frozen(source: str, name: str) -> FrozenModel:
    takes = family_of(source, name).takes
    length = LONGEST if takes == "text" and source == "hf" else None
    sizes = {"image_size": KINDS[source, name].image_size, "max_length": length}
    allowed = Allowed(trusted=frozenset(trusted(source, name)))
    return find_model(f"{source}:{made(source, name)}", takes, sizes, None, allowed)


def trusted(source: str, name: str) -> set[str]:
    """Return whose code has to run for a model."""
    return {made(source, name).rpartition(":")[0]} if KINDS[source, name].is_code else set()


def prepared(model: FrozenModel, takes: str, files: list[Path]) -> dict[str, NDArray[Any]]:
    """Return real files as the trunk takes them, by the way that ``predict`` goes."""
    task: Task = plugins.load("task", EXAMPLE_TASK[takes])
    examples = list(task.inputs([str(file) for file in files]))
    inputs = [task.prepare(one, task.content(one), model.pretrained).inputs for one in examples]
    return {key: stacked([one[key] for one in inputs]) for key in inputs[0]}


@cache
def expected(source: str, name: str, files: tuple[Path, ...]) -> Mapping[str, NDArray[Any]]:
    return _said(source, name, frozen(source, name), files)


def _said(source: str, name: str, model: FrozenModel, files: Sequence[Path]) -> Mapping[str, NDArray[Any]]:
    """Return what the library says; where another test holds that, what torch makes of the trunk."""
    original = KINDS[source, name].original
    if original is not None:
        return original(made(source, name), model, files)
    batch = prepared(model, family_of(source, name).takes, list(files))
    with torch.inference_mode():
        rows_ND = model.new_trunk()(*(torch.from_numpy(one) for one in batch.values())).numpy()
    return {one.name: rows_ND[:, one.start : one.stop] for one in model.columns()}


def close(found: NDArray[Any], right: NDArray[Any], tolerance: float = TOLERANCE) -> bool:
    return found.shape == right.shape and bool(np.abs(found - right).max() <= tolerance * np.abs(right).max())


def test_every_kind_of_every_source_has_a_model() -> None:
    assert set(everything()) == set(KINDS)
    assert {source for source, _ in everything()} == set(plugins.names("source"))
    known = {*plugins.names("task"), *plugins.names("engine")}
    assert all(set(family_of(*one).lacks) <= known for one in everything())


def test_the_table_is_what_is_tested() -> None:
    for one in sources():
        family = family_of(one.source, one.family)
        assert {name: why for name, why in (*one.tasks.items(), *one.engines.items()) if why} == family.lacks
        assert all(plugins.load("task", task).takes == one.takes for task in one.tasks)
        assert set(one.engines) == set(plugins.names("engine"))


@pytest.mark.parametrize(("source", "name", "engine"), list(cells("engine")))
def test_features_are_the_librarys_own(
    source: str, name: str, engine: str, files: dict[str, list[Path]]
) -> None:
    takes, model = family_of(source, name).takes, frozen(source, name)
    batch = prepared(model, takes, files[takes])
    run = plugins.load("engine", engine).compile(model.trunk())
    together_ND = run(batch)
    right = expected(source, name, tuple(files[takes]))
    places = {column.name: slice(column.start, column.stop) for column in model.columns()}
    shared = [column for column in right if column in places]
    assert shared
    for column in shared:
        assert close(together_ND[:, places[column]], right[column]), column
    for row in range(3):
        alone_1D = run({key: array[row : row + 1] for key, array in batch.items()})
        assert close(alone_1D, together_ND[row : row + 1], TOLERANCE / 5)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Twelve examples of every task."""
    root = tmp_path_factory.mktemp("data")
    noto = ROOT / "examples" / "emoji" / "noto"
    generator = np.random.default_rng(0)
    for name in ("animals", "vehicles"):
        (root / "classes" / name).mkdir(parents=True)
        for file in sorted((noto / name).glob("*.png"))[:6]:
            shutil.copy(file, root / "classes" / name)
    for folder in ("images", "masks"):
        (root / "scenes" / folder).mkdir(parents=True)
    for place in range(8):
        mask = np.zeros((64, 64), np.uint8)
        mask[:, : 20 + 3 * place] = 1
        picture = np.where(mask[..., None], [200, 30, 30], [20, 60, 200]) + generator.integers(
            0, 40, (64, 64, 3)
        )
        Image.fromarray(picture.astype(np.uint8)).save(root / "scenes" / "images" / f"{place}.png")
        Image.fromarray(mask).save(root / "scenes" / "masks" / f"{place}.png")
    rows = [{"text": pair["description"], "label": "ab"[place % 2]} for place, pair in enumerate(PAIRS[:12])]
    lines = (ROOT / "examples" / "translation" / "pairs.jsonl").read_text().splitlines()[200:212]
    pairs = [{name: json.loads(line)[name] for name in ("en", "fr")} for line in lines]
    written = {"labels": rows, "summaries": PAIRS[:12], "pairs": pairs}
    for name, content in written.items():
        (root / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in content))
    return {
        "image-classification": root / "classes",
        "segmentation": root / "scenes",
        "text-classification": root / "labels.jsonl",
        "summarization": root / "summaries.jsonl",
        "translation": root / "pairs.jsonl",
    }


def drawn_so_far() -> tuple[Any, ...]:
    return (random.getstate(), repr(np.random.get_state()), torch.get_rng_state().tolist())


@pytest.mark.parametrize(("source", "name", "task"), list(cells("task")))
def test_a_task_is_learnt_saved_and_used(
    source: str, name: str, task: str, data: dict[str, Path], files: dict[str, list[Path]], tmp_path: Path
) -> None:
    model, takes = frozen(source, name), family_of(source, name).takes
    steps = task in ("summarization", "translation") and (model.pretrained.writes or task == "translation")
    trust = {"trust": ",".join(trusted(source, name)) or None, "engine": "torch"}
    small = 64 if source in ("pack", "torchvision", "hub", "own") else KINDS[source, name].image_size
    options = {**trust, **(QUICK if steps else {}), "image_size": small}
    if takes == "text":
        options |= {"max_length": 32, "image_size": None}
    before = drawn_so_far()
    base, run = model.pretrained.base, tmp_path / "run"
    headstart.fit(str(data[task]), task=task, base=base, out=str(run), **options)
    named = [str(file) for file in files[takes]]
    together = list(headstart.predict(str(run), named, **trust))
    assert drawn_so_far() == before
    assert [one.error for one in together] == [None] * 3
    (alone,) = headstart.predict(str(run), named[1:2], **trust)
    assert alone.prediction == together[1].prediction
    # Features of random networks hardly vary: standardised, they magnify rounding.
    assert alone.scores == pytest.approx(together[1].scores, abs=1e-3)
    _frozen_is_frozen(model, run)
    if task in EXAMPLE_TASK.values() and takes == "text":
        _answers_are_of_the_librarys_features(
            source, name, run, files[takes], [one.scores for one in together]
        )


def _frozen_is_frozen(model: FrozenModel, run: Path) -> None:
    """Weights below the freeze line are what the source gave, to the bit."""
    saved = load_file(run / "model" / "model.safetensors")
    assert saved.keys() == model.state.keys()
    moves = {"": "nothing", "above": "decoder|shared|lm_head|final_logits", "on": ""}[model.pretrained.writes]
    learner = json.loads((run / "model" / "headstart.json").read_text())["head"]["learner"]
    trained = moves.split("|") if learner in ("writer", "continuer") else ["nothing"]
    for key, array in model.state.items():
        if not any(part in key for part in trained):
            np.testing.assert_array_equal(saved[key], array, err_msg=key)


def _answers_are_of_the_librarys_features(
    source: str, name: str, run: Path, files: list[Path], told: list[Mapping[str, float]]
) -> None:
    """The run's head on the library's own features gives what ``predict`` told."""
    loaded = load_model(run)
    takes = family_of(source, name).takes
    features_ND = plugins.load("engine", "torch").compile(loaded.frozen.trunk())(
        prepared(loaded.frozen, takes, files)
    )
    right = _said(source, name, loaded.frozen, files)
    for column in loaded.frozen.columns():
        if column.name in right:
            features_ND[:, column.start : column.stop] = right[column.name]
    head = cast(DenseHead, loaded.head)
    found_NK = head.outputs(seen(head.columns, features_ND))
    expected_NK = [[scores[one] for one in loaded.classes] for scores in told]
    np.testing.assert_allclose(found_NK, expected_NK, atol=1e-3)


def test_the_prompt_of_sentence_transformers_is_told(tmp_path: Path) -> None:
    folder = shutil.copytree(made("hf", "Sentence-Transformers"), tmp_path / "model")
    said = {"prompts": {"query": "query: ", "passage": "passage: "}, "default_prompt_name": "query"}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(said))
    model = find_model(f"hf:{folder}", "text", {"image_size": None, "max_length": None}, None).pretrained
    told = [prompted(model, "text-classification", asked).preprocess for asked in (None, "passage: ", "")]
    assert [one.prefix for one in told if isinstance(one, TextPreprocess)] == ["query: ", "passage: ", ""]


def test_sentence_transformers_says_the_same(files: dict[str, list[Path]]) -> None:
    """Its modules' own slow reference is in ``models``; this is the library's word, where it is installed."""
    library = pytest.importorskip("sentence_transformers")
    folder = made("hf", "Sentence-Transformers")
    own = library.SentenceTransformer(folder, device="cpu")
    vectors_ND = own.encode([file.read_text() for file in files["text"]], show_progress_bar=False)
    found_ND = expected("hf", "Sentence-Transformers", tuple(files["text"]))["mean/vector"]
    normal_ND = found_ND / np.linalg.norm(found_ND, axis=1, keepdims=True)
    np.testing.assert_allclose(normal_ND, vectors_ND, atol=1e-5)
