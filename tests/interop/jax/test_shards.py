"""shard_map: the checks of shard_worker.py, on four devices."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.interop
pytest.importorskip("jax")

REPOSITORY = Path(__file__).parents[3]
CHECKS = re.findall(
    r"^def check_(\w+)", Path(__file__).with_name("shard_worker.py").read_text("utf-8"), re.M
)


@pytest.fixture(scope="module")
def outcomes() -> dict[str, str]:
    environment = {
        **os.environ,
        "JAX_ENABLE_X64": "1",
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
    }
    result = subprocess.run(
        [sys.executable, "-m", "tests.interop.jax.shard_worker"],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    found: dict[str, str] = json.loads(result.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("check", CHECKS)
def test_shards(check: str, outcomes: dict[str, str]) -> None:
    assert outcomes[check] == "", outcomes[check]


def test_every_check_has_run(outcomes: dict[str, str]) -> None:
    assert sorted(outcomes) == sorted(CHECKS)
    assert len(CHECKS) >= 10
