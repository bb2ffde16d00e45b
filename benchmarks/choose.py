"""Does ``choose`` pick the model that ``fit`` does best with? Eight data sets, six bases, every pair fitted.

For each data set: ``choose`` on ``--examples`` training examples, then ``fit`` with each base, in caches of
their own; both are timed, in processor seconds too, which what else the machine does hardly moves. Which
examples are drawn is chance, so ``choose`` looks ``--looks`` times, at another sample each time; the first
look alone is timed. Regret@k is the best test accuracy that any base reaches, less the best among the first k
that are named; weighted tau (Vigna 2015) compares whole rankings; both are means over looks, then over data
sets. Beside the forecast stand the static prior (the ranking by source accuracy, the same for all data) and
each estimator alone. Forecasts are also made with weights fitted on the other data sets alone (``left out``).
Command: ``python -m benchmarks.choose``; ``--again`` only evaluates what is recorded.
"""

import argparse
import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import weightedtau

import headstart
from benchmarks import choosing_data, measure
from headstart.core.records import Chosen
from headstart.data.split import FOLDS
from headstart.maths.forecast import ANCHOR, PRIOR, PRIOR_EXAMPLES, WEIGHTS, Forecast, forecasts

NAME = "choose"
PACKS = ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2", "squeezenet1_1", "vgg16-hed")
TUNED = "lite0 tuned on digits"
TARGET_REGRET, TARGET_TIME = 0.01, 0.2
SHIPPED = {**WEIGHTS, PRIOR: PRIOR_EXAMPLES}
"""The weight of each estimate, and how many examples the prior counts as."""
GRID = {"brier": (0.0, 0.5, 1.0, 2.0), "knn": (0.0, 0.5, 1.0), PRIOR: (0, 75, 150, 300, 600, 1200)}
"""What is fitted beside the anchor's weight of 1: eight sets are too few to fit more."""

Pairs = Mapping[str, Any]
"""Of one data set: bases, looks (each with estimates by name), accuracies reached, seconds."""


def measured(name: str, folder: Path, tuned: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Choose among all bases for one data set, then fit every one; return all figures."""
    data = folder / name
    choosing_data.DATA[name](data, given.train, given.test)
    named = {**{f"pack:{one}": one for one in PACKS}, f"timm:{tuned}": TUNED}
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
        "examples": looks[0].examples,
        "growth": round(run.split["train"] / (looks[0].examples * (1 - 1 / FOLDS)), 3),
        "bases": bases,
        "looks": [estimates_of(one, named, bases) for one in looks],
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


def estimates_of(chosen: Chosen, named: Mapping[str, str], bases: Sequence[str]) -> dict[str, Any]:
    """Return each estimate, by name, of the bases in their order."""
    ranked = {named[one.base]: one for one in chosen.ranking}
    estimates = {key: [ranked[one].estimates[key] for one in bases] for key in chosen.ranking[0].estimates}
    return {**estimates, PRIOR: [ranked[one].source_score for one in bases]}


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


def found_in(one: Pairs, weights: Mapping[str, float] = SHIPPED) -> Iterator[list[Forecast]]:
    """Yield each look's forecasts of the bases, with some weights."""
    of_examples = {name: weight for name, weight in weights.items() if name != PRIOR}
    for estimates in one["looks"]:
        yield forecasts(estimates, one["examples"], one["growth"], of_examples, weights[PRIOR])


def values_in(one: Pairs, weights: Mapping[str, float] = SHIPPED) -> np.ndarray:
    """Return the forecasts' values [looks, B]."""
    return np.array([[each.value for each in found] for found in found_in(one, weights)])


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
    """Return the power by which what is missing to 1 shrank from the forecast's examples to fit's."""

    def error(gain: float) -> float:
        off = []
        for one in sets:
            at_first = np.array(
                [[each.value for each in forecasts(estimates, one["examples"])] for estimates in one["looks"]]
            )
            off.append((reached_by(one) - (1 - (1 - at_first) * one["growth"] ** -gain)).ravel())
        return float(np.mean(np.concatenate(off) ** 2))

    return round(float(min(np.arange(0.0, 1.01, 0.05), key=error)), 2)


def spread_of(sets: Sequence[Pairs]) -> float:
    """Return how far forecasts lay off beyond what counting so many examples explains, on both sides."""
    beyond = []
    for one in sets:
        for found in found_in(one):
            for f, a in zip(found, one["accuracy"], strict=True):
                chance = f.value * (1 - f.value) * (1 / one["examples"] + 1 / a["n"])
                beyond.append((a["value"] - f.value) ** 2 - chance)
    return round(float(np.sqrt(max(np.mean(beyond), 0.0))), 4)


def by_set(sets: Mapping[str, Pairs], left_out: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """Return what every way to rank reaches on each data set, the mean over looks: way -> set -> figures."""
    ways: dict[str, dict[str, dict[str, float]]] = {}
    for name, one in sets.items():
        rows: dict[str, list[dict[str, float]]] = {}
        both = (values_in(one), values_in(one, left_out[name]))
        for estimates, ours, others in zip(one["looks"], *both, strict=True):
            rankings = {way: found for way, found in estimates.items() if any(s is not None for s in found)}
            rankings |= {"forecast": list(ours), "forecast, left out": list(others)}
            for way, found in rankings.items():
                rows.setdefault(way, []).append(scored(found, one))
        for way, each in rows.items():
            ways.setdefault(way, {})[name] = {key: float(np.mean([o[key] for o in each])) for key in each[0]}
    return ways


def evaluated(sets: Mapping[str, Pairs]) -> dict[str, Any]:
    """Return what every way to rank reaches on average, how far forecasts lay off, and the times."""
    left_out = {
        name: fitted_weights([other for key, other in sets.items() if key != name] or [one])
        for name, one in sets.items()
    }
    ways = by_set(sets, left_out)
    covered, off = [], []
    for one in sets.values():
        for found in found_in(one):
            covered += [f.low <= a["value"] <= f.high for f, a in zip(found, one["accuracy"], strict=True)]
            off += [a["value"] - f.value for f, a in zip(found, one["accuracy"], strict=True)]
    seconds = {}
    for kind in ("s", "processor_s"):
        choose_s = sum(one[f"choose_{kind}"] for one in sets.values())
        fit_s = sum(sum(one[f"fit_{kind}"]) for one in sets.values())
        seconds |= {f"choose_{kind}": round(choose_s, 1), f"fit_all_{kind}": round(fit_s, 1)}
        seconds[f"share_of_{kind}"] = round(choose_s / fit_s, 3)
    return {
        "ways": {way: _means(list(rows.values())) for way, rows in ways.items()},
        "regret@1_by_set": {
            way: {name: round(each["regret@1"], 4) for name, each in rows.items()}
            for way, rows in ways.items()
        },
        "coverage_of_95%_intervals": round(float(np.mean(covered)), 3),
        "reached_less_forecast": {"mean": round(float(np.mean(off)), 4), "sd": round(float(np.std(off)), 4)},
        "weights": SHIPPED,
        "weights_fitted_on_all": fitted_weights(list(sets.values())),
        "weights_left_out": left_out,
        "gain_fitted_on_all": fitted_gain(list(sets.values())),
        "spread": spread_of(list(sets.values())),
        **seconds,
    }


def _means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean over data sets of each figure, and the standard error of the first."""
    means = {key: round(float(np.mean([row[key] for row in rows])), 4) for key in rows[0]}
    regrets = [row["regret@1"] for row in rows]
    return {**means, "standard_error": round(float(np.std(regrets) / np.sqrt(max(len(rows) - 1, 1))), 4)}


def told(record: Mapping[str, Any]) -> int:
    """Print the figures; return 0 where every target is reached, else 1."""
    ways = record["evaluated"]["ways"]
    rows = [
        [way, *(f"{one[key]:.4f}" for key in ("regret@1", "standard_error", "regret@3", "tau"))]
        for way, one in ways.items()
    ]
    measure.print_table(["ranked by", "regret@1", "its error", "regret@3", "weighted tau"], rows)
    others = [one["regret@1"] for way, one in ways.items() if not way.startswith("forecast")]
    regret, share = ways["forecast"]["regret@1"], record["evaluated"]["share_of_processor_s"]
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
    parser.add_argument("--train", type=int, default=2000, help="at most so many pictures to train on")
    parser.add_argument("--test", type=int, default=1000, help="at most so many to test on")
    parser.add_argument("--examples", type=int, default=300, help="how many choose looks at")
    parser.add_argument("--looks", type=int, default=5, help="how often, at another sample each time")
    parser.add_argument("--image-size", type=int, default=64)
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
            os.environ["HEADSTART_HOME"] = str(where / "home-tuned")
            choosing_data.pretraining(where / "pretraining")
            how = {"strategy": "head-then-full", "epochs": 2, "image_size": given.image_size}
            headstart.fit(str(where / "pretraining"), out=str(where / "tuned"), **how)
            for name in given.only.split(","):
                record["sets"][name] = measured(name, where, where / "tuned" / "model", given)
                print(name, json.dumps(record["sets"][name]), flush=True)
                measure.write_result(NAME, record)  # what is measured is kept, whatever comes
    record["evaluated"] = evaluated(record["sets"])
    measure.write_result(NAME, record)
    return told(record)


if __name__ == "__main__":
    sys.exit(main())
