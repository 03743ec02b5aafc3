"""A step of training: forward pass, loss, backward pass. There is no optimizer."""

from __future__ import annotations

import contextlib
from copy import deepcopy

import torch
from torch import nn

from .cases import CHANNELS_LAST, COMPILED, CONVERTED, KEPT, SIDES, Case
from .networks import NETWORKS, Network

SEED = 1


class Step:
    """One model with its batch; a call is a step, and returns the loss."""

    def __init__(
        self, model: nn.Module, network: Network, inputs: torch.Tensor, element_type: str
    ) -> None:
        self._model = model
        self._differentiate = network.differentiate
        self._inputs = inputs.detach().requires_grad_(network.input_has_gradient)
        self._with_gradient = [self._inputs, *model.parameters()]
        self._autocast = (
            torch.autocast("cpu", dtype=torch.bfloat16)
            if element_type == "bf16"
            else contextlib.nullcontext()
        )
        self._make_targets = network.targets
        self._targets: torch.Tensor | None = None

    def __call__(self) -> torch.Tensor:
        for tensor in self._with_gradient:
            tensor.grad = None
        with self._autocast:
            outputs = self._model(self._inputs)
        if self._targets is None:
            torch.manual_seed(SEED)
            self._targets = self._make_targets(outputs.shape)
        return self._differentiate(outputs, self._targets)


def make_steps(network: Network, case: Case, sides: tuple[str, ...] = SIDES) -> dict[str, Step]:
    """A step for each side, on equal weights and the same input."""
    torch.manual_seed(SEED)
    original = network.make().train()
    inputs = torch.randn(network.input_shape)
    if case.layout == CHANNELS_LAST:
        original = original.to(memory_format=torch.channels_last)
        inputs = inputs.to(memory_format=torch.channels_last)
    models = {side: deepcopy(original) for side in sides}
    if CONVERTED in models:
        from normgraph.torch import convert  # The original network is measured without it.

        convert(models[CONVERTED])
    if case.mode == COMPILED:
        models = {side: torch.compile(model) for side, model in models.items()}
    return {side: Step(model, network, inputs, case.element_type) for side, model in models.items()}


def steps_of(case: Case, sides: tuple[str, ...] = SIDES) -> dict[str, Step]:
    """The steps of a case, with its number of threads."""
    torch.set_num_threads(case.threads)
    if case.mode == KEPT:
        from normgraph.torch import keep_freed_memory

        keep_freed_memory()
    return make_steps(NETWORKS[case.network], case, sides)
