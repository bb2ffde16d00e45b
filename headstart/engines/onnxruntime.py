"""ONNX Runtime: the trunk's ONNX graph on the CPU, in float32."""

import importlib.metadata
from typing import final

import numpy as np

from headstart.contracts import Compiled, Engine, Floats, Inputs, Trunk
from headstart.core.errors import EngineUnavailable
from headstart.core.threads import cores


@final
class OnnxRuntimeEngine(Engine):
    """Runs a trunk in ONNX Runtime."""

    name = "onnxruntime"

    def version(self) -> str:
        """Return ONNX Runtime's version. Raises EngineUnavailable where it is not installed."""
        try:
            return importlib.metadata.version("onnxruntime")
        except importlib.metadata.PackageNotFoundError as error:
            raise EngineUnavailable("onnxruntime is not installed") from error

    def compile(self, trunk: Trunk) -> Compiled:
        """Open a session on the trunk's graph. Raises EngineUnavailable."""
        self.version()
        if trunk.precision != "float32":
            raise EngineUnavailable(f"onnxruntime has no {trunk.precision} on processors")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = cores()
        options.log_severity_level = 3
        try:
            session = onnxruntime.InferenceSession(
                str(trunk.graph()), options, providers=["CPUExecutionProvider"]
            )
        except RuntimeError as error:
            raise EngineUnavailable(f"onnxruntime cannot load it: {str(error).splitlines()[0]}") from error

        def run(batch: Inputs) -> Floats:
            arrays = {name: np.ascontiguousarray(batch[name]) for name in trunk.inputs}
            return np.asarray(session.run(None, arrays)[0], dtype=np.float32)

        return run
