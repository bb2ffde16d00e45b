"""What a run did and how well, in plain sentences; made from its records, whatever its task."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from headstart.core.records import Chosen

Json = Mapping[str, Any]

_BASELINES = {
    "majority": "always guessing the commonest",
    "prior": "knowing how common each label is",
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
_CEILINGS = ("oracle", "oracle-cut")
"""What knows the answer: nothing to beat."""
OF_100 = ("bleu", "chrf")
"""Figures of 0 to 100; the others are shares, or have no upper bound."""
_LAYERS = {
    "last": "the last block only",
    "all": "every block",
    "deep": "the deeper blocks",
    "mixed": "every block, the last one counting half",
}
_SCRIPTS = {
    "²": "<sup>2</sup>",
    "ᵢ": "<sub><i>i</i></sub>",
    "₁": "<sub>1</sub>",
    "₂": "<sub>2</sub>",
    "₀": "<sub>0</sub>",
    "ₜ": "<sub><i>t</i></sub>",
    "₋": "<sub>−</sub>",
}
_METRICS = {
    "accuracy": ("Accuracy", "share that is right"),
    "precision_macro": ("Precision", "mean over classes"),
    "recall_macro": ("Recall", "mean over classes"),
    "f1_macro": ("F1", "mean over classes"),
    "f1_micro": ("F1", "over all decisions"),
    "precision_micro": ("Precision", "over all decisions"),
    "recall_micro": ("Recall", "over all decisions"),
    "mean_average_precision": ("Average precision", "mean over labels"),
    "subset_accuracy": ("All labels right", "share of examples"),
    "hamming_loss": ("Hamming loss", "share of wrong decisions"),
    "log_loss": ("Log loss", "nats, lower is better"),
    "brier": ("Brier score", "squared error of probabilities, lower is better"),
    "ece": ("Calibration error", "lower is better"),
    "ood_rate": ("Unlike the training data", "share flagged; 5% where it is like it"),
    "ood_rate_against": ("The other kind flagged", "share of inputs"),
    "ood_auroc": ("The other kind told apart", "AUROC; 0.5 is chance"),
    "coverage": ("Coverage", "share of sets with the right class"),
    "set_size": ("Size of sets", "classes, on average"),
    "miou": ("Mean IoU", "mean over classes"),
    "iou_loss": ("1 − mean IoU", "lower is better"),
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
    plainly, _, spoilt = name.partition("@")
    called, reading = _METRICS.get(plainly, (plainly, ""))
    return (f"{called} under {spoilt}", reading) if spoilt else (called, reading)


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


def figure(value: float | None, name: str = "") -> str:
    """Write a metric's value with three decimals, or one where it is of 100."""
    return "–" if value is None else f"{value:.1f}" if name in OF_100 else f"{value:.3f}"


def number(value: float) -> str:
    """Write a number with thousands separated, small ones to three significant digits."""
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def plain(value: Any) -> str:
    """Write a value of a record as a person would: yes and no, numbers, what is in it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return number(value)
    if isinstance(value, Mapping):
        held = {key: plain(one) for key, one in value.items()}
        return ", ".join(f"{str(key).replace('_', ' ')} {text}" for key, text in held.items() if text)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return " ".join(plain(one) for one in value)
    return str(value)


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
    frozen = fitted.get("strategy", "head") == "head"
    learnt = f"{base} with a head trained on {things}" if frozen else f"{base}, fine-tuned on {things}"
    does = f"{base} tells {kinds} kinds of {things} apart" if sorts else learnt
    if "accuracy" in metrics:
        right = metrics["accuracy"]
        spread = percent_range(right["low"], right["high"])
        share = f"{percent(right['value'])} right on {_scored_on(right['n'], things, evaluation)}"
        return f"{does}: {share} ({spread})" if spread else f"{does}: {share}"
    if not metrics:
        return does
    name = _leading(metrics)
    value, low, high = (figure(metrics[name][part], name) for part in ("value", "low", "high"))
    spread = "" if metrics[name]["low"] is None else f" ({low}–{high})"
    return (
        f"{does}: {metric(name)[0]} {value}{spread} on {_scored_on(metrics[name]['n'], things, evaluation)}"
    )


def _scored_on(count: int, things: str, evaluation: Json) -> str:
    seen = evaluation.get("seen", 0)
    if not seen:
        return f"{count:,} {things} it never saw"
    return f"{count:,} {things}, {'all' if seen >= count else f'{seen:,}'} of which it has seen before"


def _leading(metrics: Json) -> str:
    """Return the metric that stands for all: accuracy where there is one, else the first."""
    return "accuracy" if "accuracy" in metrics else next(iter(metrics))


def comparison(evaluation: Json) -> str:
    """Return what the baselines reach, and whether the model is clearly better; empty without any."""
    metrics, baselines = evaluation.get("metrics", {}), evaluation.get("baselines", {})
    name = _leading(metrics) if metrics else ""
    shared = {one: figures[name] for one, figures in baselines.items() if name in figures}
    rivals = {one: figures for one, figures in shared.items() if one not in _CEILINGS}
    if not rivals:
        return ""
    write = percent if name == "accuracy" else lambda value: figure(value, name)
    reached = [f"{baseline(one)} would get {write(figures['value'])}" for one, figures in rivals.items()]
    reached[1:] = [text.replace(" would get", "") for text in reached[1:]]
    sentence = ", ".join(reached) + "."
    return f"{sentence[0].upper()}{sentence[1:]}{_caution(metrics[name], rivals)}"


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
        ("Evaluate", looked(evaluation)),
    )
    return [(title, text) for title, text in told if text]


def formula(text: str) -> Markup:
    """Set a formula in HTML: fractions, subscripts and superscripts; everything else escaped."""
    # Single letters are variables.
    html = re.sub(r"(?<![A-Za-z&;])([A-Za-z])(?![A-Za-z;])", r"<i>\1</i>", str(escape(text)))
    for mark, tag in _SCRIPTS.items():
        html = html.replace(mark, tag)
    fraction = '<span class="fraction"><span>{}</span><span>{}</span></span>'
    html = re.sub(r"1/(<i>[ANT]</i>)", lambda found: fraction.format("1", found[1]), html)
    html = html.replace("λ/2", fraction.format("<i>λ</i>", "2"))
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
    licence = f" (licence: {model['licence']})" if model.get("licence") else ""
    if fitted.get("strategy", "head") == "head":
        text = f"{_base(fitted)}{licence} stayed as it was pretrained."
    else:
        text = f"{_base(fitted)}{licence} was trained further, with the head, and then frozen anew."
    text += "".join(f" {said}." for said in model.get("adapted", ()))
    text += f" It looked at each of the {things} once, and its features were kept."
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
        rows = str(fitted.get("engine", {}).get("unit") or noun(fitted)).partition("/")[0]
        text += f": {objective['features']:,} numbers from each of the {rows}"
    if len(tried) > 1:
        among = f"among {len(tried)} candidates by log loss on validation data"
        text += f". That and the penalty λ were chosen {among}"
    if len(objective.get("forms", ())) > 1:
        form = f"{objective['length']}, {objective['cut']}"
        text += f". It writes {form}: the best of {len(objective['forms'])} forms by ROUGE on the same data"
    if "threshold" in objective:
        text += f". A label is given from a probability of {figure(objective['threshold'])} on: there F1 was "
        text += "highest on the same data"
    return text + "."


def _train(fitted: Json) -> str:
    objective = fitted.get("objective", {})
    if "examples" not in objective:
        return ""
    parameters = objective.get("parameters") or fitted.get("model", {}).get("parameters_trained")
    if fitted.get("strategy", "head") == "head":
        text = f"A head{f' with {parameters:,} weights' if parameters else ''} was"
    else:
        text = f"The model and its head{f', {parameters:,} weights in all,' if parameters else ''} were"
    text += f" trained on {objective['examples']:,} {noun(fitted)}"
    return text + (f" ({objective['solver']})." if objective.get("solver") else ".")


def looked(evaluation: Json) -> str:
    """Say how often these examples were looked at, and what the intervals mean after that; empty if never."""
    looks, split = evaluation.get("looks", 0), evaluation.get("split", "test")
    what = "The data" if split == "all" else f"The {split} split"
    if not looks:
        return ""
    if looks == 1:
        return f"{what} was scored once, after everything had been chosen."
    return (
        f"{what} has been looked at {looks} times with this run. An interval covers the chance of which "
        "examples were drawn, for a model that was settled before anybody looked. Looking again changes "
        "nothing as long as nothing is chosen by it; whoever chooses a model, an option or a threshold by "
        "what they saw here makes these figures too good, and needs new examples for an interval that holds."
    )


def models_left_out(chosen: Chosen) -> list[str]:
    """Return who was left out and why, those together whose reasons differ in their names alone."""
    alike: dict[str, list[str]] = {}
    for one in chosen.left_out:
        said = one.reason.removeprefix(one.base)
        alike.setdefault(said if said != one.reason else f": {said}", []).append(one.base)
    return [
        ", ".join(bases) + (" each" if len(bases) > 1 and said.startswith(" is ") else "") + said
        for said, bases in alike.items()
    ]
