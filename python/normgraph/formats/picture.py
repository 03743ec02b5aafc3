"""A function as boxes and arrows: what a drawing shows, before it has a language."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from .. import _core
from .._core import Constant, Function, Node, Output, Parameter, element
from .formula import TRANSPARENT, FormulaWriter
from .names import (
    attributes_text,
    chosen_name,
    constant_text,
    number_of_elements,
    output_name,
    tensor_type,
)

Kind = Literal["parameter", "constant", "op", "small", "result"]

#: Ops of which it matters who is left and who is right: their inputs have places in the box.
ORDERED = (
    "Subtract",
    "Divide",
    "MatrixMultiply",
    "ReluBackprop",
    "ReluMaskSelect",
    "SelectWhere",
)


@dataclass(frozen=True)
class Box:
    """A box that is drawn for a node, or for several in one."""

    key: str
    kind: Kind
    title: str
    lines: tuple[str, ...]
    is_adjoint: bool
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


class End(NamedTuple):
    """The start of an arrow: a box, a place of it ("" for the whole), what the value is."""

    key: str
    place: str
    type_text: str


@dataclass(frozen=True)
class Arrow:
    """A value that one box makes and another one reads."""

    source: End
    target: str
    place: str = ""


@dataclass
class Group:
    """Boxes within a frame: the stages of an op."""

    key: str
    title: str
    boxes: list[Box] = field(default_factory=list)


@dataclass
class Picture:
    """Boxes outside of groups, groups, and the arrows between all boxes, in the order of nodes."""

    name: str
    boxes: list[Box] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)


def picture_of(
    function: Function,
    decompose: bool | element.Type,
    deltas: Sequence[Parameter] | None,
) -> Picture:
    """Lay out a function. Raises ValueError for deltas that are no parameters of it."""
    return PictureBuilder(function, decompose, deltas).picture


def is_delta_name(name: str) -> bool:
    """Whether an input or a parameter of this name is a gradient that arrives."""
    return name == "delta" or name.endswith("_delta")


def reads_of(node: Node) -> list[_core.Input]:
    """The inputs whose values count: of `like` nothing but the shape is read."""
    return [value for value in node.inputs if value.name != "like"]


class PictureBuilder:
    """Goes through the nodes in order; `ends` says where the arrows of each output start."""

    def __init__(
        self,
        function: Function,
        decompose: bool | element.Type,
        deltas: Sequence[Parameter] | None,
    ) -> None:
        self.picture = Picture(function.friendly_name)
        self.decompose = decompose
        self.deltas = None if deltas is None else set(deltas)
        self.check_deltas(function)
        # As keys, outputs are the same only as long as the Python objects of their nodes live.
        self.nodes = function.nodes
        self.origins: dict[Output, Output] = {}
        self.ends: dict[Output, End] = {}
        self.stands_for: dict[Output, Output] = {}
        self.adjoints: set[Output] = set()
        self.used = {value.source for node in self.nodes for value in reads_of(node)}
        self.used |= set(function.results)
        self.count = 0
        for node in list(self.nodes):
            self.add_node(node)
        for index, result in enumerate(function.results):
            self.add_result(result, index)

    def check_deltas(self, function: Function) -> None:
        parameters = set(function.parameters)
        for parameter in self.deltas or ():
            if parameter not in parameters:
                name = parameter.friendly_name
                raise ValueError(
                    f"deltas: expected parameters of '{function.friendly_name}', got '{name}'"
                )

    def new_key(self) -> str:
        self.count += 1
        return f"n{self.count}"

    # ---- what is looked through ------------------------------------------------------------------

    def looked_through(self, output: Output) -> Output:
        """The value itself, before Broadcast and Convert; remembered, since they form chains."""
        chain = []
        while output not in self.origins and output.node.type_name in TRANSPARENT:
            chain.append(output)
            output = output.node.inputs[0].source
        origin = self.origins.get(output, output)
        self.origins.update(dict.fromkeys(chain, origin))
        return origin

    def folded_constant(self, output: Output) -> Constant | None:
        """The scalar that the output repeats or converts, if it does nothing else."""
        node = self.looked_through(output).node
        return node if isinstance(node, Constant) and number_of_elements(node) == 1 else None

    # ---- forward or adjoint ----------------------------------------------------------------------

    def is_adjoint(self, node: Node) -> bool:
        """Whether a gradient that arrives is, or goes into, what the node computes."""
        if isinstance(node, Parameter):
            name = node.friendly_name
            return is_delta_name(name) if self.deltas is None else node in self.deltas
        return any(
            value.source in self.adjoints or (self.deltas is None and is_delta_name(value.name))
            for value in reads_of(node)
        )

    def mark(self, node: Node) -> bool:
        is_adjoint = self.is_adjoint(node)
        if is_adjoint:
            self.adjoints.update(node.outputs)
        return is_adjoint

    # ---- nodes as they are -----------------------------------------------------------------------

    def add_node(self, node: Node) -> None:
        """A box for a node, or a group for an op that is decomposed."""
        is_adjoint = self.mark(node)
        used = [output for output in node.outputs if output in self.used]
        if self.decompose is not False and isinstance(node, _core.op.BatchNormNode) and used:
            self.add_stages(node, used)
        elif self.folded_constant(node.outputs[0]) is None:
            box = self.box_of(node, is_adjoint)
            self.picture.boxes.append(box)
            self.add_arrows(box, [value.source for value in reads_of(node)], bool(box.inputs))
            for index, output in enumerate(node.outputs):
                place = f"o{index}" if box.outputs else ""
                self.ends[output] = End(box.key, place, tensor_type(output))

    def box_of(self, node: Node, is_adjoint: bool) -> Box:
        key, name = self.new_key(), chosen_name(node)
        if isinstance(node, Parameter):
            return Box(key, "parameter", node.friendly_name, (), is_adjoint)
        if isinstance(node, Constant):
            return Box(key, "constant", name or "", (constant_text(node),), is_adjoint)
        if node.type_name in TRANSPARENT:
            # Nothing is computed here.
            to = f" to {node.outputs[0].element_type}" if node.type_name == "Convert" else ""
            return Box(key, "small", name or "", (node.type_name.lower() + to,), is_adjoint)
        lines = [node.type_name] if name else []
        attributes = attributes_text(node)
        lines += [attributes] if attributes else []
        inputs: tuple[str, ...] = ()
        if isinstance(node, _core.op.BatchNormNode) or node.type_name in ORDERED:
            inputs = tuple(value.name for value in node.inputs)
        outputs = tuple(value.name for value in node.outputs) if len(node.outputs) > 1 else ()
        title = name or node.type_name
        return Box(key, "op", title, tuple(lines), is_adjoint, inputs, outputs)

    def add_arrows(self, box: Box, sources: Iterable[Output], has_places: bool) -> None:
        arrows: dict[Arrow, None] = {}  # one of those that are equal
        for index, source in enumerate(sources):
            place = f"i{index}" if has_places else ""
            arrows[Arrow(self.end_of(source, self.picture.boxes), box.key, place)] = None
        self.picture.arrows += arrows

    def end_of(self, output: Output, boxes: list[Box]) -> End:
        """The start of this value's arrows; a scalar gets its small box when it is first read."""
        if output in self.stands_for:
            return self.end_of(self.stands_for[output], self.picture.boxes)
        end = self.ends.get(output)
        if end is None:
            constant = self.folded_constant(output)
            assert constant is not None, output
            name = chosen_name(output.node) or chosen_name(constant)
            text = constant_text(constant)
            box = Box(
                self.new_key(), "constant", "", (f"{name} = {text}" if name else text,), False
            )
            boxes.append(box)
            end = self.ends[output] = End(box.key, "", tensor_type(output))
        return end

    def add_result(self, output: Output, index: int) -> None:
        if chosen_name(output.node):
            name = output_name(output)
        else:
            name = output.name if len(output.node.outputs) > 1 else f"result {index}"
        end = self.end_of(output, self.picture.boxes)
        box = Box(self.new_key(), "result", name, (), output in self.adjoints)
        self.picture.boxes.append(box)
        self.picture.arrows.append(Arrow(end, box.key))

    # ---- the stages of an op ---------------------------------------------------------------------

    def add_stages(self, node: _core.op.BatchNormNode, outputs: list[Output]) -> None:
        """A group of a box for each stage that has a name; what has none is part of its formula."""
        title = f"{node.type_name}({attributes_text(node)})"
        name = chosen_name(node)
        group = Group(self.new_key(), f"{name} = {title}" if name else title)
        self.picture.groups.append(group)
        stages = self.stages_of(node, outputs)
        StagesBuilder(self, group, stages).add()
        for output, stage in zip(outputs, stages.results, strict=True):
            end = self.end_of(self.origin(stage), group.boxes)
            self.ends[output] = End(end.key, end.place, tensor_type(output))

    def origin(self, stage: Output) -> Output:
        return stage if self.folded_constant(stage) else self.looked_through(stage)

    def stages_of(self, node: _core.op.BatchNormNode, outputs: list[Output]) -> Function:
        """The op alone, decomposed: its parameters stand for what the op reads."""
        parameters = []
        for value in node.inputs:
            source = value.source
            known = chosen_name(source.node)
            name = value.name if known is None else output_name(source)
            parameter = Parameter(value.element_type, value.partial_shape, name=name)
            parameters.append(parameter)
            stand_in = parameter.output(0)
            if source in self.adjoints or self.is_adjoint_input(value):
                self.adjoints.add(stand_in)
            self.stands_for[stand_in] = source
        alone = node.clone_with_new_inputs(parameters, name=node.friendly_name)
        results = [alone.output(output.index) for output in outputs]
        compute_type = self.decompose if isinstance(self.decompose, element.Type) else None
        stages = _core.decompose(Function(results, parameters), compute_type)
        self.nodes += stages.nodes
        return stages

    def is_adjoint_input(self, value: _core.Input) -> bool:
        return self.deltas is None and is_delta_name(value.name)


class StagesBuilder:
    """Adds the boxes of one group."""

    def __init__(self, builder: PictureBuilder, group: Group, stages: Function) -> None:
        self.builder = builder
        self.group = group
        self.stages = stages
        self.readers: dict[Output, set[Node | None]] = {}
        for node in stages.nodes:
            if node.type_name not in TRANSPARENT:
                for value in reads_of(node):
                    self.readers.setdefault(self.builder.looked_through(value.source), set()).add(
                        node
                    )
        for result in stages.results:
            self.readers.setdefault(self.builder.looked_through(result), set()).add(None)
        self.formulas = FormulaWriter(self.name_of)

    def add(self) -> None:
        """Go through the stages in order."""
        for node in self.stages.nodes:
            if isinstance(node, Parameter):
                continue
            is_adjoint = self.builder.mark(node)
            if self.is_drawn(node):
                self.add_box(node, is_adjoint)

    def is_drawn(self, node: Node) -> bool:
        """Whether a node has a box: not looked through, no nameless step on the way to another."""
        output = node.outputs[0]
        if node.type_name in TRANSPARENT or isinstance(node, Constant):
            return False
        readers = self.readers.get(output, set())
        return chosen_name(node) is not None or len(readers) != 1 or None in readers

    def name_of(self, output: Output) -> str | None:
        """The text for a value in a formula; a nameless step is written out."""
        constant = self.builder.folded_constant(output)
        if constant is not None:
            return chosen_name(output.node) or constant_text(constant)
        node = self.builder.looked_through(output).node
        return node.friendly_name if isinstance(node, Parameter) else chosen_name(node)

    def add_box(self, node: Node, is_adjoint: bool) -> None:
        name = chosen_name(node)
        formula = self.formulas.of_node(node).text
        title, lines = (name, (formula,)) if name else (formula, ())
        box = Box(self.builder.new_key(), "op", title, lines, is_adjoint)
        sources: dict[End, None] = {}
        self.collect(node, sources)
        self.group.boxes.append(box)
        self.builder.picture.arrows += [Arrow(source, box.key) for source in sources]
        output = node.outputs[0]
        self.builder.ends[output] = End(box.key, "", tensor_type(output))

    def collect(self, node: Node, sources: dict[End, None]) -> None:
        """The sources of the values that the node, and the steps written out in it, read."""
        for value in reads_of(node):
            source = self.builder.looked_through(value.source)
            if isinstance(source.node, Constant):
                if chosen_name(value.source.node):
                    sources[self.builder.end_of(value.source, self.group.boxes)] = None
            elif source in self.builder.ends or source in self.builder.stands_for:
                sources[self.builder.end_of(source, self.group.boxes)] = None
            else:
                self.collect(source.node, sources)
