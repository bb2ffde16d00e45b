"""ONNX files and SavedModels: cut where everything flows through, equal to their own runtimes, frozen."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import headstart
from headstart.core.errors import UserError
from headstart.model.trunk import FrozenModel, find_model
from tests.sources.graphs import (
    SAVED_MODEL,
    by_onnxruntime,
    classifier,
    picture_graph,
    text_graph,
    torch,
    write_graph,
)
from tests.verbs.conftest import copy_pictures

nn = torch.nn
SIZES = {"image_size": None, "max_length": None}
PIXELS = np.random.default_rng(0).normal(size=(3, 3, 32, 32)).astype(np.float32)


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return picture_graph(tmp_path_factory.mktemp("graphs") / "model.onnx")


def pictures(base: str, size: int | None = None) -> FrozenModel:
    return find_model(base, "picture", {**SIZES, "image_size": size}, None)


def test_blocks_are_the_ends_of_residual_blocks_and_nothing_above_the_mean(graph: Path) -> None:
    network = pictures(f"onnx:{graph}", 32).network()
    outputs = network.outputs(torch.from_numpy(PIXELS))
    expected, x = [], torch.from_numpy(PIXELS)
    for block in list(classifier())[:-1]:
        x = block(x)
        expected.append(x)
    assert len(outputs) == len(network.blocks) == 4
    for one, other in zip(outputs, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


def test_features_are_those_of_onnx_runtime_alone_and_together(graph: Path) -> None:
    network = pictures(f"onnx:{graph}", 32).network()
    (last,) = by_onnxruntime(graph, {"pixels": PIXELS}, ["Relu"])
    together = network.outputs(torch.from_numpy(PIXELS))[-1].numpy()
    alone = np.concatenate([network.outputs(torch.from_numpy(one[None]))[-1].numpy() for one in PIXELS])
    np.testing.assert_allclose(together, last, atol=1e-5)
    np.testing.assert_allclose(alone, together, atol=1e-6)


def test_a_saved_model_gives_what_tensorflow_gave() -> None:
    network = pictures(f"tf:{SAVED_MODEL}", 32).network()
    pixels_NHWC = np.random.default_rng(3).normal(size=(2, 32, 32, 3)).astype(np.float32)
    outputs = network.outputs(torch.from_numpy(pixels_NHWC).permute(0, 3, 1, 2))
    assert [one.shape[1] for one in outputs] == [8, 8, 12, 16]
    expected_NHWC = load_file(SAVED_MODEL / "expected.safetensors")["maps"]
    np.testing.assert_allclose(outputs[-1].permute(0, 2, 3, 1).numpy(), expected_NHWC, atol=1e-5)


def test_a_graph_exported_for_one_picture_takes_batches_and_sizes_only_where_it_can(tmp_path: Path) -> None:
    one = {"pixels": PIXELS[:1]}
    free = write_graph(classifier(), tmp_path / "free.onnx", one, {})
    flat = nn.Sequential(nn.Flatten(), nn.Linear(12 * 64, 20), nn.ReLU(), nn.Linear(20, 3))
    fixed = write_graph(classifier(head=flat), tmp_path / "fixed.onnx", one, {})
    assert pictures(f"onnx:{free}").pretrained.preprocess.input_size == "32 px"
    (expected,) = by_onnxruntime(fixed, one, ["Relu"])
    outputs = pictures(f"onnx:{fixed}").network().outputs(torch.from_numpy(PIXELS))
    assert [tuple(x.shape) for x in outputs][-2:] == [(3, 12, 8, 8), (3, 20)]
    np.testing.assert_allclose(outputs[-1][:1].numpy(), expected, atol=1e-5)
    wider = pictures(f"onnx:{free}", 64).network().outputs(torch.from_numpy(np.tile(PIXELS, (1, 1, 2, 2))))
    assert wider[-1].shape == (3, 12, 16, 16)
    with pytest.raises(UserError, match="a graph for one size; expected 32 px"):
        pictures(f"onnx:{fixed}", 64)


class _OnlyOne(nn.Module):
    """Shares something between the examples of a batch, which no trunk may."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = classifier()[:-1]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.inner(x - x.mean())
        return found


def test_a_graph_that_mixes_examples_is_fed_one_at_a_time(tmp_path: Path) -> None:
    file = write_graph(_OnlyOne(), tmp_path / "mixes.onnx", {"pixels": PIXELS[:2]}, {"pixels": {0: "n"}})
    outputs = pictures(f"onnx:{file}").network().outputs(torch.from_numpy(PIXELS))[-1].numpy()
    each = [by_onnxruntime(file, {"pixels": one[None]}, ["Relu"])[0] for one in PIXELS]
    np.testing.assert_allclose(outputs, np.concatenate(each), atol=1e-5)


class _Scaled(nn.Module):
    """Prepares pixels itself, as Keras Applications of today do; they lie height, width, channels."""

    def __init__(self, by: float, minus: float) -> None:
        super().__init__()
        self.inner, self.by, self.minus = classifier(), by, minus

    def forward(self, x_NHWC: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.inner(x_NHWC.permute(0, 3, 1, 2) * self.by - self.minus)
        return found


@pytest.mark.parametrize(
    ("by", "minus", "scale", "told"), [(1.0, 117.0, 1.0, "0 to 255"), (2.0, 1.0, 1 / 255, "0 to 1")]
)
def test_what_a_graph_does_itself_is_not_done_again(
    tmp_path: Path, by: float, minus: float, scale: float, told: str
) -> None:
    sample = {"pixels": np.ascontiguousarray(PIXELS[:2].transpose(0, 2, 3, 1))}
    file = write_graph(_Scaled(by, minus), tmp_path / "scaled.onnx", sample, {"pixels": {0: "n"}})
    model = pictures(f"onnx:{file}")
    assert (model.pretrained.preprocess.scale, model.pretrained.preprocess.mean) == (scale, (0.0,) * 3)
    assert any(told in what for what in model.pretrained.adapted)
    pixels = np.random.default_rng(1).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    (last,) = by_onnxruntime(file, {"pixels": (pixels * scale).astype(np.float32)}, ["Relu"])
    with torch.inference_mode():
        features = model.module(torch.from_numpy(pixels)).numpy()
    column = model.modality.layer_sets(model.columns())["last"][0]
    np.testing.assert_allclose(features[:, column.start : column.stop], last.mean((2, 3)), atol=1e-5)


def test_how_pictures_are_prepared_is_read_beside_the_graph_else_assumed_aloud(
    graph: Path, tmp_path: Path
) -> None:
    here = tmp_path / "model.onnx"
    here.write_bytes(graph.read_bytes())
    assumed = pictures(f"onnx:{here}").pretrained
    assert any("ImageNet's mean and deviation is assumed" in what for what in assumed.adapted)
    processor = {"size": 48, "image_mean": [0.1, 0.2, 0.3], "image_std": [1, 1, 1]}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(processor))
    assert pictures(f"onnx:{here}").pretrained.preprocess.mean == (0.1, 0.2, 0.3)  # type: ignore[attr-defined]
    own = {"size": 64, "order": "BGR", "scale": 1, "mean": [104, 117, 123], "std": [1, 1, 1], "squash": True}
    (tmp_path / "preprocess.json").write_text(json.dumps(own))
    declared = pictures(f"onnx:{here}").pretrained
    assert not any("assumed" in what for what in declared.adapted)
    assert (declared.preprocess.size, declared.preprocess.order) == (64, "BGR")  # type: ignore[attr-defined]
    (tmp_path / "preprocess.json").write_text(json.dumps({"size": 64}))
    partly = pictures(f"onnx:{here}").pretrained
    assert any("assumed" in what for what in partly.adapted)
    assert partly.preprocess.mean == assumed.preprocess.mean  # type: ignore[attr-defined]
    wrongs = [{"sise": 64}, {"mean": [1, 2]}, {"order": "GRB"}, {"size": -1}, {"mean": [1, 2, "x"]}]
    for wrong in (*wrongs, {"size": True}, {"order": ["RGB"]}, {"std": [1, 1, 0]}, {"scale": "1"}):
        (tmp_path / "preprocess.json").write_text(json.dumps(wrong))
        with pytest.raises(UserError, match=re.escape("preprocess.json says")):
            pictures(f"onnx:{here}")


def test_one_channel_is_the_mean_of_three_and_four_are_refused(tmp_path: Path) -> None:
    for channels in (1, 4):
        write_graph(
            classifier(channels),
            tmp_path / f"{channels}.onnx",
            {"pixels": PIXELS[:2, :1].repeat(channels, 1)},
            {},
        )
    model = pictures(f"onnx:{tmp_path / '1.onnx'}")
    assert any("one channel" in what for what in model.pretrained.adapted)
    grey = {"pixels": PIXELS[:2].mean(axis=1, keepdims=True)}
    (last,) = by_onnxruntime(tmp_path / "1.onnx", grey, ["Relu"])
    np.testing.assert_allclose(
        model.network().outputs(torch.from_numpy(PIXELS[:2]))[-1].numpy(), last, atol=1e-5
    )
    with pytest.raises(UserError, match="pictures of 4 channels"):
        pictures(f"onnx:{tmp_path / '4.onnx'}")


def test_a_text_graph_reads_its_folder_and_pads_as_transformers_does(
    family_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    bert = family_folder("bert")
    folder = text_graph(bert, tmp_path / "sentences")
    ours = find_model(f"onnx:{folder}", "text", SIZES, None)
    theirs = find_model(f"hf:{bert}", "text", SIZES, None)
    ids_NT = torch.from_numpy(np.random.default_rng(0).integers(5, 60, (3, 11)))
    mask_NT = torch.ones_like(ids_NT)
    mask_NT[1, 6:] = mask_NT[2, 2:] = 0
    with torch.inference_mode():
        found, expected = (one.module(ids_NT, mask_NT)[:, -32:] for one in (ours, theirs))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert ours.pretrained.preprocess == theirs.pretrained.preprocess
    (folder / "config.json").unlink()
    with pytest.raises(UserError, match=r"has no config\.json"):
        find_model(f"onnx:{folder}", "text", SIZES, None)


def test_a_fit_keeps_the_graph_and_needs_nothing_else(graph: Path, tmp_path: Path) -> None:
    data = copy_pictures(tmp_path / "data", each=6)
    here = tmp_path / "model.onnx"
    here.write_bytes(graph.read_bytes())
    asked = {"base": f"onnx:{here}", "image_size": 32, "out": str(tmp_path / "run")}
    for strategy in ("full", "auto", "last-1", "lora"):
        with pytest.raises(UserError, match="gives features and never trains"):
            headstart.fit(str(data), **asked, strategy=strategy)
    with pytest.raises(UserError, match="--random-init"):
        headstart.fit(str(data), **asked, random_init=True)
    fitted = headstart.fit(str(data), **asked)
    file = next(data.rglob("*.png"))
    (before,) = headstart.predict(fitted.run, [str(file)])
    here.unlink()
    run = tmp_path / "elsewhere"
    (tmp_path / "run").rename(run)
    (after,) = headstart.predict(str(run), [str(file)])
    assert after.scores == before.scores
    assert headstart.evaluate(str(run), str(data)).metrics["accuracy"].n > 0
    again = headstart.fit(str(data), base=f"run:{run}", out=str(tmp_path / "again"))
    assert again.model["lineage"] == [f"onnx:{here}"]
    chosen = headstart.choose(str(data), bases=f"run:{run},tf:{SAVED_MODEL}", image_size=32)
    assert {one.base for one in chosen.ranking} == {f"run:{run}", f"tf:{SAVED_MODEL}"}
    assert all(one.mib > 0 for one in chosen.ranking)
    (run / "model" / "graph.bin").write_bytes(b"x")
    with pytest.raises(headstart.HeadstartError, match="damaged"):
        list(headstart.predict(str(run), [str(file)]))
