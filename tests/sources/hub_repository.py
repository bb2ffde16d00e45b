"""A repository as authors of torch.hub models write them: a small network, its weights, a ``hubconf.py``."""

import io
import zipfile
from pathlib import Path
from typing import Any

from headstart.core.frameworks import prepare_torch

HUBCONF = '''
"""Small networks."""
import os
from typing import Optional

import torch
from torchvision.models import SqueezeNet1_1_Weights

from nets.small import SmallCNN

dependencies = ["torch"]
_HERE = os.path.dirname(__file__)


def small_cnn(pretrained=True):
    """A small network for pictures; its weights lie beside it."""
    model = SmallCNN()
    print("a small network")
    if pretrained:
        model.load_state_dict(torch.load(os.path.join(_HERE, "small.pth"), weights_only=True))
    return model


def always(progress=True):
    """The same, which cannot be had without its weights."""
    return small_cnn()


def a_number():
    return 7


def stated(pretrained=True):
    return small_cnn(pretrained)


stated.preprocess = {"size": 48, "crop": 1.0, "mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}


def with_weights(*, weights: Optional[SqueezeNet1_1_Weights] = None):
    """The same, as torchvision asks for weights."""
    assert weights in (None, "DEFAULT")
    return small_cnn(pretrained=weights is not None)


def fails(pretrained=True):
    raise RuntimeError("no such file: weights.pth")


def ends(pretrained=True):
    raise SystemExit(3)


def fetches(pretrained=True):
    from urllib.request import urlopen

    urlopen("http://127.0.0.1:9/weights.pth", timeout=5)


def for_texts(pretrained=True):
    return torch.nn.Embedding(10, 4)
'''
NETWORK = """
from torch import nn
from torch.nn import functional as F


class SmallCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, 2, 1)
        self.conv2 = nn.Conv2d(8, 12, 3, 2, 1)
        self.conv3 = nn.Conv2d(12, 16, 3, 2, 1)
        self.bn = nn.BatchNorm2d(16)
        self.conv4 = nn.Conv2d(16, 24, 3, 2, 1)
        self.fc = nn.Linear(24, 5)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        x = F.relu(self.bn(self.conv3(x)))
        return self.fc(F.relu(self.conv4(x)).mean((2, 3)))
"""
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def small_network() -> Any:
    """Return the repository's network; its weights are drawn, its statistics too."""
    torch = prepare_torch()
    scope: dict[str, Any] = {}
    exec(NETWORK, scope)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        model = scope["SmallCNN"]()
        model.bn.running_mean.uniform_(-0.2, 0.2)
        model.bn.running_var.uniform_(0.8, 1.2)
    return model


def clone(folder: Path, commit: str = COMMIT) -> Path:
    """Write the repository as a clone has it."""
    torch = prepare_torch()
    (folder / "nets").mkdir(parents=True)
    (folder / "hubconf.py").write_text(HUBCONF)
    (folder / "nets" / "__init__.py").touch()
    (folder / "nets" / "small.py").write_text(NETWORK)
    (folder / "LICENSE").write_text("MIT License\n\nCopyright (c) 2026 Somebody\n")
    (folder / ".git" / "refs" / "heads").mkdir(parents=True)
    (folder / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (folder / ".git" / "refs" / "heads" / "main").write_text(f"{commit}\n")
    model = small_network()
    torch.save(model.state_dict(), folder / "small.pth")
    return folder


def archive(folder: Path, top: str) -> bytes:
    """Return a folder as GitHub packs a commit: everything below one folder."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr(f"{top}/", "")
        for path in sorted(folder.rglob("*")):
            if path.is_file() and ".git" not in path.parts:
                opened.write(path, f"{top}/{path.relative_to(folder).as_posix()}")
        opened.comment = COMMIT.encode()  # as git does
    return packed.getvalue()
