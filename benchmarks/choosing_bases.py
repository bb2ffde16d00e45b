"""The models that ``benchmarks.choose`` compares: what pip installs, and headstart's own runs on other data.

A user has both. Of the packs it is known how well they do where they come from; of a run it is not, and it
may suit better or worse than any of them. The runs:

| run | began with | learnt |
|---|---|---|
| digits | EfficientNet-Lite0 | 300 digits of MNIST that no set has, all of it tuned |
| clothes | the same | 800 pictures of Fashion-MNIST that no set has |
| drawings | the same | 150 emoji of Fluent, another style (``examples/emoji/fluent``) |
"""

import shutil
from pathlib import Path

import headstart
from benchmarks import choosing_data, fashion_mnist
from benchmarks.measure import ROOT

PACKS = ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2", "squeezenet1_1", "vgg16-hed")
EPOCHS = {"digits": 2, "clothes": 2, "drawings": 4}
CLOTHES = (400, 480, 500)
"""Of each class: the first so many are in the sets, the next to train on, the last to test on."""


def built(folder: Path, image_size: int) -> dict[str, str]:
    """Fit the runs; return the models' short names by what ``--bases`` calls them."""
    choosing_data.pretraining(folder / "of-digits")
    clothes(folder / "of-clothes")
    data = {
        "digits": folder / "of-digits",
        "clothes": folder / "of-clothes",
        "drawings": ROOT / "examples" / "emoji" / "fluent",
    }
    names = {f"pack:{one}": one for one in PACKS}
    for name, epochs in EPOCHS.items():
        how = {"strategy": "head-then-full", "epochs": epochs, "image_size": image_size}
        headstart.fit(str(data[name]), out=str(folder / name), **how)
        names[f"run:{folder / name}"] = name
    return names


def clothes(out: Path) -> None:
    """Write pictures of Fashion-MNIST that are in no set."""
    fashion_mnist.write(out / "all", 10 * CLOTHES[-1], 10)
    for name in fashion_mnist.CLASSES:
        files = sorted((out / "all" / "train" / name).iterdir())
        for split, start, stop in (("train", *CLOTHES[:2]), ("test", *CLOTHES[1:])):
            (out / split / name).mkdir(parents=True)
            for file in files[start:stop]:
                file.rename(out / split / name / file.name)
    shutil.rmtree(out / "all")
