"""What sources of frozen graphs share: OpenVINO runs what was made of the graph, and nothing of it trains."""

from collections.abc import Mapping, Sequence
from typing import Any

from headstart.contracts import Array, Network, Pretrained, Source
from headstart.core.frameworks import prepare_torch
from headstart.model.graph import inputs as graph_inputs


class GraphSource(Source):
    """A source of graphs that are named by path; each says how it finds one."""

    def names(self) -> Sequence[str]:
        """Return nothing: graphs are named by path."""
        return ()

    def present(self) -> Sequence[str]:
        """Return nothing: a graph may lie anywhere."""
        return ()

    def sized(self, pretrained: Pretrained) -> Pretrained:
        """Return the graph as it is. Raises UserError for a size that it does not take."""
        return graph_inputs.sized(pretrained)

    def state(self, pretrained: Pretrained) -> dict[str, Array]:
        """Return nothing: the graph holds its weights itself."""
        return {}

    def network(self, pretrained: Pretrained) -> Network:
        """Return the graph, which OpenVINO runs."""
        prepare_torch()
        from headstart.model.graph.network import GraphNetwork

        return GraphNetwork(pretrained)

    def own_files(self, pretrained: Pretrained) -> Mapping[str, Any]:
        """Return nothing: OpenVINO reads the saved graph as it is."""
        return {}
