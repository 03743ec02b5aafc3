"""The command line: `python -m normgraph demo`, `info`, `check`, `verify` and more.

All but `demo` need numpy alone. `demo` needs the extra `demo`; what is missing of it is named,
with the command that installs it. `draw` needs Graphviz, except for text.

Exit status: 0 success, 1 the command failed (a check does not hold, `verify` found a mistake, a
function does not conform, a package, a program or a directory is missing), 2 wrong usage, such as a
file that cannot be used (for `verify` and `conform` whatever keeps them from a verdict), 130
interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import importlib
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import normgraph as ng

#: The modules that the demo imports, and the packages that bring them.
DEMO_REQUIREMENTS = {
    "sklearn": "scikit-learn",
    "matplotlib": "matplotlib",
    "rich": "rich",
    "threadpoolctl": "threadpoolctl",
}


class CommandError(Exception):
    """The command cannot do its work; the message is for the user, who needs no traceback."""

    status = 1


class UsageError(CommandError):
    """The command's arguments cannot be used."""

    status = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    arguments: the words after `python -m normgraph`, None for those of this process. Wrong usage
    exits through argparse with status 2.
    """
    parser = build_parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 0
    try:
        status: int = options.run(options)
        sys.stdout.flush()
        return status
    except CommandError as error:
        print(f"normgraph {options.command}: {error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader (`… | head`) has left. The interpreter flushes stdout once more at exit; give
        # it a place to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def build_parser() -> argparse.ArgumentParser:
    """Return the parser; each command sets `run`, from the options to the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m normgraph",
        description="Batch normalization as self-checking graph nodes and exact CPU kernels.",
    )
    parser.add_argument("--version", action="version", version=f"normgraph {ng.__version__}")
    commands = parser.add_subparsers(
        dest="command",
        metavar="{demo,info,check,verify,conform,vectors,draw,cmake-dir}",
    )

    demo = commands.add_parser(
        "demo", help="see on real data what normgraph does (about ten seconds)"
    )
    demo.add_argument(
        "--epochs",
        type=count,
        default=20,
        help="passes over the training digits (default %(default)s)",
    )
    demo.add_argument(
        "--seed", type=seed, default=1, help="seed of everything random (default %(default)s)"
    )
    demo.add_argument(
        "--output",
        type=Path,
        default=Path("normgraph_demo.png"),
        metavar="PATH",
        help="where to save the plot; the ending chooses the format (default ./%(default)s)",
    )
    demo.add_argument(
        "--quiet", action="store_true", help="print the final accuracies and the plot's path only"
    )
    demo.set_defaults(run=run_demo)

    info = commands.add_parser("info", help="what was built, and what runs here")
    info.add_argument("--json", action="store_true", help="print the same facts as JSON")
    info.set_defaults(run=run_info)

    check = commands.add_parser("check", help="check this installation in a few seconds")
    check.set_defaults(run=run_check)

    add_verify(commands)
    add_conform(commands)
    vectors = commands.add_parser(
        "vectors", help="write golden cases of batch normalization to files"
    )
    vectors.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="where to; made if it is missing"
    )
    vectors.set_defaults(run=run_vectors)
    draw = commands.add_parser("draw", help="a picture of a function in a JSON file")
    draw.add_argument("function", type=Path, help="a file that formats.json.dump has written")
    draw.add_argument("picture", type=Path, help="what to write: a .svg, .png, .pdf or .dot file")
    draw.add_argument("--gradients", action="store_true", help="of the gradients of the function")
    draw.add_argument(
        "--decompose", action="store_true", help="with each op as the stages it is made of"
    )
    draw.set_defaults(run=run_draw)

    cmake_dir = commands.add_parser(
        "cmake-dir", help="the directory of the CMake package, for -Dnormgraph_DIR=…"
    )
    cmake_dir.set_defaults(run=run_cmake_dir)
    return parser


def add_verify(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command `verify`."""
    verify = commands.add_parser(
        "verify",
        help="find the mistake in your own backward function of batch normalization",
        epilog="Exit status: 0 if all is right, 1 if a mistake was found, 2 if there is no verdict "
        "(the file or its functions cannot be used, or memory runs out), 130 if interrupted. Work "
        "that takes long reports on stderr what it is at.",
    )
    verify.add_argument(
        "file",
        type=Path,
        metavar="FILE.py",
        help="defines forward and backward, or what brings its gradient, such as a torch module "
        "or a jax.custom_vjp, and may define example: x, or (x, gamma, beta). The file is run.",
    )
    for role in ("forward", "backward"):
        verify.add_argument(
            f"--{role}",
            metavar="NAME",
            help=f"the {role} function (default: the one whose name has {role!r} in it); "
            "layer.name is a method",
        )
        verify.add_argument(
            f"--{role}-arguments",
            type=words,
            metavar="WORDS",
            help=f"what {role}'s parameters stand for, with commas between, such as "
            + ("x,gamma,beta,epsilon" if role == "forward" else "delta,cache")
            + " (default: by their names)",
        )
    verify.add_argument(
        "--shape",
        type=shape,
        metavar="LENGTHS",
        help="the shape of a random example if the file has none (default 16,5)",
    )
    verify.add_argument(
        "--epsilon", type=float, default=1e-5, help="what forward adds (default %(default)s)"
    )
    verify.add_argument(
        "--channel-axis",
        type=int,
        default=1,
        metavar="AXIS",
        help="the channels' axis, -1 for the last (default %(default)s)",
    )
    verify.add_argument(
        "--unbiased", action="store_true", help="forward divides the variance by n - 1"
    )
    verify.add_argument(
        "--running-unbiased",
        action=argparse.BooleanOptionalAction,
        help="whether the running variance averages unbiased variances (default: torch's has to)",
    )
    verify.add_argument(
        "--seed", type=seed, default=0, help="seed of everything random (default %(default)s)"
    )
    verify.set_defaults(run=run_verify)


def add_conform(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command `conform`."""
    conform = commands.add_parser(
        "conform",
        help="run any function or ONNX model of batch normalization through golden cases",
        epilog="Exit status: 0 if it conforms, 1 if not, 2 if there is no verdict (there is no "
        "such function, or it cannot be called), 130 if interrupted.",
    )
    conform.add_argument(
        "target",
        metavar="MODULE:FUNCTION",
        help="the function: in a module, in a file (FILE.py:FUNCTION, which is run), or MODEL.onnx",
    )
    conform.add_argument(
        "--role",
        metavar="ROLE",
        help="training, inference, backward or inference_backward (default: by its parameters)",
    )
    for name, what in (
        ("arguments", "what its parameters stand for, such as x,gamma,beta,epsilon"),
        ("outputs", "what it returns, such as normalized,mean,variance"),
        ("forward-arguments", "what the parameters of --forward stand for"),
        ("dtypes", "the types to try: some of f64,f32,bf16,f16 (default: those that it takes)"),
        ("skip", "kinds of data to leave out, such as no_elements"),
    ):
        conform.add_argument(f"--{name}", type=words, metavar="WORDS", help=what)
    conform.add_argument(
        "--forward", metavar="NAME", help="the forward function whose cache it is given"
    )
    conform.add_argument(
        "--framework", metavar="NAME", help="numpy, torch or jax (default: by what it names)"
    )
    conform.add_argument(
        "--epsilon", type=float, default=1e-5, help="what it adds if it is not given it"
    )
    conform.add_argument(
        "--channel-axis",
        type=int,
        default=1,
        metavar="AXIS",
        help="the channels' axis if it is not given it, -1 for the last (default %(default)s)",
    )
    conform.add_argument(
        "--activation", default="none", help="relu, relu6 or add_relu (default %(default)s)"
    )
    conform.add_argument(
        "--strict", action="store_true", help="outputs have to be accurate, however hard the data"
    )
    conform.add_argument(
        "--no-order", action="store_true", help="do not look for the order of summation"
    )
    conform.add_argument(
        "--runtime", metavar="NAME", help="what runs a model: onnxruntime or onnx.reference"
    )
    conform.set_defaults(run=run_conform)


def words(text: str) -> tuple[str, ...]:
    """Convert an option's value that lists words."""
    return tuple(word.strip() for word in text.split(","))


def shape(text: str) -> tuple[int, ...]:
    """Convert an option's value that lists the lengths of axes."""
    return tuple(count(length) for length in text.split(","))


def count(text: str) -> int:
    """Convert an option's value that counts something: an integer from 1 to 10000."""
    return integer_between(text, 1, 10_000)


def seed(text: str) -> int:
    """Convert an option's value that seeds a generator: an integer from 0 to 2**32 - 1."""
    return integer_between(text, 0, 2**32 - 1)


def integer_between(text: str, low: int, high: int) -> int:
    """Convert an option's value; what argparse prints then names the option."""
    try:
        value = int(text)
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"expected an integer from {low} to {high}, got {text!r}")
    return value


def require_implementation() -> None:
    """Raise CommandError if the environment asks for an implementation that does not run here."""
    try:
        ng.config()
    except ValueError as error:
        raise CommandError(str(error)) from error


def run_demo(options: argparse.Namespace) -> int:
    """Run the command `demo`."""
    require_implementation()
    require_demo_packages()
    from normgraph.demo import PlotError, run

    try:
        run(epochs=options.epochs, seed=options.seed, output=options.output, quiet=options.quiet)
    except PlotError as error:
        raise CommandError(f"argument --output: {error}") from error
    return 0


def require_demo_packages() -> None:
    """Raise CommandError that names every package of the extra `demo` that cannot be imported."""
    missing = []
    for module, package in DEMO_REQUIREMENTS.items():
        try:
            importlib.import_module(module)
        except ImportError:
            missing.append(package)
    if missing:
        packages = " ".join(missing)
        raise CommandError(
            f"needs {' and '.join(missing)}, which cannot be imported here "
            f"(the extra 'demo' names all it needs). Install with:\n"
            f"    python -m pip install {packages}"
        )


def run_info(options: argparse.Namespace) -> int:
    """Run the command `info`."""
    require_implementation()
    if options.json:
        print(json.dumps(ng.config(), indent=2))
    else:
        ng.show_config()
    return 0


def run_check(options: argparse.Namespace) -> int:
    """Run the command `check`."""
    require_implementation()
    from normgraph.check import run

    return run()


def run_verify(options: argparse.Namespace) -> int:
    """Run the command `verify`."""
    from normgraph.verification import file
    from normgraph.verification.values import text_of

    try:
        result = verify_file(options)
    except file.FileError as error:
        raise UsageError(f"{options.file}: {error}") from error
    except (TypeError, ValueError) as error:
        raise UsageError(f"{options.file}: {error}") from error
    except MemoryError as error:
        raise UsageError(f"{options.file}: memory runs out") from error
    except SystemExit as error:  # whose status would be taken for a verdict
        raise UsageError(f"{options.file}: a function exits, with {error.code!r}") from error
    except Exception as error:
        reason = f"stopped by {type(error).__name__}: {text_of(error)}"
        raise UsageError(f"{options.file}: {reason}") from error
    status = 0 if result.passed else 1
    print_report(str(result))
    return status


def verify_file(options: argparse.Namespace) -> ng.Verification:
    """Return what `verify` finds in a file."""
    import numpy as np

    from normgraph.verification import file

    module = file.load(options.file)
    forward, backward = file.functions(module, options.forward, options.backward)
    example = getattr(module, "example", None)
    if example is None or options.shape is not None:
        generator = np.random.default_rng(options.seed)
        example = generator.normal(size=options.shape or (16, 5))
    return ng.verify(
        forward,
        backward,
        example,
        epsilon=options.epsilon,
        channel_axis=options.channel_axis,
        unbiased=options.unbiased,
        forward_arguments=options.forward_arguments,
        backward_arguments=options.backward_arguments,
        running_unbiased=options.running_unbiased,
        seed=options.seed,
        progress=Progress(),
    )


def run_conform(options: argparse.Namespace) -> int:
    """Run the command `conform`."""
    from normgraph.conform import target
    from normgraph.verification.values import text_of

    # A crash of a library tells where it was, unless stderr is none of the system's.
    with contextlib.suppress(OSError):
        faulthandler.enable()
    try:
        result = conformance_of(options)
    except (target.TargetError, TypeError, ValueError, ImportError) as error:
        raise UsageError(f"{options.target}: {error}") from error
    except MemoryError as error:
        raise UsageError(f"{options.target}: memory runs out") from error
    except SystemExit as error:  # whose status would be taken for a verdict
        raise UsageError(f"{options.target}: the function exits, with {error.code!r}") from error
    except Exception as error:
        reason = f"stopped by {type(error).__name__}: {text_of(error)}"
        raise UsageError(f"{options.target}: {reason}") from error
    status = 0 if result.passed else 1
    print_report(str(result))
    return status


def conformance_of(options: argparse.Namespace) -> ng.Conformance:
    """Return what `conform` finds."""
    from normgraph.conform import target

    function, module = target.load(options.target)
    forward = None
    if options.forward is not None:
        if module is None:
            raise target.TargetError("--forward: a model has no forward function")
        forward = target.function_in(module, options.forward)
    return ng.conformance(
        function,
        options.role,
        arguments=options.arguments,
        outputs=options.outputs,
        forward=forward,
        forward_arguments=options.forward_arguments,
        framework=options.framework,
        epsilon=options.epsilon,
        channel_axis=options.channel_axis,
        activation=options.activation,
        dtypes=options.dtypes,
        skip=options.skip or (),
        strict=options.strict,
        order=not options.no_order,
        runtime=options.runtime,
        progress=Progress("conform"),
    )


def run_vectors(options: argparse.Namespace) -> int:
    """Run the command `vectors`."""
    from normgraph.conform import vectors

    try:
        count, size = vectors.write(options.out)
    except OSError as error:
        raise UsageError(f"argument --out: {options.out}: {error.strerror}") from error
    print(f"{count} cases, {size / 1e6:.1f} MB, in {options.out}: README.txt says how to read them")
    return 0


class Progress:
    """Prints on stderr what long work is at: the first time after `QUIET_SECONDS` seconds."""

    QUIET_SECONDS = 5.0

    def __init__(self, command: str = "verify") -> None:
        self.command = command
        self.started = self.printed = time.monotonic()
        self.calls = 0

    def __call__(self, text: str) -> None:
        """Count a call, and print the text if nothing has been printed for some time."""
        self.calls += 1
        now = time.monotonic()
        if now - self.printed >= self.QUIET_SECONDS:
            self.printed = now
            seconds = f"{now - self.started:.0f} s, {self.calls} calls"
            print(f"normgraph {self.command}: {text} ({seconds})", file=sys.stderr, flush=True)


def print_report(report: str) -> None:
    """Print a report whose verdict is the exit status, even if its reader has left.

    Raises UsageError if it cannot be written.
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        print(report.encode(encoding, errors="backslashreplace").decode(encoding), flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        raise UsageError(f"the report cannot be written: {error.strerror}") from error


def run_draw(options: argparse.Namespace) -> int:
    """Run the command `draw`."""
    try:
        draw_file(options)
    except MemoryError as error:
        raise UsageError(f"{options.function}: memory runs out") from error
    return 0


def draw_file(options: argparse.Namespace) -> None:
    """Draw the function of one file; raises CommandError that names the file that is at fault."""
    try:
        function = ng.formats.json.load(options.function)
        shown = ng.gradients(function) if options.gradients else function
        drawing = ng.draw(shown, decompose=options.decompose)
    except OSError as error:
        raise UsageError(f"{options.function}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{options.function}: {error}") from error
    try:
        drawing.save(options.picture)
    except OSError as error:
        raise UsageError(f"{options.picture}: cannot be written: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{options.picture}: {error}") from error
    except ng.formats.GraphvizError as error:
        raise CommandError(f"{options.picture}: {error}") from error


def run_cmake_dir(_: argparse.Namespace) -> int:
    """Run the command `cmake-dir`."""
    print(cmake_directory())
    return 0


def cmake_directory() -> Path:
    """Return the directory of normgraphConfig.cmake, which this package was installed with.

    Raises CommandError where the C++ package has been left out.
    """
    # An editable installation has more than one folder: sources here, what was built there.
    candidates = [Path(folder, "lib", "cmake", "normgraph") for folder in ng.__path__]
    for directory in candidates:
        if (directory / "normgraphConfig.cmake").is_file():
            return directory
    places = " or ".join(map(str, candidates))
    raise CommandError(f"the C++ package is not installed: no normgraphConfig.cmake in {places}")
