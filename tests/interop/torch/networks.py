"""Plain definitions of networks, as people write them, small enough for tests."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (as people write it)
from torch import nn


def _convolution(inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1) -> Any:
    return nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False)


class ConvBNReLU(nn.Sequential):
    def __init__(self, inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1):
        super().__init__(
            _convolution(inputs, outputs, size, stride, groups),
            nn.BatchNorm2d(outputs),
            nn.ReLU6(inplace=True),
        )


class InvertedResidual(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int):
        super().__init__()
        hidden = inputs * expansion
        self.use_residual = stride == 1 and inputs == outputs
        layers: list[nn.Module] = []
        if expansion != 1:
            layers.append(ConvBNReLU(inputs, hidden, 1))
        layers += [
            ConvBNReLU(hidden, hidden, 3, stride, groups=hidden),
            _convolution(hidden, outputs, 1),
            nn.BatchNorm2d(outputs),
        ]
        self.conv = nn.Sequential(*layers)

    def forward(self, x: Any) -> Any:
        if self.use_residual:
            return x + self.conv(x)
        return self.conv(x)


class MobileNetV2(nn.Module):
    """52 batch norms, of which a ReLU6 follows 35; `width` divides the channels."""

    settings = (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    )

    def __init__(self, width: int = 8, classes: int = 10):
        super().__init__()
        channels = 32 // width
        features: list[nn.Module] = [ConvBNReLU(3, channels, 3, 2)]
        for expansion, outputs, repeats, stride in self.settings:
            for index in range(repeats):
                first = stride if index == 0 else 1
                features.append(InvertedResidual(channels, outputs // width, first, expansion))
                channels = outputs // width
        features.append(ConvBNReLU(channels, 1280 // width, 1))
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(nn.Dropout(0.0), nn.Linear(1280 // width, classes))

    def forward(self, x: Any) -> Any:
        x = self.features(x)
        x = nn.functional.adaptive_avg_pool2d(x, (1, 1))
        x = torch.flatten(x, 1)
        return self.classifier(x)


class Bottleneck(nn.Module):
    """One ReLU module that is used three times, and a branch that only some blocks have."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int = 1, downsample: Any = None):
        super().__init__()
        self.conv1 = _convolution(inputs, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _convolution(width, width, 3, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = _convolution(width, width * self.expansion, 1)
        self.bn3 = nn.BatchNorm2d(width * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample

    def forward(self, x: Any) -> Any:
        identity = x

        out = self.conv1(x)
        out = self.bn1(out)
        out = self.relu(out)

        out = self.conv2(out)
        out = self.bn2(out)
        out = self.relu(out)

        out = self.conv3(out)
        out = self.bn3(out)

        if self.downsample is not None:
            identity = self.downsample(x)

        out += identity
        out = self.relu(out)

        return out  # noqa: RET504  (as people write it)


class ResNet50(nn.Module):
    """53 batch norms, of which a ReLU follows 49, after a sum for 16 of them."""

    def __init__(self, width: int = 4, classes: int = 10, blocks: tuple[int, ...] = (3, 4, 6, 3)):
        super().__init__()
        self.conv1 = _convolution(3, width, 7, 2)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.inputs = width
        for index, repeats in enumerate(blocks):
            stride = 1 if index == 0 else 2
            setattr(self, f"layer{index + 1}", self._stage(width << index, repeats, stride))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(self.inputs, classes)

    def _stage(self, width: int, repeats: int, stride: int) -> Any:
        outputs = width * Bottleneck.expansion
        downsample = nn.Sequential(
            _convolution(self.inputs, outputs, 1, stride), nn.BatchNorm2d(outputs)
        )
        layers = [Bottleneck(self.inputs, width, stride, downsample)]
        self.inputs = outputs
        layers += [Bottleneck(outputs, width) for _ in range(1, repeats)]
        return nn.Sequential(*layers)

    def _forward_impl(self, x: Any) -> Any:
        x = self.conv1(x)
        x = self.bn1(x)
        x = self.relu(x)
        x = self.maxpool(x)
        for name, stage in self.named_children():
            if name.startswith("layer"):
                x = stage(x)
        x = self.avgpool(x)
        x = torch.flatten(x, 1)
        return self.fc(x)

    def forward(self, x: Any) -> Any:
        return self._forward_impl(x)


class FunctionalBlock(nn.Module):
    """A basic block with F.relu and a shortcut that is called in the sum."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1):
        super().__init__()
        self.conv1 = _convolution(inputs, outputs, 3, stride)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = _convolution(outputs, outputs, 3)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                _convolution(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Any) -> Any:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        out = F.relu(out)
        return out  # noqa: RET504  (as people write it)


class FunctionalResNet(nn.Module):
    """7 batch norms, of which a ReLU follows 5, after a sum for 2 of them."""

    def __init__(self, width: int = 8):
        super().__init__()
        self.conv1 = _convolution(3, width, 3)
        self.bn1 = nn.BatchNorm2d(width)
        self.layers = nn.Sequential(
            FunctionalBlock(width, width), FunctionalBlock(width, 2 * width, 2)
        )
        self.linear = nn.Linear(2 * width, 10)

    def forward(self, x: Any) -> Any:
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = self.layers(out)
        return self.linear(out.mean((2, 3)))


class SequentialResidual(nn.Module):
    """A sum of a Sequential that ends in a batch norm, and a ReLU that is made for the call."""

    def __init__(self, channels: int = 8):
        super().__init__()
        self.residual = nn.Sequential(
            _convolution(3, channels, 3),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            _convolution(channels, channels, 3),
            nn.BatchNorm2d(channels),
        )
        self.shortcut = nn.Sequential(_convolution(3, channels, 1), nn.BatchNorm2d(channels))

    def forward(self, x: Any) -> Any:
        return nn.ReLU(inplace=True)(self.residual(x) + self.shortcut(x))


class DenseLayer(nn.Module):
    """Pre-activation: batch norm, ReLU, convolution, of all that came before."""

    def __init__(self, inputs: int, growth: int):
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv1 = _convolution(inputs, 2 * growth, 1)
        self.norm2 = nn.BatchNorm2d(2 * growth)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv2 = _convolution(2 * growth, growth, 3)

    def bottleneck(self, features: list[Any]) -> Any:
        return self.conv1(self.relu1(self.norm1(torch.cat(features, 1))))

    def forward(self, features: Any) -> Any:
        if isinstance(features, torch.Tensor):
            features = [features]
        return self.conv2(self.relu2(self.norm2(self.bottleneck(features))))


class DenseNet(nn.Module):
    """7 batch norms, each followed by a ReLU."""

    def __init__(self, growth: int = 4, layers: int = 3):
        super().__init__()
        self.stem = _convolution(3, growth, 3)
        channels = [growth * (index + 1) for index in range(layers + 1)]
        self.layers = nn.ModuleList(DenseLayer(c, growth) for c in channels[:-1])
        self.norm = nn.BatchNorm2d(channels[-1])
        self.classifier = nn.Linear(channels[-1], 10)

    def forward(self, x: Any) -> Any:
        features = [self.stem(x)]
        for layer in self.layers:
            features.append(layer(features))
        out = F.relu(self.norm(torch.cat(features, 1)), inplace=True)
        return self.classifier(out.mean((2, 3)))


def perceptron(inputs: int = 12) -> nn.Sequential:
    """2 batch norms of matrices, each followed by a ReLU."""
    return nn.Sequential(
        nn.Linear(inputs, 16),
        nn.BatchNorm1d(16),
        nn.ReLU(),
        nn.Linear(16, 16),
        nn.BatchNorm1d(16),
        nn.ReLU(inplace=True),
        nn.Linear(16, 4),
    )
