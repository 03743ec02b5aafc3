"""A conformance kit for batch normalization: golden cases, judgement, and orders of summation."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from normgraph.check.accuracy import Format
from normgraph.verification.values import bool_of, described, float_of, integer_of

from . import calls
from .calls import OUTPUT_NAMES, Subject
from .cases import DIFFICULTIES, FORMATS, ROLES, Case, Layout
from .frameworks import FRAMEWORKS, MissingFrameworkError, framework_of, require
from .judgement import Attempt, CaseResult, Score, attempt
from .mistakes import MISTAKES, name_mistakes, probe_case
from .onnx_model import RUNTIMES, ModelError, OnnxFunction
from .order import order_in
from .report import Conformance
from .summation import SummationOrder, check_function, format_of, summation_order
from .threads import SetThreads, ThreadControl, thread_control
from .tree import Tree

ACTIVATIONS = ("none", "relu", "relu6", "add_relu")

__all__ = [
    "MISTAKES",
    "CaseResult",
    "Conformance",
    "MissingFrameworkError",
    "ModelError",
    "Score",
    "SummationOrder",
    "Tree",
    "conformance",
    "summation_order",
]


def conformance(
    function: Callable[..., Any] | str | Path,
    role: str | None = None,
    *,
    arguments: Sequence[str] | None = None,
    outputs: Sequence[str] | None = None,
    forward: Callable[..., Any] | None = None,
    forward_arguments: Sequence[str] | None = None,
    framework: str | None = None,
    epsilon: float = 1e-5,
    channel_axis: int = 1,
    activation: str = "none",
    dtypes: Sequence[str] | None = None,
    skip: Sequence[str] = (),
    strict: bool = False,
    order: bool = True,
    runtime: str | None = None,
    threads: SetThreads | None = None,
    progress: Callable[[str], None] | None = None,
) -> Conformance:
    """Run a function of batch normalization through the golden cases, and name what is wrong.

    The cases are easy and hard data in f64, f32, bf16 and f16, of rank 2 to 4, channels first and
    last; the expected values are exact. The function is called with arrays of its framework. An
    exception of it is the result of its case. The order in which it adds is found by calls as
    well, where a sum of its shows it: beta_delta, or a mean that it returns.

    Parameters
    ----------
    function : any function on arrays of numpy, torch or JAX; or an ONNX model, as such or by the
        name of its file, whose parameters, epsilon and role are read from it
    role : "training" (returns y, or a tuple that begins with it), "inference", "backward" or
        "inference_backward" (returns input_delta, gamma_delta, beta_delta, or the first of them);
        None: by the parameters, where delta means backward, and mean or variance inference
    arguments : what the parameters stand for, in order: some of x, gamma, beta, mean, variance,
        delta, inv, x_hat, cache, epsilon, channel_axis, bn_param, residual, where, relu_mask,
        upper_bound. None: by their names, or else by their number, as `verify` does.
    outputs : the names of what is returned, in order, such as normalized, mean, variance; names
        that no case expects are passed over. None: those of a named tuple or dict; of a tuple from
        a forward function the first one, from a backward function all
    forward : the forward function whose cache a backward function is given
    forward_arguments : the same as arguments, of forward
    framework : "numpy", "torch" or "jax"; None: by the modules that the function names or, if it
        raises with their arrays, the first one that is imported and works
    epsilon : number >= 0 that a function uses that takes no epsilon
    channel_axis : the channels' axis for a function that takes none, -1 for the last. A rank on
        which it raises with easy data is left out.
    activation : "relu", "relu6" or "add_relu" for a function that ends with one, or is the
        gradient of one
    dtypes : some of "f64", "f32", "bf16", "f16"; None: those that it takes
    skip : kinds of data to leave out, such as "no_elements", on which a library may crash
    strict : whether outputs have to be accurate: within what sums in a wider type reach
    order : whether to find the order of summation, which takes some thousand calls
    runtime : "onnxruntime" or "onnx.reference", which runs a model; None: the first that is there
    threads : what sets the number of threads, as `summation_order` has it
    progress : function of a line of text, called before each case; None for no reports

    Returns
    -------
    Conformance, which is true if all cases are right, and prints as a table of at most 80 columns.

    Raises TypeError for a function that is none, whose parameters are not recognised, or that a
    case does not have all arguments for, and ValueError for any other argument that is none of
    those above, and for a model that cannot be read or whose inputs are not recognised
    (ModelError). Raises MissingFrameworkError for a framework that is not installed. MemoryError,
    KeyboardInterrupt and SystemExit pass through.
    """
    epsilon = float_of("epsilon", epsilon)
    if not 0 <= epsilon < float("inf"):
        raise ValueError(f"epsilon: expected a finite number >= 0, got {epsilon}")
    channel_axis = integer_of("channel_axis", channel_axis)
    strict, order = bool_of("strict", strict), bool_of("order", order)
    checked_choice("role", role, ROLES)
    checked_choice("framework", framework, FRAMEWORKS)
    if activation not in ACTIVATIONS:
        raise ValueError(
            f"activation: expected one of {', '.join(ACTIVATIONS)}, got {activation!r}"
        )
    if progress is not None and not callable(progress):
        raise TypeError(f"progress: expected a function or None, got {described(progress)}")
    formats, skipped = formats_of(dtypes), skipped_kinds(skip)
    checked_choice("runtime", runtime, RUNTIMES)
    if isinstance(function, (str, Path)) or type(function).__name__ == "ModelProto":
        model = OnnxFunction(function, runtime)
        function, epsilon = model, model.epsilon
        role, arguments, outputs = (
            role or model.role, arguments or model.arguments, outputs or model.outputs,
        )  # fmt: skip
    check_function(function)
    binding = calls.bind_arguments(function, role, arguments)
    chosen = framework or framework_of(function)
    if chosen != "numpy":
        require(chosen)
    role = role or calls.role_of(binding)
    subject = Subject(
        function, role, binding, chosen, epsilon, channel_axis, activation,
        checked_outputs(outputs, role),
    )  # fmt: skip
    control = thread_control(function, chosen, threads) if order else None
    if forward is None and forward_arguments is not None:
        raise ValueError("forward_arguments: expected None, since no forward is given")
    if forward is not None:
        subject = replace(subject, forward=forward_of(subject, forward, forward_arguments))
    if framework is None:
        subject = of_working_framework(subject, formats)
    if control is not None and threads is None:
        control = thread_control(function, subject.framework)
    return run(subject, formats, skipped, strict, control, progress)


def checked_choice(argument: str, value: str | None, allowed: Sequence[str]) -> None:
    """Raise ValueError for a word that is none of those allowed."""
    if value is not None and value not in allowed:
        raise ValueError(f"{argument}: expected one of {', '.join(allowed)}, got {value!r}")


def checked_outputs(outputs: Sequence[str] | None, role: str) -> tuple[str, ...] | None:
    """Return the names of outputs as cases have them.

    Raises TypeError or ValueError for what is none, and where no case has any of them.
    """
    if outputs is None:
        return None
    if isinstance(outputs, str) or not isinstance(outputs, Sequence):
        raise TypeError(f"outputs: expected a sequence of words, got {described(outputs)}")
    words = tuple(outputs)
    if not words or not all(isinstance(word, str) for word in words):
        raise ValueError(f"outputs: expected different names, got {words}")
    names, expected = tuple(OUTPUT_NAMES.get(word, word) for word in words), calls.OUTPUTS[role]
    if len({*names}) != len(names):
        raise ValueError(f"outputs: expected different names, got {words}")
    if not {*names} & {*expected}:
        raise ValueError(
            f"outputs: expected some of {', '.join(expected)} among them, got {described(outputs)}"
        )
    return names


def formats_of(dtypes: Sequence[str] | None) -> tuple[Format, ...]:
    """Return the types to try; raise TypeError or ValueError for what is none."""
    if dtypes is None:
        return tuple(FORMATS.values())
    if isinstance(dtypes, str) or not isinstance(dtypes, Sequence):
        raise TypeError(f"dtypes: expected a sequence of words, got {described(dtypes)}")
    wanted = [format_of("dtypes", name) for name in dtypes]
    if not wanted:
        raise ValueError(f"dtypes: expected some of {', '.join(FORMATS)}, got none")
    return tuple(one for one in FORMATS.values() if one in wanted)


def skipped_kinds(skip: Sequence[str]) -> tuple[str, ...]:
    """Return the kinds of data to leave out; raise TypeError or ValueError for what is none."""
    if isinstance(skip, str) or not isinstance(skip, Sequence):
        raise TypeError(f"skip: expected a sequence of words, got {described(skip)}")
    known = dict.fromkeys(difficulty.name for difficulty in DIFFICULTIES)
    for name in skip:
        if not isinstance(name, str) or name not in known:
            raise ValueError(f"skip: expected some of {', '.join(known)}, got {name!r}")
    return tuple(skip)


def forward_of(
    subject: Subject, forward: Callable[..., Any], arguments: Sequence[str] | None
) -> Subject:
    """Return the forward function of a backward one, which is called alike."""
    try:
        check_function(forward)
        binding = calls.bind_arguments(forward, "training", arguments)
    except (TypeError, ValueError) as error:
        # The names of arguments that this one has.
        words = str(error).removeprefix("function: ").replace("arguments", "forward_arguments")
        raise type(error)(f"forward: {words}") from error
    return replace(
        subject,
        function=forward,
        role="training",
        binding=binding,
        outputs=None,
        forward=None,
    )


def run(
    subject: Subject,
    formats: Sequence[Format],
    skipped: Sequence[str],
    strict: bool,
    control: ThreadControl | None,
    progress: Callable[[str], None] | None,
) -> Conformance:
    """Try all cases that are for this function; control: None without an order of summation."""
    left_out: dict[str, int] = {}
    notes: list[str] = []
    attempts: list[Attempt] = []
    usable = usable_kinds(subject, formats, notes)
    if not isinstance(subject.function, OnnxFunction):
        calls.check_vectors(subject.binding, subject.role)
    for case in subject.cases:
        if case.data not in formats or case.activation != subject.activation:
            continue
        reason = subject.reason_to_leave_out(case)
        if case.difficulty.name in skipped:
            reason = f"{case.difficulty.name} is to be skipped"
        if reason is None and (case.data, case.layout.name) not in usable:
            continue
        if reason is not None:
            left_out[reason] = left_out.get(reason, 0) + 1
            continue
        if progress is not None:
            progress(f"calls the function with {case.name}")
        attempts.append(attempt(subject, case))
    if any(tried.wrong for tried in attempts):
        data, layout = kind_of_probe(attempts)
        name_mistakes(subject, attempts, attempt(subject, probe_case(subject, layout, data)))
    found = {}
    if control is not None and usable and subject.activation == "none":
        if progress is not None:
            progress("looks for the order of summation")
        found = orders(subject, usable, control, notes)
    results = tuple(tried.result() for tried in attempts)
    return Conformance(subject.role, results, left_out, found, tuple(notes), strict)


def of_working_framework(subject: Subject, formats: Sequence[Format]) -> Subject:
    """Return the function as one of the first framework that it works with.

    A function that names no module, but calls methods of its arguments, does not tell whose they
    are. Only what is imported already is tried.
    """
    others = [name for name in FRAMEWORKS if name != subject.framework and name in sys.modules]
    for framework in (subject.framework, *others):
        candidate = replace(subject, framework=framework)
        if candidate.forward is not None:
            candidate = replace(candidate, forward=replace(candidate.forward, framework=framework))
        if any(works(candidate, case) for case in easy_cases(candidate, formats)):
            return candidate
    return subject


def easy_cases(subject: Subject, formats: Sequence[Format]) -> list[Case]:
    """Return the easiest cases of each type and layout that are for this function."""
    name = "easy" if subject.activation == "none" else subject.activation
    return [
        case
        for case in subject.cases
        if case.data in formats
        and case.difficulty.name == name
        and subject.reason_to_leave_out(case) is None
    ]


def works(subject: Subject, case: Case) -> bool:
    """Whether the function returns anything."""
    try:
        subject.call(case)
    except calls.CallError:
        return False
    return True


def kind_of_probe(attempts: Sequence[Attempt]) -> tuple[Format, Layout]:
    """Return the type and the layout of the first case that is wrong with easy data, or at all."""
    wrong = [tried for tried in attempts if tried.wrong]
    easy = [tried for tried in wrong if tried.case.difficulty.name == "easy"]
    case = (easy or wrong)[0].case
    return case.data, case.layout


Kinds = dict[tuple[Format, str], Layout]


def usable_kinds(subject: Subject, formats: Sequence[Format], notes: list[str]) -> Kinds:
    """Return the types and layouts that the function takes, with easy data.

    If it raises with all of them, the first are taken all the same, so that it shows.
    """
    easy = easy_cases(subject, formats)
    raised: dict[str, list[Case]] = {}
    usable: Kinds = {}
    for case in easy:
        try:
            subject.call(case)
        except calls.CallError as error:
            raised.setdefault(str(error), []).append(case)
        else:
            usable[case.data, case.layout.name] = case.layout
    if not usable:
        return {(case.data, case.layout.name): case.layout for case in easy[:1]}
    for words, found in raised.items():
        kinds = ", ".join(f"{case.data.name} {case.layout.name}" for case in found)
        notes.append(f"not tried, since it raises with easy data: {kinds} ({words})")
    return usable


def orders(
    subject: Subject, usable: Kinds, control: ThreadControl, notes: list[str]
) -> dict[str, SummationOrder]:
    """Return the order of summation, in f32 if the function takes it, by the name of the output."""
    kinds = sorted(usable.items(), key=lambda kind: kind[0][0] is not FORMATS["f32"])
    (data, _), layout = kinds[0]
    found = order_in(subject, layout, data, control)
    if found is None:
        missing = "mean" if subject.role == "training" else "beta_delta"
        if subject.role != "inference":
            notes.append(f"the order of summation does not show: it returns no {missing}")
        return {}
    output, order = found
    return {f"{output}, {data.name} {layout.name},": order}
