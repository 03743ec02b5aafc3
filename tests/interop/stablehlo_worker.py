"""Reads mutated programs of StableHLO, in a process of its own: jaxlib's parser may end it.

`python -m tests.interop.stablehlo_worker KIND SEED START STOP` writes a line for each of them: its
number before it is read, and what became of it afterwards.
"""

from __future__ import annotations

import faulthandler
import importlib
import random
import re
import signal
import subprocess
import sys
from collections import Counter
from typing import Any

import normgraph as ng
from normgraph.formats import FormatError, NotImportableError, stablehlo

from ..kernel.samples import Sample
from .agreement import network

#: Seconds of processor time that one program may take.
LONGEST = 2

ADD = """module @named {
  func.func public @main(%x: tensor<2x3xf32>, %arg1: tensor<2x3xf32> loc("in name"))
      -> tensor<2x3xf32> {
    %sum = stablehlo.add %x, %arg1 : tensor<2x3xf32>
    return %sum : tensor<2x3xf32>
  }
}
"""

#: As JAX writes a layer.
LAYER = """module @jit_layer {
  func.func public @main(%arg0: tensor<4x3xf32>, %arg1: tensor<2x3xf32>) -> tensor<4x2xf32> {
    %0 = stablehlo.transpose %arg1, dims = [1, 0] : (tensor<2x3xf32>) -> tensor<3x2xf32>
    %1 = stablehlo.dot_general %arg0, %0, contracting_dims = [1] x [0],
        precision = [DEFAULT, DEFAULT] : (tensor<4x3xf32>, tensor<3x2xf32>) -> tensor<4x2xf32>
    %2 = call @relu6(%1) : (tensor<4x2xf32>) -> tensor<4x2xf32>
    %cst = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %3 = stablehlo.reduce(%2 init: %cst) applies stablehlo.add across dimensions = [0] :
        (tensor<4x2xf32>, tensor<f32>) -> tensor<2xf32>
    %4 = stablehlo.broadcast_in_dim %3, dims = [1] : (tensor<2xf32>) -> tensor<1x2xf32>
    %5 = stablehlo.rsqrt %4 : tensor<1x2xf32>
    %6 = stablehlo.broadcast_in_dim %5, dims = [0, 1] : (tensor<1x2xf32>) -> tensor<4x2xf32>
    %7 = stablehlo.subtract %2, %6 : tensor<4x2xf32>
    return %7 : tensor<4x2xf32>
  }
  func.func private @relu6(%arg0: tensor<4x2xf32>) -> tensor<4x2xf32> {
    %cst = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %0 = stablehlo.broadcast_in_dim %cst, dims = [] : (tensor<f32>) -> tensor<4x2xf32>
    %1 = stablehlo.maximum %arg0, %0 : tensor<4x2xf32>
    %cst_0 = stablehlo.constant dense<6.000000e+00> : tensor<4x2xf32>
    %2 = stablehlo.minimum %1, %cst_0 : tensor<4x2xf32>
    return %2 : tensor<4x2xf32>
  }
}
"""


def seeds(kind: str) -> list[bytes]:
    """Valid texts, or the portable artifacts of them."""
    # `pass` is a word of the language, which cannot stand in an import.
    family: Any = importlib.import_module("tests.pass.family")
    x = ng.Parameter("bf16", [2, 3, 5], "x")
    texts = [
        stablehlo.dumps(network()[0], family="native"),
        stablehlo.dumps(ng.Function([ng.op.ReluMask(x, 1, 6.0)], [x], name="masks")),
        stablehlo.dumps(
            family.make_case("BatchNormTrainingBackprop", Sample((2, 3), "f16", "f32")).function
        ),
        ADD,
        LAYER,
    ]
    if kind == "text":
        return [text.encode() for text in texts]
    from jaxlib.mlir.dialects import stablehlo as dialect

    version = dialect.get_current_version()
    return [dialect.serialize_portable_artifact_str(text, version) for text in texts]


def mutated(data: bytes, source: random.Random) -> bytes:
    """Some bytes changed, moved, doubled, taken away, or replaced by words of the language."""
    changed = bytearray(data)
    words = [b"f32", b"f64", b"bf16", b"i1", b"0", b"1", b"-1", b"?", b"add", b"9" * 19]
    for _ in range(source.choice([1, 1, 1, 2, 4])):
        place, other = (source.randrange(max(len(changed), 1)) for _ in range(2))
        length = source.choice([1, 1, 2, 4, 16])
        piece = bytes(changed[other : other + length])
        kind = source.randrange(5)
        if kind == 0:
            changed[place : place + 1] = bytes([source.randrange(256)])
        elif kind == 1:
            changed[place : place + length] = piece
        elif kind == 2:
            changed[place:place] = piece
        elif kind == 3:
            del changed[place : place + length]
        else:
            changed[place : place + length] = source.choice(words)
    return bytes(changed)


def reworded(data: bytes, source: random.Random) -> bytes:
    """A text in which one word, or all that are equal to it, has become another of its sort."""
    text = data.decode()
    for _ in range(source.choice([1, 1, 2])):
        sort = source.choice(
            [r"%[\w#]+", r"stablehlo\.(?!constant)\w+", r"(?<=x)b?f\d+", r"\b\d+\b"]
        )
        found = list(re.finditer(sort, text))
        if not found:
            continue
        old, new = source.choice(found), source.choice(found)[0]
        if sort.startswith("stablehlo"):
            new = f"stablehlo.{source.choice(OPERATIONS)}"
        if source.random() < 0.3:
            text = re.sub(re.escape(old[0]) + r"(?!\w)", new, text)
        else:
            text = text[: old.start()] + new + text[old.end() :]
    return text.encode()


#: What an operation may become.
OPERATIONS = (
    *("add", "subtract", "multiply", "divide", "maximum", "minimum", "power", "and", "or"),
    *("negate", "sqrt", "rsqrt", "sine", "tanh", "not", "convert", "reshape", "transpose"),
    *("compare", "select", "reduce", "broadcast_in_dim", "batch_norm_training"),
)


def outcome_of(data: bytes) -> str:
    """What reading gives: a valid function, or one of the errors that it may give."""
    try:
        function = stablehlo.loads(data)
    except FormatError:
        return "format error"
    except NotImportableError:
        return "refused"
    function.validate_nodes_and_infer_types()
    return "function"


def program(kind: str, seed: int, index: int, valid: list[bytes]) -> bytes:
    source = random.Random(f"{kind} {seed} {index}")
    change = reworded if kind == "text" and source.random() < 0.7 else mutated
    return change(source.choice(valid), source)


def main(kind: str, seed: int, start: int, stop: int) -> None:
    faulthandler.enable()
    # Says where the program is, then does what the signal does by default, which is to end it.
    faulthandler.register(signal.SIGVTALRM, chain=True)
    valid = seeds(kind)
    for index in range(start, stop):
        signal.setitimer(signal.ITIMER_VIRTUAL, LONGEST)
        print(index, flush=True)
        print(outcome_of(program(kind, seed, index, valid)), flush=True)


def outcomes(kind: str, seed: int, count: int) -> tuple[Counter[str], list[str]]:
    """How often what has come out; where the process has ended, and what it has said at its end.

    The next process goes on behind the program that has ended the last one.
    """
    found: Counter[str] = Counter()
    ends = []
    start = 0
    while start < count:
        arguments = [kind, str(seed), str(start), str(count)]
        done = subprocess.run(
            [sys.executable, "-m", __name__, *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        lines = done.stdout.split("\n")
        numbers = [line for line in lines if line.isdigit()]
        found.update(line for line in lines if line and not line.isdigit())
        start = int(numbers[-1]) + 1 if numbers else count
        if done.returncode != 0:
            ends.append(f"{kind} {start - 1}: ended with {done.returncode}\n{done.stderr}")
    return found, ends


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
