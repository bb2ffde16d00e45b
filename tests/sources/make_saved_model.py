"""Remakes `tests/sources/saved_model` with TensorFlow, which the tests themselves do not need.

`python tests/sources/make_saved_model.py`, with `pip install tensorflow` (2.21 made what is there).
Beside the model lies what TensorFlow itself computes with it: `expected.safetensors`.
"""

import shutil
from pathlib import Path

import numpy as np
import tensorflow as tf
from safetensors.numpy import save_file

FOLDER = Path(__file__).parent / "saved_model"


class Small(tf.Module):
    """Two convolutions with a residual one between them, a mean over places, a classifier of five."""

    def __init__(self) -> None:
        super().__init__()
        random = np.random.default_rng(7)

        def weights(*shape: int) -> tf.Variable:
            drawn = random.normal(scale=np.sqrt(2 / np.prod(shape[:-1])), size=shape)
            return tf.Variable(drawn.astype(np.float32))

        self.stem, self.same, self.down = weights(3, 3, 3, 8), weights(3, 3, 8, 8), weights(3, 3, 8, 12)
        self.deep, self.top = weights(3, 3, 12, 16), weights(16, 5)

    def features(self, pixels_NHWC: tf.Tensor) -> tf.Tensor:
        """Return the last map, before the mean."""
        x = tf.nn.relu(tf.nn.conv2d(pixels_NHWC, self.stem, 2, "SAME"))
        x = tf.nn.relu(x + tf.nn.conv2d(x, self.same, 1, "SAME"))
        x = tf.nn.relu(tf.nn.conv2d(x, self.down, 2, "SAME"))
        return tf.nn.relu(tf.nn.conv2d(x, self.deep, 2, "SAME"))

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32, name="pixels")])
    def __call__(self, pixels_NHWC: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return probabilities."""
        mean_NC = tf.reduce_mean(self.features(pixels_NHWC), [1, 2])
        return {"probabilities": tf.nn.softmax(mean_NC @ self.top)}


def main() -> None:
    """Write the model, and what it gives for two random pictures."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    model = Small()
    options = tf.saved_model.SaveOptions(save_debug_info=False, experimental_custom_gradients=False)
    tf.saved_model.save(model, str(FOLDER), options=options)
    (FOLDER / "fingerprint.pb").unlink()
    pixels_NHWC = np.random.default_rng(3).normal(size=(2, 32, 32, 3)).astype(np.float32)
    maps_NHWC = model.features(tf.constant(pixels_NHWC)).numpy()
    save_file({"maps": maps_NHWC}, FOLDER / "expected.safetensors")


if __name__ == "__main__":
    main()
