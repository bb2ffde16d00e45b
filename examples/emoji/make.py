"""Make the small picture set in this folder from two public npm packages.

    python examples/emoji/make.py            # needs npm, and Pillow and numpy in Python

writes ``noto/<class>/<name>.png`` (Noto drawings) and ``fluent/<class>/<name>.png``
(Fluent 3D drawings of *other* emoji of the same classes), replacing what was there.
The package versions are pinned and nothing is random: the same Pillow writes the same
bytes again (the pictures here were written with Pillow 13.0.0).

What is left out, and why. The folders carry no split: whoever uses them splits at
random, and a drawing that comes twice would then stand on both sides, so that a model
which only remembers pictures would score as if it had learned. Hence

- no skin tones, and no gendered or left/right variants beside the neutral drawing;
- at most one or two drawings of a series that repeats one drawing with a small change
  (closed books, mailboxes, cable cars, sunrises ...): ``SERIES`` and ``LEFT_OUT``;
- no drawing whose grey shape correlates by more than ``TOO_ALIKE`` with one that is
  already in its class (coloured books, banknotes, faces one line apart ...);
- no emoji in both styles, so a style shift is measured on emoji never trained on;
- no flags, symbols, hearts, clocks or moons, which are series by nature, and no road
  signs or building materials, filed with vehicles and places but showing neither.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

NOTO_PACKAGE = "emoji-datasource-google@16.0.0"
FLUENT_PACKAGE = "@lobehub/fluent-emoji-3d@1.1.0"

SIDE = 64  # pixels
COLOURS = 256  # palette size of a written picture
NOTO_MOST = 90  # pictures per class
FLUENT_MOST = 25
FLUENT_SHARE = 4  # at most one in so many of a class goes to the Fluent side
TOO_ALIKE = 0.86

# class -> (group in emoji.json, its subgroups as a regular expression)
CLASSES: dict[str, tuple[str, str]] = {
    "animals": ("Animals & Nature", r"animal-.*"),
    "clothing": ("Objects", r"clothing"),
    "food-and-drink": ("Food & Drink", r"food-.*|drink"),
    "objects": ("Objects", r"(?!clothing).*"),
    "people": ("People & Body", r"person(-(activity|fantasy|gesture|resting|role|sport))?"),
    "places": ("Travel & Places", r"place-(building|geographic|other|religious)"),
    "smileys": ("Smileys & Emotion", r"face-.*|cat-face"),
    "vehicles": ("Travel & Places", r"transport-.*"),
}

# Never taken: variants of a neutral drawing, and what its class name does not describe.
LEFT_OUT = re.compile(
    r"(wo)?man|(wo)?man[-_].*|(fe)?male[-_].*|(wo)?men[-_].*|(pregnant|deaf)_(wo)?man"
    r"|.*_facing_right|(red|curly|white)_haired_.*|bald_.*|blond.*|older_(wo)?man|boy|girl"
    r"|mermaid|merman|prince|princess|(mrs|mx)_claus|oncoming_.*|black_bird"
    r"|black_cat|(guide|service)_dog|feet|feather|wing|pig_nose|microbe|bricks|rock|wood"
    r"|hotsprings|barber|seat|busstop|station|traffic_light|vertical_traffic_light|construction"
    r"|rotating_light|octagonal_sign|wheel|oil_drum|motorway|railway_track|ring_buoy"
    r"|anchor|fuelpump"
)

# (pattern of names, how many of them are enough)
SERIES: list[tuple[str, int]] = [
    (r"ledger|(note)?book.*|.*_book", 2),
    (r"mailbox.*", 1),
    (r"(un)?lock|closed_lock.*|lock_with.*", 2),
    (r"speaker|sound|loud_sound|mute", 1),
    (r"dollar|yen|euro|pound", 1),
    (r"e-?mail|.*envelope.*", 1),
    (r"chart_with_.*", 1),
    (r"calendar|date", 1),
    (r"(linked_)?paperclips?", 1),
    (r"(dromedary_)?camel", 1),
    (r"whale2?", 1),
    (r"(baby|hatching|hatched)_(baby_)?chick", 1),
    (r"house|house_with_garden|house_buildings", 1),
    (r"sunrise.*", 1),
    (r"bullettrain_.*", 1),
    (r"airplane_.*", 1),
    (r"mountain_cableway|aerial_tramway", 1),
    (r"(manual|motorized)_wheelchair", 1),
    (r"(passenger_)?ship", 1),
]


@dataclass(frozen=True)
class Emoji:
    """One candidate: its class, its file name and its two drawings."""

    label: str
    name: str
    noto: Path
    fluent: Path | None


def unpack(package: str, where: Path) -> Path:
    """Fetch one npm package into `where` and return the folder of its files."""
    where.mkdir()
    subprocess.run(["npm", "pack", "--silent", package], cwd=where, check=True)
    (archive,) = where.glob("*.tgz")
    with tarfile.open(archive) as tar:
        tar.extractall(where, filter="data")
    return where / "package"


def label_of(entry: dict[str, Any]) -> str | None:
    """Return the class of an entry of emoji.json, or None where it has none here."""
    for label, (group, subgroups) in CLASSES.items():
        if entry["category"] == group and re.fullmatch(subgroups, entry["subcategory"]):
            return label
    return None


def candidates(noto: Path, fluent: Path) -> list[Emoji]:
    """List the emoji of the classes that pass the rules on names, in standard order."""
    found: list[Emoji] = []
    seen = dict.fromkeys((pattern for pattern, _ in SERIES), 0)
    entries = json.loads((noto / "emoji.json").read_text(encoding="utf-8"))
    for entry in sorted(entries, key=lambda entry: entry["sort_order"]):
        label, name = label_of(entry), entry["short_name"]
        if label is None or not entry["has_img_google"] or LEFT_OUT.fullmatch(name):
            continue
        series = [p for p, most in SERIES if re.fullmatch(p, name)]
        if any(seen[p] >= most for p, most in SERIES if p in series):
            continue
        seen.update({p: seen[p] + 1 for p in series})
        code = entry["unified"].lower()
        other = fluent / "assets" / f"{code}.webp"
        found.append(Emoji(label, name,
                           noto / "img/google/64" / entry["image"],
                           other if other.is_file() else None))  # fmt: skip
    return found


def shape(path: Path) -> np.ndarray:
    """Return a drawing's grey values on white, 24 x 24, centred and of unit length."""
    drawing = Image.open(path).convert("RGBA")
    page = Image.new("RGBA", drawing.size, "white")
    page.alpha_composite(drawing)
    small = page.convert("L").resize((24, 24), Image.Resampling.BOX)
    grey = np.asarray(small, dtype=np.float64).ravel()
    grey = grey - grey.mean()
    return np.asarray(grey / max(float(np.linalg.norm(grey)), 1e-9))


def distinct(emoji: list[Emoji]) -> list[Emoji]:
    """Keep, in order, each emoji whose drawing is not too like one already kept."""
    kept: list[Emoji] = []
    shapes: list[np.ndarray] = []
    for one in emoji:
        mine = shape(one.noto)
        if all(float(mine @ other) <= TOO_ALIKE for other in shapes):
            kept.append(one)
            shapes.append(mine)
    return kept


def draw_lots(emoji: list[Emoji]) -> list[Emoji]:
    """Put emoji in an order that is mixed but always the same: by the hash of the name."""
    return sorted(emoji, key=lambda one: hashlib.sha256(one.name.encode()).digest())


def divide(emoji: list[Emoji]) -> dict[str, dict[str, Path]]:
    """Divide one class into the drawings shown by Noto and by Fluent: style -> name -> file."""
    mixed = draw_lots(distinct(emoji))
    room = min(FLUENT_MOST, len(mixed) // FLUENT_SHARE)
    fluent = dict([(one.name, one.fluent) for one in mixed if one.fluent][:room])
    noto = dict([(one.name, one.noto) for one in mixed if one.name not in fluent][:NOTO_MOST])
    return {"noto": noto, "fluent": fluent}


def shrink(source: Path, target: Path) -> None:
    """Write `source` as a palette PNG of SIDE x SIDE pixels with its transparency."""
    picture = Image.open(source).convert("RGBA")
    if picture.size != (SIDE, SIDE):
        picture = picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    pixels = np.array(picture)
    pixels[pixels[..., 3] == 0] = 0
    small = Image.fromarray(pixels).quantize(COLOURS, method=Image.Quantize.FASTOCTREE)
    target.parent.mkdir(parents=True, exist_ok=True)
    small.save(target, optimize=True)


def make(out: Path) -> None:
    """Write both styles of every class under `out` and print what was written."""
    for style in ("noto", "fluent"):
        shutil.rmtree(out / style, ignore_errors=True)
    with tempfile.TemporaryDirectory() as temp:
        noto = unpack(NOTO_PACKAGE, Path(temp) / "noto")
        fluent = unpack(FLUENT_PACKAGE, Path(temp) / "fluent")
        everything = candidates(noto, fluent)
        for label in CLASSES:
            styles = divide([one for one in everything if one.label == label])
            for style, drawings in styles.items():
                for name, source in drawings.items():
                    shrink(source, out / style / label / f"{name}.png")
            counts = "  ".join(f"{style} {len(files):3}" for style, files in styles.items())
            print(f"{label:20} {counts}")
    sizes = [path.stat().st_size for path in out.rglob("*.png")]
    print(f"{len(sizes)} pictures, {sum(sizes)} bytes")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent)
    make(parser.parse_args().out)
