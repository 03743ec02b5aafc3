"""A copy of the project's tree, in which mutants are built and tested."""

from __future__ import annotations

import os
import re
import resource
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .mutant import CPP_TESTS, Group, Mutant, mutated

PROJECT = Path(__file__).resolve().parents[2]
COPIED = ("CMakeLists.txt", "pyproject.toml", "cmake", "csrc", "python", "tests")
# The tests left out look at the installed libraries, and nothing is installed here.
PYTHON_TESTS = (
    "tests/ir tests/op tests/kernel tests/published_errors "
    "--ignore=tests/kernel/test_wide_instructions.py"
)
VECTOR_KERNELS = "/kernel/simd/"
EXECUTION_TESTS = "tests/pass tests/runtime"
TIME_LIMIT = 1800.0
MEMORY_LIMIT = 8 * 2**30
"""Seconds and bytes for one run of tests: a mutant may make a loop that does not end."""


class BuildError(Exception):
    """The tree does not compile; the message is the compiler's first error."""


class TestsError(Exception):
    """The tests could not be run to their end, for a reason that is not the mutant's."""

    __test__ = False  # pytest would take it for a class of tests


def limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))


@dataclass(frozen=True)
class Verdict:
    """The outcome of a run of tests. `failed` names the first failing test; empty if all passed."""

    failed: str


class Workspace:
    """`folder` is made if need be, and used again: what has not changed is not built again."""

    def __init__(self, folder: Path) -> None:
        self._tree = folder / "tree"
        self._build = folder / "build"
        self._package = self._tree / "python" / "normgraph"

    def prepare(self) -> None:
        """Brings the copy up to date and configures its build."""
        wanted = dict(self._files_of(PROJECT))
        for path in dict(self._files_of(self._tree)):
            if path not in wanted:
                (self._tree / path).unlink()
        for path, content in wanted.items():
            copy = self._tree / path
            if not copy.is_file() or copy.read_bytes() != content:
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(content)
        configure = ["cmake", "-S", str(self._tree), "-B", str(self._build), "-G", "Ninja"]
        # Optimised as little as the tests' time limits allow: most of the time goes into compiling.
        configure += ["-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_CXX_FLAGS_RELEASE=-O1"]
        configure += ["-DNORMGRAPH_BASELINE_ONLY=ON"]
        configure += ["-DNORMGRAPH_BUILD_TESTS=ON", "-DNORMGRAPH_WARNINGS_AS_ERRORS=OFF"]
        configure += [f"-DCMAKE_LIBRARY_OUTPUT_DIRECTORY={self._package}"]
        configure += [f"-DPython_EXECUTABLE={sys.executable}"]
        self._call_builder(configure)

    @contextmanager
    def with_mutant(self, group: Group, mutant: Mutant) -> Iterator[None]:
        """The tree has the mutant inside, and is as it was afterwards."""
        file = self._tree / group.path
        text = file.read_text()
        file.write_text(mutated(mutant, group.path, text))
        try:
            yield
        finally:
            file.write_text(text)

    def test(self, which: str, path: str = "") -> Verdict:
        """Builds what these tests need, and runs them until one fails.

        `path` is the file that has a mutant, if one has. Raises BuildError, and TestsError where no
        verdict is possible.
        """
        # Most mutants are those of the reference kernels and of what all kernels share, and kernels
        # for instruction sets have tests that compare them with these. But the reference does not
        # notice what vector kernels do, nor what graphs are planned for them.
        needs_vectors = "tests/runtime" in which or VECTOR_KERNELS in path
        isa = {} if needs_vectors else {"NORMGRAPH_ISA": "reference"}
        if which == CPP_TESTS:
            self._call_builder(["ninja", "-C", str(self._build), "normgraph_tests"])
            program = str(self._build / "tests" / "normgraph_tests")
            return self._run([program, "--gtest_fail_fast", "--gtest_brief=1"], isa)
        self._call_builder(["ninja", "-C", str(self._build), "_core"])
        pytest = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=no", "-rfE"]
        return self._run([*pytest, "-p", "no:cacheprovider", *shlex.split(which)], isa)

    def check_that_the_copy_is_tested(self) -> None:
        """Raises TestsError if Python finds another normgraph than the copy's."""
        code = "import normgraph._core as core; print(core.__file__)"
        command = [sys.executable, "-c", code]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=self._tree, env=self._environment()
        )
        if self._package not in Path(done.stdout.strip()).parents:
            raise TestsError(f"expected the module built in {self._package}, got {done}")

    def _files_of(self, root: Path) -> Iterator[tuple[Path, bytes]]:
        for name in COPIED:
            top = root / name
            for file in sorted(top.rglob("*")) if top.is_dir() else [top]:
                is_built = "__pycache__" in file.parts or file.suffix in (".so", ".pyd")
                if file.is_file() and not is_built:
                    yield file.relative_to(root), file.read_bytes()

    def _environment(self) -> dict[str, str]:
        # A mutant may be as long as its original, and as old in seconds: no bytecode is kept.
        own = {"PYTHONPATH": str(self._tree / "python"), "PYTHONDONTWRITEBYTECODE": "1"}
        return {**os.environ, **own}

    def _call_builder(self, command: list[str]) -> None:
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            lines = (done.stdout + done.stderr).splitlines()
            errors = [line for line in lines if "error" in line.lower()]
            raise BuildError((errors or lines or ["no output"])[0])

    def _run(self, command: list[str], environment: dict[str, str]) -> Verdict:
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                errors="replace",
                cwd=self._tree,
                env={**self._environment(), **environment},
                timeout=TIME_LIMIT,
                preexec_fn=limit_memory,
            )
        except subprocess.TimeoutExpired:
            return Verdict(f"no end after {TIME_LIMIT:.0f} s")
        if done.returncode == 0:
            return Verdict("")
        # pytest: "FAILED tests/…::test - message"; GoogleTest: "[  FAILED  ] Suite.Test (0 ms)".
        found = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - |$)|FAILED  \] (\S+)", done.stdout, re.M)
        if found:
            return Verdict(found.group(1) or found.group(2))
        if done.returncode in (-signal.SIGTERM, -signal.SIGINT):
            raise TestsError("the tests were interrupted")
        if done.returncode < 0:
            return Verdict(f"the tests ended with {signal.Signals(-done.returncode).name}")
        raise TestsError(f"no test ran: {shlex.join(command)}\n{done.stdout[-500:]}{done.stderr}")
