"""What a task, a source, an engine, a reader ... is: small, abstract, and no more than that.

Each of them is one file; ``core.plugins`` finds it by name; one conformance suite tests every one.
"""

from headstart.contracts.data import (
    Array,
    Example,
    Floats,
    Inputs,
    Listing,
    Reader,
)
from headstart.contracts.learning import (
    Baseline,
    Fold,
    Head,
    Learner,
    Learnt,
    Outputs,
    Prepared,
    Rows,
    Solve,
    Task,
    Trained,
    Training,
)
from headstart.contracts.model import (
    Column,
    Compiled,
    Engine,
    Modality,
    Network,
    PicturePreprocess,
    Preprocess,
    Pretrained,
    Source,
    Tap,
    TextPreprocess,
    Trunk,
)

__all__ = [
    "Array",
    "Baseline",
    "Column",
    "Compiled",
    "Engine",
    "Example",
    "Floats",
    "Fold",
    "Head",
    "Inputs",
    "Learner",
    "Learnt",
    "Listing",
    "Modality",
    "Network",
    "Outputs",
    "PicturePreprocess",
    "Prepared",
    "Preprocess",
    "Pretrained",
    "Reader",
    "Rows",
    "Solve",
    "Source",
    "Tap",
    "Task",
    "TextPreprocess",
    "Trained",
    "Training",
    "Trunk",
]
