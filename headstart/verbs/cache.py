"""``cache``: what the feature store holds, and how to shrink it."""

from headstart.core.store import Store, TableUsage
from headstart.specs import CacheSpec


def cache(spec: CacheSpec) -> list[TableUsage]:
    """Return what the store holds after pruning it if asked to; tables in use are never pruned."""
    store = Store.default()
    if spec.prune is not None:
        store.prune(int(spec.prune * 1e9))
    return store.usage()
