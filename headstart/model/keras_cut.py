"""Where a Keras model can be cut into blocks: at tensors that everything behind them depends on alone."""

from collections.abc import Sequence

from headstart.model.keras_config import Operation

_WORKING = (
    *("Conv", "SeparableConv", "DepthwiseConv", "Dense", "EinsumDense", "Attention", "MultiHeadAttention"),
    *("MaxPooling", "AveragePooling", "AdaptiveAveragePooling", "AdaptiveMaxPooling", "Global", "Flatten"),
    *("Functional", "Sequential", "Model", "UpSampling"),
)
_PADDING = "ZeroPadding"


def cuts(operations: Sequence[Operation]) -> list[str]:
    """Return the names of the operations that end blocks, in order, the model's last one at the end.

    A block ends where the next convolution, pooling or branch begins, not inside a depthwise separable
    convolution. Blocks that each hand on all of what they got, as in DenseNet, are one.
    """
    users: dict[str, list[Operation]] = {one.name: [] for one in operations}
    place = {one.name: index for index, one in enumerate(operations)}
    for one in operations:
        for name in set(one.takes):
            users[name].append(one)
    reach, found, grown = 0, [], False
    worked = separable = False
    for index, one in enumerate(operations):
        worked = worked or one.kind.startswith(_WORKING)
        alone, used = reach <= index and one.once, users[one.name]
        reach = max([reach, *(place[user.name] for user in used)])
        if not alone:
            continue
        if one.kind == "DepthwiseConv2D":
            separable = True
        elif one.kind.startswith(_WORKING):
            separable = False
        begins = len(used) > 1 or any(user.kind.startswith((*_WORKING, _PADDING)) for user in used)
        if index < len(operations) - 1 and (
            not worked or separable or not begins or one.kind.startswith(_PADDING)
        ):
            continue
        grows = one.kind == "Concatenate" and bool(found) and found[-1] in one.takes
        if grows and grown:
            found.pop()
        found.append(one.name)
        grown, worked = grows, False
    return found
