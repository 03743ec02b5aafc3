"""The statements of the pages about the source are true."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import normgraph as ng
from normgraph import cli
from normgraph.verification import MISTAKES
from normgraph.verification.calls import PARAMETER_NAMES, QUANTITY_OF
from tests.op.signatures import ALL, STAGES

from .pages import DOCS, PAGES, REPOSITORY, name_of, tables
from .rounded_statistics import table_rows

#: stem -> class
FUNCTIONS = {signature.function.__name__: signature.name for signature in ALL}
OPS = {signature.stem: signature.name for signature in (*ALL, *STAGES)}
#: Ops that are options of another op's kernel.
KERNEL_OPTIONS = set(OPS) - {"batch_norm_training", "batch_norm_inference"}
OPS_WITH_KERNEL = [stem for stem in OPS if stem not in KERNEL_OPTIONS]
#: Stems of ops that are the names of kernels, too: of those that reduce a part of a batch.
KERNELS_OF_PARTS = {"batch_norm_statistics", "batch_norm_backprop_sums"}
EVERY_OP = pytest.mark.parametrize("stem", OPS)

ROOTS = "csrc|python|tests|benchmarks|docs|cmake"


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def section(text: str, title: str) -> str:
    """From a heading to the next one of its level."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def names(text: str) -> list[str]:
    """The first column of the first table, without code marks and header."""
    return [row[0].strip("`") for row in tables(text)[0][1:]]


# ---- places in the source ------------------------------------------------------------------------


def paths_on(name: str) -> list[str]:
    return re.findall(rf"`((?:{ROOTS})/[^`\s]*|CHANGELOG\.md)`", page(name))


@pytest.mark.parametrize("name", [name_of(path) for path in PAGES])
def test_paths_on_the_page_exist(name: str) -> None:
    for path in paths_on(name):
        for stem in OPS_WITH_KERNEL if "/kernel/" in path else OPS:
            assert (REPOSITORY / path.replace("<stem>", stem)).exists(), path


@EVERY_OP
def test_an_op_has_every_place_of_adding_an_op(stem: str) -> None:
    own = names(section(page("adding_an_op.md"), "Files of its own"))
    shared = names(section(page("adding_an_op.md"), "Places in shared files"))
    assert own
    assert shared
    for path in own:
        assert "<stem>" in path
        assert (REPOSITORY / path.replace("<stem>", stem)).exists(), path
    for path in shared:
        assert names_op(stem, path), path
    of_function = names(section(page("adding_an_op.md"), "Places of its function"))
    assert of_function
    for path in of_function if stem in FUNCTIONS else ():
        assert names_op(stem, path), path


def names_op(stem: str, path: str) -> bool:
    text = (REPOSITORY / path).read_text(encoding="utf-8")
    return re.search(rf"\b({stem}|{OPS[stem]})(Arguments|Result)?\b", text) is not None


@EVERY_OP
def test_an_op_has_a_kernel_or_is_an_option_of_one(stem: str) -> None:
    text = section(page("adding_an_op.md"), "Its kernel")
    listed = names(text)
    own = [path for path in listed if "<stem>" in path]
    shared = [path for path in listed if "<stem>" not in path]
    files = [(REPOSITORY / path.replace("<stem>", stem)).exists() for path in own]
    is_kernel = stem not in KERNEL_OPTIONS
    assert files == [is_kernel or stem in KERNELS_OF_PARTS] * len(own)
    if is_kernel:
        assert all(names_op(stem, path) for path in shared)
    else:
        assert re.search(rf"\b{OPS[stem]}\b", text)
        assert names_op(stem, "csrc/normgraph/kernel/contract.hpp")


def source_files() -> Iterator[Path]:
    for folder in ("csrc", "benchmarks", "python/normgraph/_core"):
        yield from (
            path
            for path in (REPOSITORY / folder).rglob("*")
            if path.suffix in {".cpp", ".hpp", ".py", ".pyi"}
        )
    yield from (REPOSITORY / "python" / "normgraph").glob("*.py")


def test_adding_an_op_lists_every_file_that_names_all_ops() -> None:
    paths = paths_on("adding_an_op.md")
    listed = {path.replace("<stem>", stem) for path in paths for stem in OPS}
    for file in source_files():
        path = file.relative_to(REPOSITORY).as_posix()
        if all(names_op(stem, path) for stem in OPS_WITH_KERNEL):
            assert path in listed


@EVERY_OP
def test_adding_an_op_lists_every_file_named_after_an_op(stem: str) -> None:
    listed = {path.replace("<stem>", stem) for path in paths_on("adding_an_op.md")}
    for folder in ("csrc", "docs", "python", "tests", "benchmarks"):
        for path in (REPOSITORY / folder).rglob(f"*{stem}*.*"):
            if path.stem in (stem, f"test_{stem}") and path.suffix != ".pyc":
                assert path.relative_to(REPOSITORY).as_posix() in listed


# ---- the ops' pages ------------------------------------------------------------------------------


@EVERY_OP
def test_op_page_has_the_form_of_all(stem: str) -> None:
    titles = re.findall(r"^#+ (.*)$", page(f"ops/{stem}.md"), flags=re.MULTILINE)
    assert titles == [
        OPS[stem],
        "Description",
        "Inputs",
        "Attributes",
        "Outputs",
        "Constraints",
        "Mathematical definition",
        "C++ interface",
        "Python interface",
        "Example",
    ]


@EVERY_OP
def test_op_page_names_inputs_attributes_and_outputs(stem: str) -> None:
    text = page(f"ops/{stem}.md")
    inputs = names(section(text, "Inputs"))
    op = getattr(ng.op, OPS[stem])
    node = op(*(ng.Parameter("dynamic", None) for _ in op.input_names))
    assert inputs == [*(value.name for value in node.inputs), *op.optional_inputs]
    assert names(section(text, "Attributes")) == list(getattr(ng.op, OPS[stem]).attribute_kinds)
    assert names(section(text, "Outputs")) == [value.name for value in node.outputs]
    defaults = {"epsilon": 1e-5, "channel_axis": 1}
    kinds = getattr(ng.op, OPS[stem]).attribute_kinds
    assert node.attributes == {name: defaults[name] for name in defaults if name in kinds}


def labels(text: str) -> list[str]:
    return re.findall(r"\bC\d+\b", text)


@EVERY_OP
def test_op_page_lists_the_constraints_of_the_op(stem: str) -> None:
    on_page = names(section(page(f"ops/{stem}.md"), "Constraints"))
    docstring = getattr(ng.op, OPS[stem]).__doc__
    assert on_page == labels(docstring)


def of_vectors(constraint: str, inputs: list[str]) -> str:
    """C4 of an op that has only some of the channel vectors."""
    affine, statistics = constraint.split("; ")
    if "beta" not in inputs:
        affine = affine.replace(
            "`gamma` and `beta` share one element type: `input`'s",
            "`gamma` has `input`'s element type",
        )
    if "variance" not in inputs:
        statistics = "`mean` has `input`'s element type or any wider one"
    return "; ".join(
        part for name, part in (("gamma", affine), ("mean", statistics)) if name in inputs
    )


def test_a_label_means_the_same_on_all_pages() -> None:
    sentences = (REPOSITORY / "csrc/normgraph/op/constraints.hpp").read_text("utf-8")
    all_labels = re.findall(r'Constraint\{"(C\d+)"', sentences)
    index = dict(tables(section(page("ops/index.md"), "Constraints"))[0][1:])
    assert list(index) == all_labels
    for stem in OPS:
        for row in tables(section(page(f"ops/{stem}.md"), "Constraints"))[0][1:]:
            # The forward ops name their only two channel vectors instead of speaking of all, and
            # the attribute instead of mean and variance; activated_delta and residual stand in the
            # place of normalized_delta.
            text = row[1].replace("`gamma` and `beta` have", "each channel vector has")
            text = text.replace("`activated_delta`", "`normalized_delta`")
            text = text.replace("`residual`", "`normalized_delta`")
            whole = index[row[0]]
            if "`statistics_type`" in text:
                text, _, of_statistics = text.partition("; ")
                assert of_statistics == "`statistics_type` is `input`'s type or any wider one"
                whole = whole.partition(";")[0]
            elif row[0] == "C4":
                whole = of_vectors(whole, names(section(page(f"ops/{stem}.md"), "Inputs")))
            assert text == whole


# ---- the numerics page ---------------------------------------------------------------------------


def test_constants_of_the_summation_order() -> None:
    order = (REPOSITORY / "csrc/normgraph/kernel/summation_order.hpp").read_text("utf-8")
    text = page("numerics.md")
    assert f"Version {ng.config()['summation_order_version']}, " in text
    steps, chain = (
        int(re.search(rf"{name} = (\d+);", order)[1])  # type: ignore[index]
        for name in ("steps_per_block", "steps_per_chain")
    )
    found = re.search(r"return has_chains\(type\) \? (\d+) : (\d+);", order)
    assert found
    lanes_of_chains, lanes = (int(text) for text in found.groups())
    assert f"A block has at most {steps} steps" in text
    assert f"in chains of {chain} steps" in text
    assert f"| channels first | {lanes} | {lanes_of_chains} |" in text
    assert f"makes lanes · $C$ at least {lanes} | at least {lanes_of_chains} |" in text
    assert f"A term passes through at most {steps} additions in its lane" in text
    assert f"A chain has {chain} fused or plain additions" in text


def test_cost_of_rounding_the_statistics_is_as_measured() -> None:
    text = page("numerics.md")
    for row in table_rows():
        assert row in text


# ---- the page of verify --------------------------------------------------------------------------


def test_every_mistake_that_verify_names_is_listed() -> None:
    listed = tables(section(page("verify.md"), "The mistakes it names"))[0][1:]
    assert {row[0].strip("`"): row[1] for row in listed} == MISTAKES


def test_names_of_parameters_are_known_to_verify() -> None:
    text = section(page("verify.md"), "How the functions are called")
    sentence = text[text.index("is read from its name:") : text.index("Where names are not known")]
    named = set(re.findall(r"`(\w+)`", sentence)) - {"mode"}
    assert named <= set(QUANTITY_OF)
    assert set(PARAMETER_NAMES) <= named


def test_report_of_verify_is_what_the_command_prints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = section(page("verify.md"), "In a file")
    example, shown = re.findall(r"^```\w+\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    code = "\n".join(line[4:] for line in example.splitlines())
    (tmp_path / "exercise.py").write_text(code, encoding="utf-8")
    assert cli.main(["verify", str(tmp_path / "exercise.py")]) == 1
    printed = capsys.readouterr().out.splitlines()
    # Errors of what is right are rounding, which may differ from machine to machine.
    wrong, on_page = (
        [line for line in lines if not line.startswith("ok ")]
        for lines in (printed, shown.splitlines()[1:])
    )
    assert wrong == on_page
    assert len(printed) == len(shown.splitlines()) - 1
