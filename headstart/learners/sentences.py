"""Heads that take sentences out of a document: an extractive summarizer on cached sentence features.

As BertSumExt (Liu and Lapata, arXiv 1908.08345), with the encoder frozen and the layer above it convex.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, cast, final

from headstart.contracts import Above, Column, Evidence, Head, Kept, Learner, Pretrained, Trained, Training
from headstart.core.errors import UserError
from headstart.fitting import evidence, sentences
from headstart.fitting.documents import SentencesAbove
from headstart.fitting.probe import chosen_sets
from headstart.fitting.recipe import refuse_gradient_options
from headstart.learners._options import refuse_begun, refuse_mask_options
from headstart.model.extract import SentenceHead
from headstart.specs import FitSpec


@final
class Sentences(Learner):
    """Logistic regression on sentences that the oracle takes; the rest is chosen by ROUGE."""

    name = "sentences"
    modalities = ("text",)
    stands = True
    whole = False
    stepped = False
    quick = False

    def suits(self, pretrained: Pretrained) -> bool:
        """Say that it does for a model that cannot write."""
        return not pretrained.writes

    def train(self, training: Training, sets: Mapping[str, Sequence[Column]]) -> Trained:
        """Choose layers and lambda by log loss, length and cut by ROUGE, then solve on all the examples."""
        _check(training.spec)
        refuse_gradient_options(training.spec, "for a head of sentences", "leave it out")
        refuse_begun(training)
        used = chosen_sets(training.spec.layers, sets)
        labelled = sentences.label(training, next(iter(used.values()))[-1])
        views = {name: labelled.view(columns) for name, columns in used.items()}
        chosen, l2 = sentences.choose_layer(labelled, views)
        fit_n, validate_n = training.folds[0]
        columns = used[chosen[0].layers]
        head, scaled = sentences.solve(labelled, columns, fit_n, l2)
        cuts = sentences.learn_shorteners(training, fit_n)
        head, forms = sentences.choose_form(head, training, validate_n, cuts)
        if len(fit_n) != len(training.indices_n):
            head, scaled = sentences.again(head, labelled, l2, forms[0]["cut"])
        return Trained(head=head, objective=_objective(training, head, scaled, (chosen, forms)))

    def evidence(self, training: Training, sets: Mapping[str, Sequence[Column]]) -> Evidence:
        """Return each sentence's features beside whether the oracle takes it."""
        return evidence.of_sentences(training, sets)

    def above(self, training: Training, trunk: Any, columns: Sequence[Column], head: Head | None) -> Above:
        """Return the layer, from the solved one or new; length and cut are the solved one's in any case."""
        _check(training.spec)
        if head is not None:
            return SentencesAbove(training, cast(SentenceHead, head), begins=False)
        last = replace(training, spec=replace(training.spec, layers="last"))
        solved = cast(SentenceHead, self.train(last, {"last": columns}).head)
        return SentencesAbove(training, solved, begins=True)

    def restore(self, columns: Sequence[Column], kept: Kept) -> Head:
        """Rebuild a head."""
        return SentenceHead.restore(columns, kept.tensors, kept.facts)


def _check(spec: FitSpec) -> None:
    """Raise UserError for what is not to be had of a layer on sentences."""
    if spec.head_hidden is not None:
        raise UserError(
            "--head-hidden for sentences", "the convex head, which has no hidden layer", "leave it out"
        )
    refuse_mask_options(spec, "a head of sentences")


def _objective(
    training: Training,
    head: SentenceHead,
    l2: float,
    tried: tuple[Sequence[Any], Sequence[Mapping[str, Any]]],
) -> dict[str, Any]:
    layers, forms = tried
    return {
        "loss": "cross-entropy",
        "penalty": "l2",
        "lambda": l2,
        "layers": layers[0].layers,
        "features": len(head.weight_D),
        "examples": len(training.indices_n),
        "parameters": head.parameters(),
        "formula": "min over w, b of 1/N Σ −log p(yᵢ|xᵢ) + λ/2 ‖w‖²",
        "solver": "L-BFGS on standardised features of sentences; labels by greedy ROUGE",
        "length": forms[0]["length"],
        "cut": "each whole" if head.shortener is None else "each cut to its likeliest run of words",
        "chosen": [asdict(one) for one in layers],
        "forms": list(forms),
    }
