"""OpenVINO: the trunk's ONNX graph on the CPU."""

import importlib.metadata
from typing import final

import numpy as np

from headstart.contracts import Compiled, Engine, Floats, Inputs, Trunk
from headstart.core.errors import EngineUnavailable


@final
class OpenVinoEngine(Engine):
    """Runs a trunk in OpenVINO."""

    name = "openvino"

    def version(self) -> str:
        """Return OpenVINO's version. Raises EngineUnavailable where it is not installed."""
        try:
            return importlib.metadata.version("openvino")
        except importlib.metadata.PackageNotFoundError as error:
            raise EngineUnavailable("openvino is not installed") from error

    def compile(self, trunk: Trunk) -> Compiled:
        """Compile the graph for latency, which keeps all cores on one batch. Raises EngineUnavailable."""
        self.version()
        import openvino

        # Said aloud: by default the CPU plug-in rounds to bfloat16 where the hardware has it.
        precision = {"float32": "f32", "bfloat16": "bf16"}[trunk.precision]
        hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
        try:
            model = openvino.Core().compile_model(str(trunk.graph()), "CPU", hints)
        except RuntimeError as error:
            raise EngineUnavailable(f"openvino cannot compile it: {str(error).splitlines()[0]}") from error
        request = model.create_infer_request()

        def run(batch: Inputs) -> Floats:
            arrays = [np.ascontiguousarray(batch[name]) for name in trunk.inputs]
            outputs = request.infer(arrays, share_inputs=True)
            return np.array(outputs[0], dtype=np.float32)

        return run
