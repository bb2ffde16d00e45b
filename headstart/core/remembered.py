"""Facts that take a heavy import to learn, learnt once on a machine and read as JSON from then on."""

import json
from collections.abc import Callable
from typing import Any

from headstart.core.files import digest_json, home, write_json


def remembered(library: str, version: str, name: str, learn: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what a version of a library says of ``name``: as noted, else as learnt now and noted."""
    path = home() / "described" / f"{library}-{version}" / f"{digest_json(name)[:32]}.json"
    try:
        noted = json.loads(path.read_text())
    except (OSError, ValueError):
        noted = None
    if isinstance(noted, dict):
        return noted
    found: dict[str, Any] = json.loads(json.dumps(learn()))  # the same now as when it is read
    write_json(path, found)
    return found
