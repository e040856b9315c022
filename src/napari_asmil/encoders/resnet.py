"""Residual networks with torchvision's names of weights, ending in pooled features.

Source: He, Zhang, Ren, Sun, "Deep residual learning for image recognition", CVPR 2016; as torchvision builds them, the
stride of a bottleneck lies on its 3 x 3 convolution. `resnet50_trunc` ends after the third stage, as CLAM uses it (Lu
et al., Nature Biomedical Engineering 2021).
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from napari_asmil.encoders.torch_encoder import IMAGENET, TorchEncoder, digest
from napari_asmil.encoders.weights import load_weights

SIZE = 224
"""Edge in px of the pictures that such weights are trained on."""


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions and a shortcut."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(inputs, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) to (N, width, h / stride, w / stride)."""
        made = relu(self.bn1(self.conv1(x)))
        return relu(self.bn2(self.conv2(made)) + self.downsample(x))


class Bottleneck(nn.Module):
    """A 1 x 1, a 3 x 3 and a 1 x 1 convolution and a shortcut."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = width * self.expansion
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = _shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) to (N, 4 width, h / stride, w / stride)."""
        made = relu(self.bn1(self.conv1(x)))
        made = relu(self.bn2(self.conv2(made)))
        return relu(self.bn3(self.conv3(made)) + self.downsample(x))


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


class ResNet(nn.Module):
    """A residual network without its classifier.

    Parameters
    ----------
    block : type
        Of each stage.
    depths : tuple of int
        Blocks of each stage; three stages make a truncated network.
    """

    def __init__(self, block: type[BasicBlock] | type[Bottleneck], depths: tuple[int, ...]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inputs, self.stages = 64, len(depths)
        for stage, depth in enumerate(depths):
            width, blocks = 64 * 2**stage, []
            for number in range(depth):
                blocks.append(block(inputs, width, 2 if stage and not number else 1))
                inputs = width * block.expansion
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))

    def forward(self, x: Tensor) -> Tensor:
        """Normalised pictures (N, 3, h, w) to features (N, D)."""
        x = self.maxpool(relu(self.bn1(self.conv1(x))))
        for stage in range(self.stages):
            x = self.get_submodule(f"layer{stage + 1}")(x)
        return x.mean(dim=(2, 3))


NETWORKS: dict[str, tuple[type[BasicBlock] | type[Bottleneck], tuple[int, ...]]] = {
    "resnet18": (BasicBlock, (2, 2, 2, 2)),
    "resnet50": (Bottleneck, (3, 4, 6, 3)),
    "resnet50_trunc": (Bottleneck, (3, 4, 6)),
}
"""Block and depths by name: 512, 2048 and 1024 features."""


def resnet(kind: str, weights: str, device: torch.device) -> TorchEncoder:
    """An encoder of `NETWORKS` with the weights of a file; its classifier, where the file has one, is passed over.

    Raises
    ------
    InputError
        When the weights cannot be used.
    """
    block, depths = NETWORKS[kind]
    network = ResNet(block, depths)
    beyond = [f"layer{stage}." for stage in range(len(depths) + 1, 5)]
    load_weights(network, Path(weights).expanduser(), ignored=("fc.", *beyond))
    name = f"{kind}-{digest(network.state_dict())}"
    mean, std = IMAGENET
    licence = "that of the weights in the file"
    return TorchEncoder(
        network.eval().to(device), name=name, size=SIZE, mean=mean, std=std, device=device, licence=licence
    )
