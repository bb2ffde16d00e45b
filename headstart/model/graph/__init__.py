"""Graphs: trunks exported as ONNX; ONNX and TensorFlow models taken as they are."""
