"""The rivals that headstart is timed against, each one process, each printing one JSON line."""

# First, because it repairs torchvision, before a rival imports timm or transformers.
from benchmarks.rivals import common as common
