"""What a step spends its time on, by torch.profiler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.profiler import ProfilerActivity, profile, record_function

from .kinds import KINDS, OTHER, kind_of

_STEP = "step of training"


def seconds_by_kind(step: Callable[[], object]) -> dict[str, float]:
    """Seconds of one step by the kinds, and what is left of it as "other".

    An op counts with all that it calls: what a convolution copies is the convolution's.
    """
    with _recording():
        pass  # The first recording of a process takes a second.
    with _recording() as profiler, record_function(_STEP):
        step()
    root = next(event for event in profiler.events() if event.name == _STEP)
    seconds = dict.fromkeys(KINDS, 0.0)
    for event in root.cpu_children:
        kind = kind_of(event.name)
        if kind != OTHER:
            seconds[kind] += _seconds(event)
    return {**seconds, OTHER: _seconds(root) - sum(seconds.values())}


def _recording() -> Any:
    return profile(activities=[ProfilerActivity.CPU], acc_events=True)


def _seconds(event: Any) -> float:
    return float(event.cpu_time_total) * 1e-6
