"""headstart: from a pretrained model and your own data to a fine-tuned, honestly evaluated model.

>>> import headstart
>>> run = headstart.fit("pictures", out="run")          # doctest: +SKIP
>>> run.metrics["accuracy"].value                       # doctest: +SKIP
>>> for one in headstart.predict("run", ["new.jpg"]):   # doctest: +SKIP
...     print(one.prediction)

The functions take what the commands take, under the same names, and import nothing heavy until
they are called.
"""

from headstart.api import audit, cache, choose, compare, evaluate, fit, predict
from headstart.core.errors import HeadstartError, MachineError, UserError
from headstart.core.version import VERSION

__all__ = [
    "HeadstartError",
    "MachineError",
    "UserError",
    "audit",
    "cache",
    "choose",
    "compare",
    "evaluate",
    "fit",
    "predict",
]
__version__ = VERSION
