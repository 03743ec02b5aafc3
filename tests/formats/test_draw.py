"""Drawings: what is shown of a function, in text that Graphviz takes whatever the names are."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import normgraph as ng
from normgraph.formats import GraphvizError
from normgraph.formats.dot import ADJOINT, CONSTANT, FORWARD
from normgraph.formats.formula import FormulaWriter, looked_through
from normgraph.formats.names import constant_text, printable
from normgraph.formats.picture import Box, Picture, picture_of
from normgraph.formats.text_widths import with_text_widths
from tests.ir.graphs import two_layers

from .functions import NAMES, constants, functions

needs_dot = pytest.mark.skipif(
    shutil.which("dot") is None, reason="Graphviz is not installed (apt-get install graphviz)"
)

SVG = "{http://www.w3.org/2000/svg}"
XLINK = "{http://www.w3.org/1999/xlink}"
FAMILY = [name for name in ng.op.__all__ if re.fullmatch("BatchNorm.+", name)]
FAMILY.remove("BatchNormNode")


def layer(name: str = "norm") -> ng.Function:
    x = ng.Parameter("f32", [None, 3, (2, 8)], name="x")
    gamma, beta = (ng.Parameter("f32", [3], name=name) for name in ("gamma", "beta"))
    norm = ng.op.BatchNormTraining(x, gamma, beta, name=name)
    return ng.Function([norm.output("normalized")], [x, gamma, beta], name="layer")


def family(op: str, element_type: str = "f32") -> ng.Function:
    """One op of the family with all its outputs, on parameters named after its inputs."""
    constructor = getattr(ng.op, op)
    names = [
        value.name for value in constructor(*[ng.Parameter("dynamic", None)] * INPUTS[op]).inputs
    ]
    parameters = [parameter(name, element_type) for name in names]
    return ng.Function(constructor(*parameters, name="op").outputs, parameters)


INPUTS = {
    "BatchNormTraining": 3,
    "BatchNormInference": 5,
    "BatchNormTrainingBackprop": 6,
    "BatchNormInferenceBackprop": 6,
    "BatchNormTrainingRelu": 3,
    "BatchNormTrainingReluBackprop": 7,
    "BatchNormTrainingAddRelu": 4,
    "BatchNormTrainingAddReluBackprop": 7,
    "BatchNormInferenceRelu": 5,
    "BatchNormInferenceAddRelu": 6,
    "BatchNormStatistics": 1,
    "BatchNormTrainingApply": 5,
    "BatchNormBackpropSums": 3,
    "BatchNormTrainingBackpropApply": 7,
}


def parameter(name: str, element_type: str) -> ng.Parameter:
    if name == "mask":
        return ng.Parameter("u8", None, name=name)
    if name in ("beta_delta", "gmul_delta"):
        return ng.Parameter("f64", [3], name=name)
    is_data = name in ("input", "residual") or name.endswith("_delta")
    return ng.Parameter(element_type, [None, 3] if is_data else [3], name=name)


def picture(function: ng.Function, decompose: bool = False) -> Picture:
    return picture_of(function, decompose, None)


def titles(boxes: list[Box], **facts: object) -> list[str]:
    return [
        box.title
        for box in boxes
        if all(getattr(box, name) == fact for name, fact in facts.items())
    ]


# ---- what is shown -------------------------------------------------------------------------------


def test_a_node_is_a_box_and_a_value_an_arrow() -> None:
    shown = picture(layer())
    assert titles(shown.boxes, kind="parameter") == ["x", "gamma", "beta"]
    assert titles(shown.boxes, kind="result") == ["norm.normalized"]
    (norm,) = [box for box in shown.boxes if box.kind == "op"]
    assert norm.title == "norm"
    assert norm.lines == ("BatchNormTraining", "epsilon=1e-05, channel_axis=1")
    assert norm.inputs == ("input", "gamma", "beta")
    assert norm.outputs == ("normalized", "mean", "variance")
    types = [arrow.source.type_text for arrow in shown.arrows]
    assert types == ["f32{?,3,2..8}", "f32{3}", "f32{3}", "f32{?,3,2..8}"]
    assert [arrow.place for arrow in shown.arrows] == ["i0", "i1", "i2", ""]
    assert shown.arrows[-1].source.place == "o0"


def test_what_has_no_name_is_shown_by_what_it_is() -> None:
    x = ng.Parameter("f32", [2, 3], name="x")
    product = ng.op.MatrixMultiply(x, x, transpose_right=True)
    ones = ng.Constant([1, 1], "f32")
    norm = ng.op.BatchNormTraining(product, ones, ones)
    shown = picture(ng.Function([product, norm.output(1), x, ng.op.Sum(x, [0])], [x]))
    assert titles(shown.boxes, kind="op") == ["MatrixMultiply", "BatchNormTraining", "Sum"]
    lines = [box.lines for box in shown.boxes if box.kind == "op"]
    assert lines == [
        ("transpose_right=True",),
        ("epsilon=1e-05, channel_axis=1",),
        ("kept_axes={0}",),
    ]
    assert titles(shown.boxes, kind="result") == ["result 0", "mean", "x", "result 3"]


def test_gradients_have_another_colour() -> None:
    boxes = picture(ng.gradients(layer())).boxes
    assert titles(boxes, is_adjoint=False) == ["x", "gamma", "beta", "norm"]
    adjoint = ["normalized_delta", "BatchNormTrainingBackprop"]
    assert titles(boxes, is_adjoint=True) == [*adjoint, "input_delta", "gamma_delta", "beta_delta"]


def test_deltas_may_be_named() -> None:
    function = ng.gradients(layer())
    assert not titles(picture_of(function, False, []).boxes, is_adjoint=True)
    shown = picture_of(function, False, function.parameters[2:3])
    assert titles(shown.boxes, is_adjoint=True)[:2] == ["beta", "norm"]


def test_deltas_are_parameters_of_the_function() -> None:
    with pytest.raises(ValueError, match="deltas: expected parameters of 'layer', got 'y'"):
        ng.draw(layer(), deltas=[ng.Parameter("f32", [1], name="y")])


def test_the_stages_of_the_forward_pass() -> None:
    (group,) = picture(layer(), decompose=True).groups
    assert group.title == "norm = BatchNormTraining(epsilon=1e-05, channel_axis=1)"
    assert [(box.title, *box.lines) for box in group.boxes] == [
        ("mean", "Σ x / n"),
        ("centered", "x − mean"),
        ("square", "centered²"),
        ("variance", "Σ square / n"),
        ("", "epsilon = 1e-05"),
        ("invsqrt", "1 / √(variance + epsilon)"),
        ("gmul", "gamma · invsqrt"),
        ("normed", "centered · gmul + beta"),
    ]


def test_the_stages_of_the_backward_pass() -> None:
    (group,) = picture(family("BatchNormTrainingBackprop"), decompose=True).groups
    assert {box.title: box.lines for box in group.boxes if box.is_adjoint} == {
        "gmul_delta": ("Σ normalized_delta · centered",),
        "centered_delta": ("normalized_delta · gmul",),
        "gamma_delta": ("gmul_delta · invsqrt",),
        "beta_delta": ("Σ normalized_delta",),
        "invsqrt_delta": ("gmul_delta · gamma",),
        "variance_delta": ("−0.5 · invsqrt_delta · invsqrt³",),
        "square_delta": ("variance_delta / n",),
        "mean_delta": ("−Σ centered_delta",),
        "input_delta": ("centered_delta + 2 · centered · square_delta + mean_delta / n",),
    }
    assert set(titles(group.boxes, is_adjoint=False, kind="op")) == {"centered", "invsqrt", "gmul"}


@pytest.mark.parametrize("op", FAMILY)
@pytest.mark.parametrize("decompose", [True, "f64", ng.element.f32])
def test_every_op_is_drawn_as_its_stages(op: str, decompose: bool | str) -> None:
    function = family(op)
    text = ng.draw(function, decompose=decompose).dot
    assert f"op = {op}(" in text
    assert text.count("subgraph cluster_") == 1
    assert_is_well_formed(text)
    # Nothing that has a name is missing, and nothing that has none is shown by its number.
    for node in ng.decompose(function, None).nodes:
        if not re.fullmatch(rf"{node.type_name}_\d+", node.friendly_name):
            assert node.friendly_name in text
    assert not re.search(r"(Add|Multiply|Convert|Broadcast|Constant)(_\d|\()", text)


def test_every_op_in_a_frame_of_its_own() -> None:
    shown = picture(ng.gradients(two_layers()), decompose=True)
    assert len(shown.groups) == 4
    keys = [box.key for group in shown.groups for box in group.boxes]
    keys += [box.key for box in shown.boxes]
    assert len(keys) == len(set(keys))
    assert {arrow.source.key for arrow in shown.arrows} | {
        arrow.target for arrow in shown.arrows
    } <= set(keys)


def test_an_unknown_element_type_has_no_stages() -> None:
    with pytest.raises(ValueError, match="'op': expected a known element type"):
        ng.draw(family("BatchNormTraining", "dynamic"), decompose=True)


def test_none_draws_ops_as_they_are() -> None:
    assert ng.draw(layer(), decompose=None) == ng.draw(layer()) == ng.draw(layer(), False)


@pytest.mark.parametrize("decompose", ["i32", "f33"])
def test_stages_compute_in_a_real_type(decompose: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        ng.draw(layer(), decompose=decompose)


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(TypeError, match="function: expected a Function, got int"):
        ng.draw(3)  # type: ignore[arg-type]


def test_scalars_stand_with_their_value_where_they_are_read() -> None:
    x = ng.Parameter("f32", [2, 3], name="x")
    half = ng.op.Broadcast(ng.op.Convert(ng.Constant(-0.5), "f32"), x, name="half")
    table = ng.Constant([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], "f32", name="table")
    total = ng.op.Add(ng.op.Multiply(x, half), table)
    shown = picture(ng.Function([total, half], [x]))
    found = [(box.title, *box.lines) for box in shown.boxes if box.kind == "constant"]
    assert found == [("", "half = −0.5"), ("table", "6 values")]


def test_a_value_read_twice_is_one_arrow_unless_places_differ() -> None:
    x = ng.Parameter("f32", [2], name="x")
    assert len(picture(ng.Function([ng.op.Multiply(x, x)], [x])).arrows) == 2
    assert len(picture(ng.Function([ng.op.Subtract(x, x)], [x])).arrows) == 3


def test_shapes_that_are_read_are_not_shown() -> None:
    x, y = ng.Parameter("f32", [2], name="x"), ng.Parameter("f32", [2, 3], name="y")
    shown = picture(ng.Function([ng.op.Broadcast(x, y, [0])], [x, y]))
    assert titles(shown.boxes, kind="small") == [""]
    assert [box.lines for box in shown.boxes if box.kind == "small"] == [("broadcast",)]
    assert len(shown.arrows) == 2


def test_an_op_of_which_only_the_shape_is_read_is_a_box() -> None:
    x, gamma = ng.Parameter("f32", [2, 3], name="x"), ng.Parameter("f32", [3], name="gamma")
    norm = ng.op.BatchNormTraining(x, gamma, gamma, name="norm")
    function = ng.Function([ng.op.Broadcast(gamma, norm.output(0), [1])], [x, gamma])
    shown = picture(function, decompose=True)
    assert not shown.groups
    assert "norm" in titles(shown.boxes)


def test_colours_of_the_text() -> None:
    text = ng.draw(ng.decompose(ng.gradients(layer()), None)).dot
    for colors in (FORWARD, ADJOINT, CONSTANT):
        assert colors.fill in text
    assert FORWARD.fill in ng.draw(layer()).dot
    assert ADJOINT.fill not in ng.draw(layer()).dot


def test_the_same_function_gives_the_same_text() -> None:
    assert ng.draw(layer(), True).dot == ng.draw(layer(), True).dot
    assert ng.draw(layer(), True).dot != ng.draw(layer("other"), True).dot


# ---- formulas ------------------------------------------------------------------------------------


def test_formulas_of_every_op() -> None:
    a, b = (ng.Parameter("f32", [2, 2], name=name) for name in "ab")
    op = ng.op

    def formula(node: ng.Node) -> str:
        def name_of(output: ng.Output) -> str | None:
            node = looked_through(output).node
            return node.friendly_name if isinstance(node, ng.Parameter) else None

        return FormulaWriter(name_of).of_node(node).text

    both = op.Add(a, b)
    assert formula(op.Multiply(both, op.Negate(a))) == "(a + b) · (−a)"
    assert formula(op.Subtract(op.Subtract(a, b), both)) == "a − b − (a + b)"
    assert formula(op.Divide(op.Multiply(a, b), op.Multiply(a, b))) == "a · b / (a · b)"
    assert formula(op.Multiply(op.Multiply(a, b), op.Multiply(a, a))) == "a³ · b"
    assert formula(op.Multiply(op.Add(a, a), b)) == "2 · a · b"
    assert formula(op.Add(both, both)) == "2 · (a + b)"
    assert formula(op.Multiply(both, both)) == "(a + b)²"
    assert formula(op.SquareRoot(both)) == "√(a + b)"
    assert formula(op.Sum(both, [1])) == "Σ (a + b)"
    assert formula(op.Mean(a, [1])) == "Σ a / n"
    assert formula(op.MeanBackprop(op.Sum(a, [1]), a, [1])) == "Σ a / n"
    assert formula(op.Relu(both)) == "max(a + b, 0)"
    assert formula(op.ReluBackprop(a, b)) == "b where a > 0"
    assert formula(op.ReluMask(a)) == "a ≠ 0"
    assert formula(op.Relu(both, 6)) == "min(max(a + b, 0), 6)"
    assert formula(op.ReluBackprop(a, b, 6.5)) == "b where 0 < a < 6.5"
    assert formula(op.ReluMask(a, upper_bound=1)) == "0 < a < 1"
    assert formula(op.ReluMaskSelect(a, op.ReluMask(b))) == "a where b ≠ 0"
    where = ng.Parameter("boolean", [2, 1], name="c")
    assert formula(op.SelectWhere(both, where)) == "a + b where c"
    assert formula(op.Sum(op.SelectWhere(a, where), [1])) == "Σ (a where c)"
    assert formula(op.MatrixMultiply(a, b)) == "MatrixMultiply(a, b)"
    assert formula(op.Add(op.Convert(a, "f32"), op.Broadcast(op.Sum(b, [1]), b, [1]))) == "a + Σ b"
    ten = a
    for _ in range(4):
        ten = op.Multiply(ten, a)  # type: ignore[assignment]
    assert formula(ten) == "a · a · a · a · a"


# ---- text ----------------------------------------------------------------------------------------


def labels(text: str) -> list[str]:
    """The HTML-like labels, which reach to the closing bracket of their own."""
    return re.findall(r"label=<(.*?)>(?:, tooltip=|\];$|; style=)", text, flags=re.MULTILINE)


def assert_is_well_formed(text: str) -> None:
    """Labels are XML, quoted strings end, and each statement is a line."""
    for label in labels(text):
        ElementTree.fromstring(f"<label>{label}</label>")
    for line in text.splitlines():
        outside = re.sub(r"label=<.*?>(?=, tooltip=|\];$|; style=)", "label=x", line)
        assert re.fullmatch(r'([^"\\]|"([^"\\]|\\\\)*")*', outside), line
        assert outside.isprintable()


@given(functions())
def test_any_function_is_drawn(function: ng.Function) -> None:
    text = ng.draw(function).dot
    assert_is_well_formed(text)
    assert text.count("peripheries=2") == len(function.results)
    try:
        assert_is_well_formed(ng.draw(function, decompose=True).dot)
    except ValueError as error:
        if "element type" not in str(error):
            raise


@given(NAMES)
def test_any_name_is_escaped(name: str) -> None:
    text = ng.draw(layer(name), decompose=True).dot
    assert_is_well_formed(text)
    (title,) = [label for label in labels(text) if " = BatchNormTraining(" in label]
    shown = ElementTree.fromstring(f"<label>{title}</label>").text
    assert shown is not None
    # Graphviz shows two backslashes as one.
    assert shown.replace("\\\\", "\\").startswith(printable(f"{name} = ", longest=100))


def test_names_are_printable_in_one_line_of_some_length() -> None:
    assert printable("a\nb\tc\\\x00") == "a\\nb\\tc\\\\x00"
    assert printable("γ" * 50) == "γ" * 39 + "…"
    assert printable("γ" * 40) == "γ" * 40


@given(constants())
def test_any_constant_has_a_text(constant: ng.Constant) -> None:
    assert printable(constant_text(constant)) != ""


def test_texts_of_constants() -> None:
    assert constant_text(ng.Constant(1.0)) == "1"
    assert constant_text(ng.Constant(-1e-5, "bf16")) == "−1.00135803e-05"
    assert constant_text(ng.Constant([1, -2])) == "1, −2"
    assert constant_text(ng.Constant([True])) == "True"
    assert constant_text(ng.Constant([[]])) == "0 values"
    assert constant_text(ng.Constant([0] * 5)) == "5 values"


# ---- Graphviz ------------------------------------------------------------------------------------


@pytest.fixture
def without_dot(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.usefixtures("without_dot")
def test_without_graphviz_there_is_text_and_advice(tmp_path: Path) -> None:
    drawing = ng.draw(layer())
    with pytest.raises(GraphvizError, match=r"'dot' is not on the PATH: install Graphviz \(apt"):
        drawing.svg()
    with pytest.raises(GraphvizError, match="install Graphviz"):
        drawing.save(tmp_path / "layer.png")
    assert not list(tmp_path.iterdir())
    drawing.save(tmp_path / "layer.dot")
    assert (tmp_path / "layer.dot").read_text("utf-8") == drawing.dot == str(drawing)
    assert drawing._repr_svg_() is None
    assert drawing._repr_mimebundle_()["text/plain"].startswith(f"{layer()}\n\n(To see a picture,")


@pytest.mark.parametrize("name", ["layer", "layer.jpg", "dot"])
def test_the_ending_chooses_the_format(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a name that ends in one of \.dot, \.pdf, \.png"):
        ng.draw(layer()).save(tmp_path / name)


@needs_dot
def test_files_of_every_format(tmp_path: Path) -> None:
    drawing = ng.draw(ng.gradients(layer()), decompose=True)
    for ending, start in [
        ("svg", b"<svg"),
        ("png", b"\x89PNG"),
        ("pdf", b"%PDF"),
        ("dot", b"digr"),
    ]:
        drawing.save(tmp_path / f"layer.{ending}")
        assert (tmp_path / f"layer.{ending}").read_bytes().startswith(start)


@needs_dot
def test_notebooks_show_an_image() -> None:
    drawing = ng.draw(layer(), decompose=True)
    image = drawing._repr_mimebundle_(include=None, exclude=None)["image/svg+xml"]
    assert image == drawing._repr_svg_() == drawing.svg()
    texts = [element.text for element in ElementTree.fromstring(image).iter() if element.text]
    for text in ("invsqrt", "1 / √(variance + epsilon)", "epsilon = 1e-05", "gmul"):
        assert text in texts


@needs_dot
def test_a_failure_of_graphviz_is_told() -> None:
    with pytest.raises(GraphvizError, match=r"'dot' has failed: .*syntax error"):
        ng.Drawing("digraph {", "").svg()


@needs_dot
@settings(max_examples=25)
@given(NAMES, st.booleans())
@example(name="]]", decompose=False)
@example(name=r"\\ \N", decompose=True)
@example(name=r"%3\G\L", decompose=False)
def test_graphviz_takes_any_name(name: str, decompose: bool) -> None:
    function = ng.gradients(layer(name))
    function.parameters[0].friendly_name = function.friendly_name = name
    image = ElementTree.fromstring(ng.draw(function, decompose).svg())
    texts = "".join(element.text or "" for element in image.iter())
    assert printable(name).strip() in texts.replace("\xa0", " ")
    (title,) = image.iterfind(f"./{SVG}g/{SVG}title")
    assert title.text == printable(function.friendly_name)
    tooltips = [link.get(f"{XLINK}title", "") for link in image.iter(f"{SVG}a")]
    assert printable(name, longest=200) in tooltips
    shown = [element for element in image.iter(f"{SVG}text") if (element.text or "").strip()]
    assert shown
    assert all(float(element.attrib["textLength"]) > 0 for element in shown)


@needs_dot
def test_a_text_has_the_width_that_its_box_was_made_for() -> None:
    function = layer()
    function.parameters[0].friendly_name = "m" * 40
    image = ElementTree.fromstring(ng.draw(function).svg())
    found = {
        group.find(f".//{SVG}text").text: (  # type: ignore[union-attr]
            float(group.find(f".//{SVG}text").attrib["textLength"]),  # type: ignore[union-attr]
            2 * float(oval.attrib["rx"]),
        )
        for group in image.iter(f"{SVG}g")
        if group.get("class") == "node" and (oval := group.find(f".//{SVG}ellipse")) is not None
    }
    assert set(found) == {"m" * 40, "gamma", "beta", "norm.normalized"}
    for width, room in found.values():
        assert 0.4 * room < width < room


def test_widths_of_texts_are_found_by_their_places() -> None:
    def text(x: float, y: float, width: float) -> dict[str, object]:
        return {"op": "T", "pt": [x, y], "align": "l", "width": width, "text": "a"}

    image = "".join(
        f'<text text-anchor="start" x="{x}" y="{y}" fill="#000000">a</text>'
        for x, y in (("1.50", "-2"), ("3.00", "4.25"), ("5", "6"))
    )
    layout = {
        "_ldraw_": [{"op": "F", "size": 9}, text(1.5, 2, 10)],
        "objects": [{"name": "n1", "_draw_": [{"op": "E", "rect": [1, 2, 3, 4]}]}],
        "edges": [{"_tldraw_": [text(3, -4.25, 12.5)]}],
    }
    shown = with_text_widths(image, json.dumps(layout))
    assert re.findall(r'textLength="([^"]*)"', shown) == ["10", "12.5"]
    assert re.sub(r'textLength="[^"]*" lengthAdjust="spacingAndGlyphs" ', "", shown) == image


@pytest.mark.parametrize("name", ["layer", "a\nb\r\u2028c", "'\"\\<>", "σ" * 100, "\0"])
def test_the_repr_is_one_short_line(name: str) -> None:
    function = two_layers()
    function.friendly_name = name
    text = repr(ng.draw(function))
    assert text.startswith("<Drawing of '")
    assert text.endswith("'>")
    assert len(text.splitlines()) == 1
    assert len(text) < 60
    assert text.isprintable()
