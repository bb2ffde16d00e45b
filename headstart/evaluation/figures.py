"""Figures with their intervals, as the tables of this package write them."""

from headstart.core.records import Metric


def with_interval(metric: Metric, how: str = ".3f") -> str:
    """Write a figure with its 95% interval, or that there is none; ``how`` formats each number."""
    spread = "no interval" if metric.low is None else f"{metric.low:{how}} to {metric.high:{how}}"
    return f"{metric.value:{how}} ({spread})"
