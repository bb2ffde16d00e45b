"""Make pictures with exact masks: emoji pasted on photographs.

    python examples/segmentation/make.py --out DATA        # needs scikit-learn, for its two photographs
    python examples/segmentation/make.py --out DATA --width 1024 --most 12   # large pictures of small things

writes ``DATA/images/{train,val,test}/NNN.jpg``, ``DATA/masks/{train,val,test}/NNN.png`` and
``DATA/classes.txt``. The masks come from the emoji's own transparency, so they are exact. Everything is
drawn from a seed: the same Pillow and NumPy write the same bytes again.

No split shares an emoji with another, nor a part of a photograph: train sees the left three fifths of
each, validation the next fifth, test the last. So a model cannot score by remembering either.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

NOTO = Path(__file__).resolve().parents[1] / "emoji" / "noto"
CLASSES = ("background", "animals", "food-and-drink", "smileys", "vehicles")
SPLITS = {"train": (0.0, 0.6, 150), "val": (0.6, 0.8, 40), "test": (0.8, 1.0, 80)}
WIDTH, MOST = 160, 3  # of a picture in pixels, three quarters as high; emoji a picture
SIDES = (36, 84)  # of a pasted emoji, in pixels


def photographs() -> list[Image.Image]:
    """Return scikit-learn's two photographs."""
    from sklearn.datasets import load_sample_images

    return [Image.fromarray(pixels) for pixels in load_sample_images().images]


def emoji(split: str) -> list[tuple[int, Path]]:
    """Return the split's own emoji: which one goes where is told by a hash of its name."""
    low, high, _ = SPLITS[split]
    found = []
    for place, name in enumerate(CLASSES[1:], start=1):
        for file in sorted((NOTO / name).glob("*.png")):
            at = int.from_bytes(hashlib.sha256(file.stem.encode()).digest()[:4], "big") / 2**32
            found += [(place, file)] if low <= at < high else []
    return found


def background(
    photo: Image.Image, split: str, size: tuple[int, int], random: np.random.Generator
) -> Image.Image:
    """Cut a piece of the split's own part of a photograph, perhaps mirrored."""
    low, high, _ = SPLITS[split]
    part = photo.crop((int(low * photo.width), 0, int(high * photo.width), photo.height))
    height = int(random.uniform(0.25, 0.7) * min(part.height, part.width * size[1] / size[0]))
    width = height * size[0] // size[1]
    left, top = random.integers(0, part.width - width + 1), random.integers(0, part.height - height + 1)
    piece = part.crop((left, top, left + width, top + height)).resize(size, Image.Resampling.BICUBIC)
    return piece.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if random.random() < 0.5 else piece


def scene(
    picture: Image.Image, drawings: list[tuple[int, Path]], most: int, random: np.random.Generator
) -> tuple[Image.Image, Image.Image]:
    """Return a picture with up to ``most`` emoji on it, and its mask."""
    mask = np.zeros((picture.height, picture.width), dtype=np.uint8)
    for _ in range(random.integers(1, most + 1)):
        place, file = drawings[random.integers(len(drawings))]
        side = int(random.integers(*SIDES))
        drawing = Image.open(file).convert("RGBA").resize((side, side), Image.Resampling.BICUBIC)
        drawing = drawing.rotate(random.uniform(-25, 25), Image.Resampling.BICUBIC)
        left, top = (int(random.integers(-side // 4, size - 3 * side // 4)) for size in picture.size)
        picture.paste(drawing, (left, top), drawing)
        sheet = Image.new("L", picture.size)
        sheet.paste(drawing.getchannel("A"), (left, top))
        mask[np.asarray(sheet) >= 128] = place
    return picture, Image.fromarray(mask)


def make(out: Path, seed: int = 0, width: int = WIDTH, most: int = MOST) -> None:
    """Write all splits under ``out``, replacing what was there."""
    for part in ("images", "masks"):
        shutil.rmtree(out / part, ignore_errors=True)
    photos = photographs()
    for number, (split, (_, _, count)) in enumerate(SPLITS.items()):
        random, drawings = np.random.default_rng((seed, number)), emoji(split)
        for folder in ("images", "masks"):
            (out / folder / split).mkdir(parents=True)
        for index in range(count):
            ground = background(photos[index % len(photos)], split, (width, width * 3 // 4), random)
            picture, mask = scene(ground, drawings, most, random)
            picture.save(out / "images" / split / f"{index:03}.jpg", quality=92)
            mask.save(out / "masks" / split / f"{index:03}.png", optimize=True)
        print(f"{split:6} {count:4} pictures, {len(drawings):3} emoji")
    (out / "classes.txt").write_text("\n".join(CLASSES) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("runs/data/segmentation"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--width", type=int, default=WIDTH, help="of the pictures in pixels")
    parser.add_argument("--most", type=int, default=MOST, help="most emoji a picture")
    given = parser.parse_args()
    make(given.out, given.seed, given.width, given.most)
