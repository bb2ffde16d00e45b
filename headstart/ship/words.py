"""What a run did and how well, in plain sentences; made from its records, whatever its task."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

Json = Mapping[str, Any]

_BASELINES = {
    "majority": "always guessing the commonest",
    "pixels": "a linear model on raw pixels",
    "colour": "a linear model on colour and place",
    "tfidf": "a linear model on word counts",
    "lead-1": "taking the first sentence",
    "lead-3": "taking the first three sentences",
    "title": "copying the title",
    "oracle": "the best whole sentences, chosen knowing the answer",
    "oracle-cut": "the best parts of the best sentences, chosen knowing the answer",
    "copy": "copying the input",
}
_LAYERS = {
    "last": "the last block only",
    "all": "every block",
    "deep": "the deeper blocks",
}
_SCRIPTS = {
    "²": "<sup>2</sup>",
    "ᵢ": "<sub><i>i</i></sub>",
    "₁": "<sub>1</sub>",
    "₂": "<sub>2</sub>",
}
_METRICS = {
    "accuracy": ("Accuracy", "share that is right"),
    "precision_macro": ("Precision", "mean over classes"),
    "recall_macro": ("Recall", "mean over classes"),
    "f1_macro": ("F1", "mean over classes"),
    "log_loss": ("Log loss", "nats, lower is better"),
    "ece": ("Calibration error", "lower is better"),
    "ood_rate": ("Unlike the training data", "share of inputs"),
    "miou": ("Mean IoU", "mean over classes"),
    "pixel_accuracy": ("Pixel accuracy", "share that is right"),
    "dice_macro": ("Dice", "mean over classes"),
    "rouge1": ("ROUGE-1", "higher is better"),
    "rouge2": ("ROUGE-2", "higher is better"),
    "rougeL": ("ROUGE-L", "higher is better"),
    "rougeLsum": ("ROUGE-L, line by line", "higher is better"),
    "bleu": ("BLEU", "higher is better"),
    "chrf": ("chrF", "higher is better"),
}


def noun(fitted: Json) -> str:
    """Return what the examples are, in the plural: else the engine's unit without its "/s"."""
    unit = str(fitted.get("split", {}).get("unit") or fitted.get("engine", {}).get("unit") or "")
    return unit.partition("/")[0] or "examples"


def metric(name: str) -> tuple[str, str]:
    """Return a metric's name and its reading for people."""
    return _METRICS.get(name, (name, ""))


def baseline(name: str) -> str:
    """Return what a baseline does, in words."""
    return _BASELINES.get(name, f"the baseline “{name}”")


def layers(name: str) -> str:
    """Return which blocks a head sees, in words."""
    return _LAYERS.get(name, f"the layer set “{name}”")


def percent(share: float) -> str:
    """Write a share as a percentage, never rounding to 0% or 100% what is not."""
    if 0 < share < 0.005 or 0.995 <= share < 1:
        return f"{min(max(100 * share, 0.1), 99.9):.1f}%"
    return f"{100 * share:.0f}%"


def percent_range(low: float | None, high: float | None) -> str:
    """Write an interval of shares as percentages, empty where there is none."""
    if low is None or high is None:
        return ""
    return f"{percent(low).rstrip('%')}–{percent(high)}"


def figure(value: float | None) -> str:
    """Write a metric's value with three decimals."""
    return "–" if value is None else f"{value:.3f}"


def number(value: float) -> str:
    """Write a number with thousands separated, small ones to three significant digits."""
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def seconds(value: float) -> str:
    """Write a duration."""
    if value < 90:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def left_out(fitted: Json, evaluation: Json) -> list[Json]:
    """Return what fitting and evaluating dropped, each once."""
    return together(fitted.get("dropped", ()), evaluation.get("dropped", ()))


def together(first: Sequence[Json], second: Sequence[Json]) -> list[Json]:
    """Join two lists of records without saying anything twice."""
    return [*first, *(one for one in second if one not in first)]


def headline(fitted: Json, evaluation: Json) -> str:
    """Return the run in one sentence: what it does, how well, on how many examples it never saw."""
    base, kinds, things = _base(fitted), len(fitted.get("classes", ())), noun(fitted)
    metrics = evaluation.get("metrics", {})
    sorts = kinds and "accuracy" in metrics
    does = f"{base} tells {kinds} kinds of {things} apart" if sorts else f"{base}, fine-tuned on {things}"
    if "accuracy" in metrics:
        right = metrics["accuracy"]
        spread = percent_range(right["low"], right["high"])
        share = f"{percent(right['value'])} right on {right['n']:,} {things} it never saw"
        return f"{does}: {share} ({spread})" if spread else f"{does}: {share}"
    for name, one in metrics.items():
        spread = f" ({figure(one['low'])}–{figure(one['high'])})" if one["low"] is not None else ""
        return (
            f"{does}: {metric(name)[0]} {figure(one['value'])}{spread} on {one['n']:,} {things} it never saw"
        )
    return does


def comparison(evaluation: Json) -> str:
    """Return what the baselines reach, and whether the model is clearly better; empty without any."""
    metrics, baselines = evaluation.get("metrics", {}), evaluation.get("baselines", {})
    shared = {name: one["accuracy"] for name, one in baselines.items() if "accuracy" in one}
    if "accuracy" not in metrics or not shared:
        return ""
    reached = [f"{baseline(name)} would get {percent(one['value'])}" for name, one in shared.items()]
    reached[1:] = [text.replace(" would get", "") for text in reached[1:]]
    sentence = ", ".join(reached) + "."
    return f"{sentence[0].upper()}{sentence[1:]}{_caution(metrics['accuracy'], shared)}"


def _caution(model: Json, baselines: Mapping[str, Json]) -> str:
    """Say so where the model is not clearly better than its best baseline."""
    best = max(baselines, key=lambda name: float(baselines[name]["value"]))
    if model["low"] is None:
        return " How certain that is cannot be computed here."
    if model["low"] <= baselines[best]["value"]:
        return f" The model is not clearly better than {baseline(best)}."
    return ""


def steps(fitted: Json, evaluation: Json) -> list[tuple[str, str]]:
    """Return what was done, as (title, sentences), in order; what a run does not record is left out."""
    told = (
        ("Read", _read(fitted, evaluation)),
        ("Split", _split(fitted)),
        ("Freeze", _freeze(fitted)),
        ("Choose", _choose(fitted)),
        ("Train", _train(fitted)),
        ("Evaluate", _looked(evaluation)),
    )
    return [(title, text) for title, text in told if text]


def formula(text: str) -> Markup:
    """Set a formula in HTML: fractions, subscripts and superscripts; everything else escaped."""
    # Single letters are variables.
    html = re.sub(r"(?<![A-Za-z&;])([A-Za-z])(?![A-Za-z;])", r"<i>\1</i>", str(escape(text)))
    for mark, tag in _SCRIPTS.items():
        html = html.replace(mark, tag)
    fraction = '<span class="fraction"><span>{}</span><span>{}</span></span>'
    html = html.replace("1/<i>N</i>", fraction.format("1", "<i>N</i>")).replace(
        "λ/2", fraction.format("<i>λ</i>", "2")
    )
    if html.startswith("min over ") and " of " in html:
        over, rest = html.removeprefix("min over ").split(" of ", 1)
        html = f'<span class="under"><span>min</span><span>{over}</span></span> {rest}'
    return Markup(html)  # noqa: S704 - escaped above; only our own tags were added


def _base(fitted: Json) -> str:
    name = str(fitted.get("base", "the model")).split(":", 1)[-1]
    return f"{name} from random weights" if fitted.get("model", {}).get("random_init") else name


def _read(fitted: Json, evaluation: Json) -> str:
    split, things = fitted.get("split", {}), noun(fitted)
    total = sum(split.get(role, 0) for role in ("train", "val", "test"))
    if not total:
        return ""
    classes, dropped = len(fitted.get("classes", ())), len(left_out(fitted, evaluation))
    kinds = f" of {classes} classes" if classes else ""
    left = f"{dropped:,} could not be used (listed below)" if dropped else "none had to be left out"
    return f"{total:,} {things}{kinds} were read and used; {left}."


def _split(fitted: Json) -> str:
    split = fitted.get("split", {})
    roles = (("train", "to learn from"), ("val", "to choose by"), ("test", "to report on"))
    sizes = ", ".join(f"{split[role]:,} {use}" for role, use in roles if split.get(role))
    made = str(split.get("made", ""))
    return f"{made[:1].upper()}{made[1:]}: {sizes}." if made and sizes else made or sizes


def _freeze(fitted: Json) -> str:
    engine, model, things = fitted.get("engine", {}), fitted.get("model", {}), noun(fitted)
    what = f"{_base(fitted)} stayed as it was pretrained"
    what += f" (licence: {model['licence']})" if model.get("licence") else ""
    adapted = "".join(f" {said}." for said in model.get("adapted", ()))
    text = f"{what}.{adapted} It looked at each of the {things} once, and its features were kept."
    if engine.get("rates", {}).get(engine.get("name")):
        rate = engine["rates"][engine["name"]]
        why = f": {engine['why']}" if engine.get("why") else ""
        text += f" It ran in {engine['name']} at {rate:,.0f} {engine.get('unit', things + '/s')}{why}."
    elif engine.get("why"):
        text += f" {str(engine['why'])[:1].upper()}{str(engine['why'])[1:]}."
    return text


def _choose(fitted: Json) -> str:
    objective = fitted.get("objective", {})
    tried = objective.get("chosen", ())
    if not objective.get("layers"):
        return ""
    text = f"The head sees {layers(objective['layers'])}"
    if objective.get("features"):
        text += f": {objective['features']:,} numbers from each of the {noun(fitted)}"
    if len(tried) > 1:
        among = f"among {len(tried)} candidates by log loss on validation data"
        text += f". That and the penalty λ were chosen {among}"
    return text + "."


def _train(fitted: Json) -> str:
    objective = fitted.get("objective", {})
    if "examples" not in objective:
        return ""
    parameters = objective.get("parameters") or fitted.get("model", {}).get("parameters_trained")
    size = f" with {parameters:,} weights" if parameters else ""
    text = f"A head{size} was trained on {objective['examples']:,} {noun(fitted)}"
    return text + (f" ({objective['solver']})." if objective.get("solver") else ".")


def _looked(evaluation: Json) -> str:
    looks, split = evaluation.get("looks", 0), evaluation.get("split", "test")
    if not looks:
        return ""
    if looks == 1:
        return f"The {split} split was scored once, after everything had been chosen."
    return (
        f"The {split} split has been looked at {looks} times with this run. "
        "Whoever chooses by what they saw there makes these figures too good."
    )
