"""Other ways to train every weight of the same models, timed by the epoch: for ``throughput.py``."""
