"""How tables of a report write a figure."""

import math

from headstart.core.records import Metric


def with_interval(metric: Metric, undefined: str) -> str:
    """Write a figure with its interval, or ``undefined`` where there is none to write."""
    if not math.isfinite(metric.value):
        return undefined
    if metric.low is None or metric.high is None:
        return f"{metric.value:.2f} (no interval)"
    return f"{metric.value:.2f} ({metric.low:.2f}-{metric.high:.2f})"
