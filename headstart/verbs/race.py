"""The better half of the models looked at again on twice as many examples, and so on: a race.

Sequential halving (Karnin, Koren and Somekh, "Almost optimal exploration in multi-armed bandits", ICML 2013):
of a model that is far behind, need not be known so well what it would reach, as of those ahead which leads.
"""

import logging
from collections.abc import Callable, Sequence

from headstart.catalogue import CATALOGUE
from headstart.contracts import Example
from headstart.core.errors import HeadstartError, MachineError, UserError
from headstart.data.split import FOLDS, Dataset
from headstart.maths.forecast import PRIOR, Forecast, forecasts, levelled
from headstart.verbs.candidates import Candidate, look

_ROUNDS, _LEAST = 2, 2
"""Each round takes half the models and twice the examples: as long as the one before it, about."""

log = logging.getLogger(__name__)


def race(
    found: dict[str, Candidate], data: Dataset, draw: Callable[[int], list[Example]], limit_s: float
) -> dict[str, HeadstartError]:
    """Look again, in place, at the models that lead; return why any fell out.

    ``draw`` returns so many examples at most, those of any fewer among them. A round that is reckoned to take
    longer than what is left of the time, from milliseconds an example, is not begun.
    """
    refused = dict[str, HeadstartError]()
    for _ in range(_ROUNDS):
        if len(found) < _LEAST:
            break
        turn = max(len(one.looks) for one in found.values())
        order = expected(list(found.values()), len(data.train))
        running = [one for one, _ in order if len(one.looks) == turn]
        running = running[: max(_LEAST, (len(running) + 1) // 2)]
        seen = running[0].looks[-1].examples
        examples = draw(2 * seen)
        limit_s -= sum(one.milliseconds or 0.0 for one in running) * (len(examples) - seen) / 1000
        if len(examples) <= seen or limit_s < 0:
            break
        log.info("the first %d are looked at again, on %d examples", len(running), len(examples))
        for one in running:
            try:
                found[one.base] = look(one, data, examples)
            except (UserError, MachineError) as error:
                del found[one.base]
                refused[one.base] = error
    return refused


def expected(found: Sequence[Candidate], to_train: int) -> list[tuple[Candidate, Forecast]]:
    """Return the models with their forecasts for so many examples to train on, the highest first."""
    seen = [one.looks[-1].examples for one in found]
    # A fold's head sees all but one part. What training does not reach by itself is not said to grow with it.
    growth = 1.0 if found[0].weak else to_train / (max(seen) * (1 - 1 / FOLDS))
    estimates = {**levelled([one.looks for one in found]), PRIOR: prior([one.base for one in found])}
    made = forecasts(estimates, seen, growth)
    return sorted(zip(found, made, strict=True), key=lambda pair: -pair[1].value)


def prior(bases: Sequence[str]) -> list[float | None]:
    """Return the models' scores where they come from; None where there is none of the kind that most have."""
    known = [CATALOGUE.get(base) for base in bases]
    kinds = [one.kind for one in known if one is not None]
    common = max(kinds, key=kinds.count, default="")
    return [None if one is None or one.kind != common else one.score for one in known]
