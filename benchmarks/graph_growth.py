"""Operations on whole graphs, timed at two sizes: a ratio far above the sizes' is not linear."""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

import normgraph as ng
from normgraph.formats import json, onnx, stablehlo

Array = npt.NDArray[Any]
Call = Callable[[], object]
Make = Callable[[int], ng.Function]

SHAPE = (2, 4)


def layers(size: int) -> ng.Function:
    """Layers one after the other, all of one name and with constants of their own."""
    x = ng.Parameter("f32", SHAPE, name="x")
    output = x.output(0)
    for _ in range(size):
        gamma, beta = (
            ng.Constant([1.0] * SHAPE[1], "f32", name=name) for name in ("gamma", "beta")
        )
        output = ng.op.BatchNormTraining(output, gamma, beta, name="norm").output(0)
    return ng.Function([output], [x], name="layers")


def sums(size: int) -> ng.Function:
    """Sums side by side, each of a parameter and a constant: many parameters, many results."""
    parameters = [ng.Parameter("f32", SHAPE, name="x") for _ in range(size)]
    constant = np.ones(SHAPE, np.float32)
    results = [ng.op.Add(each, ng.Constant(constant, name="c"), name="y") for each in parameters]
    return ng.Function(results, parameters, name="sums")


def conversions(size: int) -> ng.Function:
    """Nodes that change nothing but the type, one after the other."""
    x = ng.Parameter("f32", SHAPE, name="x")
    node: ng.Node = x
    for index in range(size):
        node = ng.op.Convert(node, "f32" if index % 2 else "f64")
    return ng.Function([node], [x], name="conversions")


FUNCTIONS: dict[str, Make] = {"layers": layers, "sums": sums, "conversions": conversions}


def arguments(function: ng.Function) -> list[Array]:
    """An array for each parameter."""
    return [np.ones(SHAPE, np.float32) for _ in function.parameters]


def first_call(function: ng.Function) -> Call:
    """Calls an executable for the first time, which makes its plan."""
    run = ng.compile(function)
    arrays = arguments(function)
    return lambda: run(*arrays)


def loads(function: ng.Function) -> Call:
    """Reads a text."""
    text = json.dumps(function)
    return lambda: json.loads(text)


def replace_values(function: ng.Function) -> Call:
    """Gives another value to the readers of each parameter."""
    replaced = {parameter: -parameter for parameter in function.parameters}
    return lambda: ng.replace_values(function, replaced)


def replace_matches(function: ng.Function) -> Call:
    """Finds pairs of nodes one after the other, and replaces them by what they read."""
    anything = ng.Pattern.any("value")
    first = ng.Pattern.op(ng.op.Convert, [anything], name="first").with_single_user()
    pair = ng.Pattern.op(ng.op.Convert, [first])
    return lambda: ng.replace_matches(function, pair, lambda match: match["value"] * 1)


def trace(function: ng.Function) -> Call:
    """Runs a function and keeps every value."""
    arrays = arguments(function)
    return lambda: ng.trace(function, arrays)


def trace_of_gradients(function: ng.Function) -> Call:
    """Runs a function and finds the gradients of all values."""
    arrays, deltas = arguments(function), []
    for result in function.results:
        dtype = np.float32 if result.element_type == ng.element.f32 else np.float64
        deltas.append(np.ones(SHAPE, dtype))
    return lambda: ng.trace(function, arrays, deltas)


def table(function: ng.Function) -> Call:
    """Writes the table of a trace."""
    traced = ng.trace(function, arguments(function))
    return lambda: str(traced)


def of_gradients(function: ng.Function) -> Call:
    """Gradients written for ONNX, which are stages there."""
    backward = ng.gradients(function)
    return lambda: onnx.Writer("native", None).graph_of(backward)


class Operation(NamedTuple):
    """One row for each kind of function: what is done with it, and what is not measured before.

    prepare is called anew for each sample.
    """

    label: str
    prepare: Callable[[ng.Function], Call]


#: Add a line here for whatever else takes a whole function.
OPERATIONS = (
    Operation("gradients", lambda function: lambda: ng.gradients(function)),
    Operation("decompose", lambda function: lambda: ng.decompose(function)),
    Operation("fuse_relu", lambda function: lambda: ng.fuse_relu(function)),
    Operation("Users", lambda function: lambda: ng.Users(function)),
    Operation("rewrite", lambda function: lambda: ng.rewrite(function, lambda *_: None)),
    Operation("replace_values", replace_values),
    Operation("replace_matches", replace_matches),
    Operation("compile", lambda function: lambda: ng.compile(function)),
    Operation("first call", first_call),
    Operation("str", lambda function: lambda: str(function)),
    Operation("json.dumps", lambda function: lambda: json.dumps(function)),
    Operation("json.loads", loads),
    Operation("stablehlo.dumps", lambda function: lambda: stablehlo.dumps(function)),
    Operation("onnx", lambda function: lambda: onnx.Writer("native", None).graph_of(function)),
    Operation("onnx of gradients", of_gradients),
    Operation("draw", lambda function: lambda: ng.draw(function)),
    Operation("draw stages", lambda function: lambda: ng.draw(function, decompose=True)),
    Operation("trace", trace),
    Operation("trace with gradients", trace_of_gradients),
    Operation("table of a trace", table),
)


def seconds(operation: Operation, function: ng.Function, repeats: int) -> float:
    """The fastest of some samples, without those that collect what others have left."""
    found = []
    for _ in range(repeats):
        call = operation.prepare(function)
        gc.collect()
        begin = time.perf_counter()
        call()
        found.append(time.perf_counter() - begin)
    return min(found)


def parse_options() -> argparse.Namespace:
    """Read the command line; what is wrong there exits with status 2."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.graph_growth", description=__doc__)
    parser.add_argument("--size", type=int, default=300, help="the smaller size (default: 300)")
    parser.add_argument("--factor", type=int, default=10, help="to the larger (default: 10)")
    parser.add_argument("--repeats", type=int, default=3, help="samples each (default: 3)")
    parser.add_argument(
        "--functions", nargs="+", choices=list(FUNCTIONS), default=list(FUNCTIONS), help="which"
    )
    labels = [operation.label for operation in OPERATIONS]
    parser.add_argument("--operations", nargs="+", choices=labels, default=labels, help="which")
    options = parser.parse_args()
    for name in ("size", "factor", "repeats"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} takes a number of at least 1")
    return options


def main() -> None:
    """Print the table."""
    options = parse_options()
    sizes = (options.size, options.size * options.factor)
    print(
        "operation              "
        + "".join(f"{f'seconds at {size}':>19}" for size in sizes)
        + "   ratio"
    )
    for name in options.functions:
        smallest, *functions = (FUNCTIONS[name](size) for size in (1, *sizes))
        print(name)
        for operation in OPERATIONS:
            if operation.label in options.operations:
                seconds(operation, smallest, repeats=1)  # imports what it needs at first
                few, many = (seconds(operation, each, options.repeats) for each in functions)
                print(f"  {operation.label:21}{few:19.3g}{many:19.3g}{many / few:8.2f}", flush=True)


if __name__ == "__main__":
    main()
