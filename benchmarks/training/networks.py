"""The networks, written out plainly, with torch's own initial weights.

None of them knows normgraph: they are what people have before they convert.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

# ---- MobileNetV2 (Sandler et al., 2018) ----------------------------------------------------------

#: Expansion, channels, repetitions and stride of each group of inverted residuals.
MOBILENET_V2_GROUPS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def convolution_2d(
    inputs: int, outputs: int, size: int, *, stride: int = 1, groups: int = 1
) -> nn.Module:
    """A convolution that keeps height and width, up to its stride."""
    return nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, groups=groups, bias=False)


def with_relu6(convolution: nn.Module) -> list[nn.Module]:
    """The convolution and what follows it."""
    return [convolution, nn.BatchNorm2d(convolution.out_channels), nn.ReLU6(inplace=True)]


class InvertedResidual(nn.Module):
    """Expands the channels, filters each of them, and projects them to few again."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers += with_relu6(convolution_2d(inputs, hidden, 1))
        layers += with_relu6(convolution_2d(hidden, hidden, 3, stride=stride, groups=hidden))
        layers += [convolution_2d(hidden, outputs, 1), nn.BatchNorm2d(outputs)]
        self.layers = nn.Sequential(*layers)
        self.has_shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Any) -> Any:
        if self.has_shortcut:
            return x + self.layers(x)
        return self.layers(x)


def mobilenet_v2(classes: int = 1000) -> nn.Module:
    """MobileNetV2 of width 1, without its dropout: the same input gives the same loss."""
    channels = 32
    layers = with_relu6(convolution_2d(3, channels, 3, stride=2))
    for expansion, outputs, repetitions, first_stride in MOBILENET_V2_GROUPS:
        for index in range(repetitions):
            stride = first_stride if index == 0 else 1
            layers.append(InvertedResidual(channels, outputs, stride, expansion))
            channels = outputs
    layers += with_relu6(convolution_2d(channels, 1280, 1))
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, classes)]
    return nn.Sequential(*layers, *head)


# ---- ResNet-50 (He et al., 2015) -----------------------------------------------------------------

#: Channels within a block, blocks and stride of each stage. A block returns four times as many.
RESNET50_STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))


class Bottleneck(nn.Module):
    """Three convolutions around a shortcut; the one in the middle has the stride."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = 4 * width
        self.conv1 = convolution_2d(inputs, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = convolution_2d(width, width, 3, stride=stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = convolution_2d(width, outputs, 1)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                convolution_2d(inputs, outputs, 1, stride=stride), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Any) -> Any:
        shortcut = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        out += shortcut
        return self.relu(out)


def resnet50(classes: int = 1000) -> nn.Module:
    """ResNet-50, with the strides in the convolutions of 3×3."""
    channels = 64
    layers: list[nn.Module] = [
        convolution_2d(3, channels, 7, stride=2),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, stride=2, padding=1),
    ]
    for width, blocks, first_stride in RESNET50_STAGES:
        for index in range(blocks):
            layers.append(Bottleneck(channels, width, first_stride if index == 0 else 1))
            channels = 4 * width
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)
    )


# ---- A speech encoder in the manner of QuartzNet (Kriman et al., 2019) ---------------------------

SPEECH_CHANNELS = 256
#: Lengths of the filters, one for each block.
SPEECH_FILTERS = (5, 9, 13)
SEPARABLE_PER_BLOCK = 3


def separable(channels: int, length: int) -> list[nn.Module]:
    """A filter for each channel, a combination of the channels, and their normalization."""
    return [
        nn.Conv1d(channels, channels, length, padding=length // 2, groups=channels, bias=False),
        nn.Conv1d(channels, channels, 1, bias=False),
        nn.BatchNorm1d(channels),
    ]


class SpeechBlock(nn.Module):
    """Separable convolutions around a shortcut that has a convolution of its own."""

    def __init__(self, channels: int, length: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(SEPARABLE_PER_BLOCK - 1):
            layers += [*separable(channels, length), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers, *separable(channels, length))
        self.shortcut = nn.Sequential(
            nn.Conv1d(channels, channels, 1, bias=False), nn.BatchNorm1d(channels)
        )

    def forward(self, x: Any) -> Any:
        return functional.relu(self.layers(x) + self.shortcut(x))


def speech_encoder(features: int = 64, symbols: int = 29) -> nn.Module:
    """Log-mel features (N, features, frames) to scores of symbols (N, symbols, frames / 2)."""
    channels = SPEECH_CHANNELS
    return nn.Sequential(
        nn.Conv1d(features, channels, 11, stride=2, padding=5, bias=False),
        nn.BatchNorm1d(channels),
        nn.ReLU(inplace=True),
        *(SpeechBlock(channels, length) for length in SPEECH_FILTERS),
        nn.Conv1d(channels, symbols, 1),
    )


# ---- Steps ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Network:
    """A network, and what a step of training takes.

    `targets` makes what the outputs are compared with, from their shape. `differentiate` runs the
    backward pass, given outputs and targets; what it returns must be the same on both sides.
    """

    make: Callable[[], nn.Module]
    input_shape: tuple[int, ...]
    targets: Callable[[torch.Size], torch.Tensor]
    differentiate: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    input_has_gradient: bool = False


def random_classes(output_shape: torch.Size) -> torch.Tensor:
    """A class for each sample, or for each frame of it."""
    batch, classes, *positions = output_shape
    return torch.randint(classes, (batch, *positions))


def cross_entropy(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The loss, taken in f32, as autocast has it too."""
    loss = functional.cross_entropy(outputs.float(), targets)
    loss.backward()
    return loss


def given_delta(outputs: torch.Tensor, delta: torch.Tensor) -> torch.Tensor:
    """The outputs: a layer alone has no loss."""
    outputs.backward(delta)
    return outputs


NETWORKS = {
    "mobilenet_v2": Network(mobilenet_v2, (16, 3, 224, 224), random_classes, cross_entropy),
    "resnet50": Network(resnet50, (8, 3, 224, 224), random_classes, cross_entropy),
    "speech_encoder": Network(speech_encoder, (16, 64, 2000), random_classes, cross_entropy),
    "one_layer": Network(
        lambda: nn.BatchNorm2d(16),
        (8, 16, 4, 4),
        torch.randn,
        given_delta,
        input_has_gradient=True,
    ),
}
