"""`python -m normgraph demo`: on real data, in one screen, what normgraph is for.

The data are the UCI handwritten digits that scikit-learn carries. `network` shows how to train with
the kernels.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import normgraph as ng
from normgraph.demo import gradients, plot, training
from normgraph.demo.network import Dense, Float32Array
from normgraph.demo.plot import PlotError
from normgraph.demo.screen import Screen

__all__ = ["PlotError", "run"]

#: The accuracy whose first epoch the table names.
GOAL = 0.9


def run(*, epochs: int, seed: int, output: Path, quiet: bool) -> None:
    """Print the demo and save the plot of the accuracy curves to `output`.

    Raises PlotError if that is not possible.
    """
    plot.require_savable(output)
    screen = Screen(quiet)
    screen.title(
        f"normgraph {ng.__version__}",
        "batch normalization as graph nodes that check themselves, and as CPU kernels with a bound "
        "for every error and the same bits in any strides.",
    )
    show_inference(screen)
    show_invalid_node(screen)
    digits = training.load(seed)
    activations = first_layer(digits, seed)
    show_activations(screen, gradients.measure_activations(activations, seed), activations.shape)
    show_gradients(screen, gradients.measure_gradients(activations[:32, :8], seed), (32, 8))
    curves = show_training(screen, digits, epochs, seed)
    plot.save(curves, output)
    final = "; ".join(f"{curve.accuracies[-1]:.1%} {curve.label}" for curve in curves)
    if quiet:
        screen.result(f"accuracy after epoch {epochs}: {final}")
    screen.result(f"plot saved to {output}")


def first_layer(digits: training.Digits, seed: int) -> Float32Array:
    """Return what the first layer of the untrained network makes of the training digits."""
    features = digits.images.shape[1]
    return Dense(features, training.HIDDEN[0], training.weight_generator(seed)).infer(digits.images)


def show_inference(screen: Screen) -> None:
    """Show three nodes with partial shapes, and what they infer."""
    screen.heading(1, "Construct op nodes: known lengths flow both ways ('?' is not known)")
    x = ng.Parameter("f32", [None, None, (1, 8)], name="x")
    delta = ng.Parameter("f32", [32, None, None], name="delta")
    gamma, beta, mean, variance = (
        ng.Parameter("f32", [length], name=name)
        for name, length in (("gamma", 64), ("beta", None), ("mean", None), ("variance", None))
    )
    given = ", ".join(f"{p.friendly_name} {p.output(0).partial_shape}" for p in (x, gamma, delta))
    screen.paragraph(f"given  {given}; all others {beta.output(0).partial_shape}")
    for node in (
        ng.op.BatchNormTraining(x, gamma, beta),
        ng.op.BatchNormInference(x, gamma, beta, mean, variance),
        ng.op.BatchNormTrainingBackprop(x, gamma, beta, mean, variance, delta),
    ):
        inferred = ", ".join(f"{o.element_type}{o.partial_shape}" for o in node.outputs)
        screen.paragraph(f"{node.type_name:<25}  {inferred}")


def show_invalid_node(screen: Screen) -> None:
    """Show one error that lists every constraint that is violated."""
    screen.heading(2, "An invalid node: one error lists all that is wrong with it")
    x = ng.Parameter("f32", [None, 64, 7, 7], name="x")
    delta = ng.Parameter("f32", [None, 64, 14, 14], name="delta")
    gamma, beta, mean = (ng.Parameter("f32", [64], name=name) for name in ("gamma", "beta", "mean"))
    variance = ng.Parameter("f32", [32], name="variance")
    try:
        ng.op.BatchNormTrainingBackprop(
            x, gamma, beta, mean, variance, delta, epsilon=-1.0, name="bn1"
        )
    except ng.NodeValidationFailure as failure:
        screen.paragraph(str(failure), style="red")


def show_activations(
    screen: Screen, report: gradients.ActivationReport, shape: tuple[int, ...]
) -> None:
    """Show the kernels at work on the activations of the first layer."""
    screen.heading(
        3,
        f"Call kernels on numpy arrays: activations of a first layer, f32{list(shape)}",
    )
    screen.table(
        ["", "largest |mean|", "variances"],
        [
            [when, f"{mean:.2g}", f"{low:.6f} to {high:.6f}"]
            for when, mean, (low, high) in (
                ("activations", report.mean_before, report.variance_before),
                ("normalized", report.mean_after, report.variance_after),
            )
        ],
    )
    screen.paragraph(
        f"largest error by the definition in f64: forward {report.forward_error:.1e}, "
        f"backward {report.backward_error:.1e}"
    )


def show_gradients(
    screen: Screen, errors: list[gradients.GradientErrors], shape: tuple[int, ...]
) -> None:
    """Show the errors of the backward kernel against two independent computations."""
    screen.heading(4, f"Trust the gradients: f64{list(shape)} of these activations, random delta")
    screen.table(
        ["gradient", "largest", "error by finite differences", "error by the closed form"],
        [
            [
                e.name,
                f"{e.magnitude:.2f}",
                f"{e.against_differences:.1e}",
                f"{e.against_closed_form:.1e}",
            ]
            for e in errors
        ],
    )


def show_training(
    screen: Screen, digits: training.Digits, epochs: int, seed: int
) -> list[training.Run]:
    """Train with and without batch normalization; return the curves to plot."""
    layers, width = len(training.HIDDEN), training.HIDDEN[0]
    screen.heading(
        5,
        f"Train: {layers} hidden layers of {width}, SGD, batches of {training.BATCH}, "
        f"{len(digits.images)} digits, seed {seed}",
    )
    settings = [(True, training.RATE), *((False, rate) for rate in training.PLAIN_RATES)]
    runs = []
    with screen.progress(len(settings) * epochs) as advance:
        for normalized, rate in settings:
            label = training.Run(normalized, rate, []).label
            runs.append(
                training.train(digits, normalized, rate, epochs, seed, partial(advance, label))
            )
    normalized_run, plain_runs = runs[0], runs[1:]
    same_rate = plain_runs[-1]
    best = training.best_of(plain_runs)
    curves = [normalized_run, same_rate] + ([best] if best is not same_rate else [])
    shown = epochs_to_show(epochs)
    screen.table(
        ["accuracy after epoch", *(str(epoch) for epoch in shown), f"{GOAL:.0%} at"],
        [
            [
                run.label,
                *(f"{run.accuracies[epoch - 1]:.1%}" for epoch in shown),
                first_at_goal(run),
            ]
            for run in curves
        ],
    )
    screen.paragraph("Same weights and batches; depth and rate are chosen to show the difference.")
    screen.paragraph(
        f"Choosing its rate by these test digits, the network without takes {best.rate:g}."
    )
    return curves


def epochs_to_show(epochs: int) -> list[int]:
    """Choose at most five epochs for the table, the last one among them."""
    round_numbers = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
    return [*[epoch for epoch in round_numbers if epoch < epochs][-4:], epochs]


def first_at_goal(run: training.Run) -> str:
    """Name the first epoch after which the accuracy is at least GOAL."""
    return next(
        (f"epoch {i}" for i, accuracy in enumerate(run.accuracies, 1) if accuracy >= GOAL),
        "not yet",
    )
