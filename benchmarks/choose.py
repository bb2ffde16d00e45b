"""Does ``choose`` pick the model that ``fit`` does best with? Eight data sets, eight bases, all pairs fitted.

For each data set: ``choose``, which looks at ``--examples`` training examples with each base and goes on
with those that lead; then ``fit`` with each base, in caches of their own. Both are timed, in processor
seconds too, which what else the machine does hardly moves. Which examples are drawn is chance, so ``choose``
looks ``--looks`` times, at another sample each time; the first alone is timed. Regret@k is the best test
accuracy that any base reaches, less the best among the first k that are named; weighted tau (Vigna 2015)
compares whole rankings; both are means over looks, then over data sets. Beside the forecast stand the static
prior (the ranking by source accuracy, the same for all data; a base without one counts as average, and comes
after what it ties with) and each estimator alone, at the first look and with the forecast's race. The
weights were fitted on these sets: what counts is ``left out``, forecasts with weights fitted on the others.
Command: ``python -m benchmarks.choose``; ``--again`` only evaluates what is recorded.
"""

import argparse
import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import weightedtau

import headstart
from benchmarks import choosing_data, measure
from benchmarks.choosing_bases import PACKS, built
from headstart.core.records import Chosen, Looked, to_json
from headstart.data.split import FOLDS
from headstart.maths.forecast import (
    ANCHOR,
    PRIOR,
    PRIOR_EXAMPLES,
    WEIGHTS,
    Forecast,
    forecasts,
    levelled,
)

NAME = "choose"
PUBLISHED = (*PACKS, "digits")
"""A pool in which the prior knows all but one."""
LEFT_OUT = "forecast, left out"
TARGET_REGRET, TARGET_TIME = 0.01, 0.2
SHIPPED = {**WEIGHTS, PRIOR: PRIOR_EXAMPLES}
"""The weight of each estimate, and how many examples the prior counts as."""
GRID = {"brier": (0.0, 0.5, 1.0, 2.0), "knn": (0.0, 0.5, 1.0), PRIOR: (0, 75, 150, 300, 600, 1200)}
"""What is fitted beside the anchor's weight of 1: eight sets are too few to fit more."""

Pairs = Mapping[str, Any]
"""Of one data set: bases, looks (each with estimates by name), accuracies reached, seconds."""


def measured(name: str, folder: Path, named: Mapping[str, str], given: argparse.Namespace) -> dict[str, Any]:
    """Choose among all bases for one data set, then fit every one; return all figures."""
    data = folder / name
    choosing_data.DATA[name](data, given.train, given.test)
    how = {"bases": ",".join(named), "examples": given.examples, "image_size": given.image_size}
    os.environ["HEADSTART_HOME"] = str(folder / "home-choose")
    first, *choose_s = timed(lambda: headstart.choose(str(data), **how))
    looks = [first]
    os.environ["HEADSTART_HOME"] = str(folder / "home-fit")
    reached, seconds = {}, {}
    for base, short in named.items():
        spec = {"out": str(folder / f"{name}-{short}"), "base": base, "image_size": given.image_size}
        run, *seconds[short] = timed(partial(headstart.fit, str(data), **spec))
        reached[short] = vars_of(run.metrics["accuracy"])
    # Beside the runs, every feature of these is in the store.
    looks += [headstart.choose(str(data), seed=seed, **how) for seed in range(1, given.looks)]
    ranked = {named[one.base]: one for one in looks[0].ranking}
    bases = [short for short in named.values() if short in ranked]
    return {
        "train": run.split["train"],
        "bases": bases,
        PRIOR: [ranked[one].source_score for one in bases],
        "looks": [looked(one, named) for one in looks],
        "milliseconds": [ranked[one].milliseconds for one in bases],
        "accuracy": [reached[one] for one in bases],
        "choose_s": choose_s[0],
        "choose_processor_s": choose_s[1],
        "fit_s": [seconds[one][0] for one in bases],
        "fit_processor_s": [seconds[one][1] for one in bases],
    }


def timed(call: Callable[[], Any]) -> tuple[Any, float, float]:
    """Return what a call returns, its seconds, and those that this process had a processor for."""
    started, worked = time.perf_counter(), time.process_time()
    found = call()
    return found, round(time.perf_counter() - started, 1), round(time.process_time() - worked, 1)


def looked(chosen: Chosen, named: Mapping[str, str]) -> dict[str, Any]:
    """Return what was looked at with each base, by its short name, as JSON."""
    return {named[one.base]: to_json(one.looks) for one in chosen.ranking}


def vars_of(metric: Any) -> dict[str, float]:
    """Return a metric as JSON."""
    return {name: getattr(metric, name) for name in ("value", "low", "high", "n")}


def reached_by(one: Pairs) -> np.ndarray:
    """Return the test accuracies [B] that the bases reached."""
    return np.array([accuracy["value"] for accuracy in one["accuracy"]])


def scored(scores: Sequence[float | None], one: Pairs) -> dict[str, float]:
    """Return regret@1, regret@3 and weighted tau of a ranking; a missing score counts as average."""
    known = [score for score in scores if score is not None]
    filled = np.array([np.mean(known) if score is None else score for score in scores])
    reached = reached_by(one)
    order = np.argsort(-filled, kind="stable")
    regrets = {f"regret@{k}": float(reached.max() - reached[order[:k]].max()) for k in (1, 3)}
    return {**regrets, "tau": float(weightedtau(filled, reached).statistic)}


def looks_in(one: Pairs, look: Mapping[str, Any], raced: bool = True) -> list[tuple[Looked, ...]]:
    """Return what was looked at with each base, in their order; without the race, the first time alone."""
    return [tuple(Looked(**each) for each in look[base][: None if raced else 1]) for base in one["bases"]]


def forecast(
    one: Pairs, look: Mapping[str, Any], weights: Mapping[str, float] = SHIPPED, raced: bool = True
) -> list[Forecast]:
    """Return the bases' forecasts from one run of choose, with some weights."""
    looks = looks_in(one, look, raced)
    seen = [each[-1].examples for each in looks]
    growth = one["train"] / (max(seen) * (1 - 1 / FOLDS))
    of_examples = {name: weight for name, weight in weights.items() if name != PRIOR}
    estimates = {**levelled(looks), PRIOR: one[PRIOR]}
    return forecasts(estimates, seen, growth, of_examples, weights[PRIOR])


def values_in(one: Pairs, weights: Mapping[str, float] = SHIPPED, raced: bool = True) -> np.ndarray:
    """Return the forecasts' values [looks, B]."""
    return np.array([[b.value for b in forecast(one, look, weights, raced)] for look in one["looks"]])


def fitted_weights(sets: Sequence[Pairs]) -> dict[str, float]:
    """Return the weights, out of a coarse grid, with the least squared error of the forecast.

    Errors are taken less their mean over the bases of a look: what a small sample costs all bases alike
    does not move the ranking.
    """
    best, least = dict(SHIPPED), np.inf
    for others in itertools.product(*GRID.values()):
        weights = {ANCHOR: 1.0, **dict(zip(GRID, others, strict=True))}
        error = np.mean([np.var(reached_by(one) - values_in(one, weights), axis=1).mean() for one in sets])
        if error < least - 1e-9:
            best, least = weights, error
    return best


def fitted_gain(sets: Sequence[Pairs]) -> float:
    """Return the power by which what is missing to 1 shrank from the first look's examples to fit's."""

    def error(gain: float) -> float:
        off = []
        for one in sets:
            for look in one["looks"]:
                looks = looks_in(one, look, raced=False)
                seen = [each[0].examples for each in looks]
                at_first = forecasts({**levelled(looks), PRIOR: one[PRIOR]}, seen)
                growth = one["train"] / (max(seen) * (1 - 1 / FOLDS))
                off += list(reached_by(one) - [1 - (1 - b.value) * growth**-gain for b in at_first])
        return float(np.mean(np.square(off)))

    return round(float(min(np.arange(0.0, 1.01, 0.05), key=error)), 2)


def spread_of(sets: Sequence[Pairs]) -> float:
    """Return how far forecasts lay off beyond what counting so many examples explains, on both sides."""
    beyond = []
    for one in sets:
        for look in one["looks"]:
            looks = looks_in(one, look)
            for b, each, a in zip(forecast(one, look), looks, one["accuracy"], strict=True):
                chance = b.value * (1 - b.value) * (1 / each[-1].examples + 1 / a["n"])
                beyond.append((a["value"] - b.value) ** 2 - chance)
    return round(float(np.sqrt(max(np.mean(beyond), 0.0))), 4)


def rankings(one: Pairs, weights: Mapping[str, float]) -> list[dict[str, Sequence[float | None]]]:
    """Return what each way to rank says of the bases, for each look; ``weights`` are those left out."""
    values = {
        "forecast": values_in(one),
        "forecast, no race": values_in(one, raced=False),
        LEFT_OUT: values_in(one, weights),
    }
    found = []
    for place, look in enumerate(one["looks"]):
        first, last = levelled(looks_in(one, look, raced=False)), levelled(looks_in(one, look))
        singles = {**first, **{f"{way}, raced": each for way, each in last.items()}, PRIOR: one[PRIOR]}
        ours = {way: list(each[place]) for way, each in values.items()}
        found.append({**{w: e for w, e in singles.items() if any(s is not None for s in e)}, **ours})
    return found


def by_set(sets: Mapping[str, Pairs], left_out: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """Return what every way to rank reaches on each data set, the mean over looks: way -> set -> figures."""
    ways: dict[str, dict[str, dict[str, float]]] = {}
    for name, one in sets.items():
        rows: dict[str, list[dict[str, float]]] = {}
        for found in rankings(one, left_out[name]):
            for way, scores in found.items():
                rows.setdefault(way, []).append(scored(scores, one))
        for way, each in rows.items():
            ways.setdefault(way, {})[name] = {key: float(np.mean([o[key] for o in each])) for key in each[0]}
    return ways


def compared(sets: Mapping[str, Pairs]) -> dict[str, Any]:
    """Return what every way to rank reaches, and how much less the forecast's regret is, weights left out."""
    left_out = {
        name: fitted_weights([other for key, other in sets.items() if key != name] or [one])
        for name, one in sets.items()
    }
    ways = by_set(sets, left_out)
    return {
        "ways": {way: _means(list(rows.values())) for way, rows in ways.items()},
        "forecast_less": {
            way: _difference(ways[LEFT_OUT], rows) for way, rows in ways.items() if way != LEFT_OUT
        },
        "regret@1_by_set": {
            way: {name: round(each["regret@1"], 4) for name, each in rows.items()}
            for way, rows in ways.items()
        },
        "weights_left_out": left_out,
    }


def only(bases: Sequence[str], one: Pairs) -> dict[str, Any]:
    """Return a data set's figures as if there were no other bases."""
    kept = [place for place, base in enumerate(one["bases"]) if base in bases]
    lists = ("bases", PRIOR, "milliseconds", "accuracy", "fit_s", "fit_processor_s")
    return {**one, **{name: [one[name][place] for place in kept] for name in lists}}


def evaluated(sets: Mapping[str, Pairs]) -> dict[str, Any]:
    """Return what every way to rank reaches on average, how far forecasts lay off, and the times."""
    covered, off = [], []
    for one in sets.values():
        for look in one["looks"]:
            pairs = list(zip(forecast(one, look), one["accuracy"], strict=True))
            covered += [f.low <= a["value"] <= f.high for f, a in pairs]
            off += [a["value"] - f.value for f, a in pairs]
    seconds = {}
    for kind in ("s", "processor_s"):
        choose_s = sum(one[f"choose_{kind}"] for one in sets.values())
        fit_s = sum(sum(one[f"fit_{kind}"]) for one in sets.values())
        seconds |= {f"choose_{kind}": round(choose_s, 1), f"fit_all_{kind}": round(fit_s, 1)}
        seconds[f"share_of_{kind}"] = round(choose_s / fit_s, 3)
    published = {name: only(PUBLISHED, one) for name, one in sets.items()}
    return {
        **compared(sets),
        "among_published": compared(published),
        "coverage_of_95%_intervals": round(float(np.mean(covered)), 3),
        "reached_less_forecast": {"mean": round(float(np.mean(off)), 4), "sd": round(float(np.std(off)), 4)},
        "weights": SHIPPED,
        "weights_fitted_on_all": fitted_weights(list(sets.values())),
        "gain_fitted_on_all": fitted_gain(list(sets.values())),
        "spread": spread_of(list(sets.values())),
        **seconds,
    }


def _difference(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, float]:
    """Return the mean over data sets of the difference in regret@1, paired, and its standard error."""
    apart = [ours[name]["regret@1"] - theirs[name]["regret@1"] for name in theirs]
    error = np.std(apart) / np.sqrt(max(len(apart) - 1, 1))
    return {"regret@1": round(float(np.mean(apart)), 4), "standard_error": round(float(error), 4)}


def _means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean over data sets of each figure, and the standard error of the first."""
    means = {key: round(float(np.mean([row[key] for row in rows])), 4) for key in rows[0]}
    regrets = [row["regret@1"] for row in rows]
    return {**means, "standard_error": round(float(np.std(regrets) / np.sqrt(max(len(rows) - 1, 1))), 4)}


def shown(found: Mapping[str, Any], of: str) -> None:
    """Print what every way to rank reaches."""
    rows = []
    for way, one in found["ways"].items():
        apart = found["forecast_less"].get(way)
        less = "" if apart is None else f"{apart['regret@1']:+.4f} ± {apart['standard_error']:.4f}"
        figures = (f"{one[key]:.4f}" for key in ("regret@1", "standard_error", "regret@3", "tau"))
        rows.append([way, *figures, less])
    heads = ["regret@1", "its error", "regret@3", "weighted tau", "forecast's regret@1 less this"]
    measure.print_table([of, *heads], rows)


def told(record: Mapping[str, Any]) -> int:
    """Print the figures; return 0 where every target is reached, else 1."""
    shown(record["evaluated"], "all, ranked by")
    shown(record["evaluated"]["among_published"], "packs and digits, ranked by")
    ways = record["evaluated"]["ways"]
    others = [one["regret@1"] for way, one in ways.items() if not way.startswith("forecast")]
    regret, share = ways[LEFT_OUT]["regret@1"], record["evaluated"]["share_of_processor_s"]
    whole = record["evaluated"]["share_of_s"]
    print(f"choose took {share:.2f} of the processor time of fitting all bases, {whole:.2f} of the seconds")
    passed = {
        f"mean regret@1 {regret:.4f} <= {TARGET_REGRET}": regret <= TARGET_REGRET,
        f"regret@1 below the best single one's, {min(others):.4f}": regret < min(others),
        f"processor time {share:.2f} < {TARGET_TIME}": share < TARGET_TIME,
    }
    for what, reached in passed.items():
        print("PASS" if reached else "FAIL", what)
    return 0 if all(passed.values()) else 1


def main() -> int:
    """Measure every pair, evaluate, print and record."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--train", type=int, default=2000, help="at most so many examples to train on")
    parser.add_argument("--test", type=int, default=1000, help="at most so many to test on")
    parser.add_argument("--examples", type=int, default=200, help="how many choose looks at first")
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--looks", type=int, default=5, help="how often, at another sample each time")
    parser.add_argument("--only", default=",".join(choosing_data.DATA))
    parser.add_argument("--again", action="store_true", help="only evaluate what is recorded")
    given = parser.parse_args()
    path = measure.RESULTS / f"{NAME}.json"
    if given.again:
        record = json.loads(path.read_text())
    else:
        record = {"machine": measure.machine(), "asked": vars(given), "sets": {}}
        with tempfile.TemporaryDirectory() as folder:
            where = Path(folder)
            os.environ["HEADSTART_HOME"] = str(where / "home-runs")
            named = built(where, given.image_size)
            for name in given.only.split(","):
                record["sets"][name] = measured(name, where, named, given)
                print(name, json.dumps(record["sets"][name]), flush=True)
                measure.write_result(NAME, record)  # what is measured is kept, whatever comes
    record["evaluated"] = evaluated(record["sets"])
    measure.write_result(NAME, record)
    return told(record)


if __name__ == "__main__":
    sys.exit(main())
