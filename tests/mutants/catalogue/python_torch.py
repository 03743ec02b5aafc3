"""The layers for torch: what the kernels take, derivatives, masks, conversion, processes."""

from ..mutant import Group, Mutant

TORCH = "python/normgraph/torch/"
TESTS = "tests/interop/torch/"

FUNCTIONAL = Group(
    TORCH + "functional.py",
    f"{TESTS}test_functional.py {TESTS}test_autograd.py -k 'kernels or torch_refuses or "
    "batch_between or running_statistics or in_double or forward_derivatives'",
    (
        Mutant(
            "torch-one-value-per-channel",
            "that a single value per channel is refused, as torch does",
            "if not input.numel() >= 2 * channels > 0:",
            "if not input.numel() >= channels > 0:",
        ),
        Mutant(
            "torch-statistics-that-training-changes",
            "that a backward pass has the running statistics of its forward pass",
            "running = _copy(running)",
            "pass",
        ),
        Mutant(
            "torch-running-statistics-with-gradients",
            "that running statistics which require a gradient are refused",
            "tensor.is_cpu and not tensor.requires_grad",
            "tensor.is_cpu",
        ),
        Mutant(
            "torch-derivatives-forward",
            "that derivatives forward are torch's",
            "forward_ad._current_level >= 0 or _tracing_state() is not None",
            "_tracing_state() is not None",
        ),
        Mutant(
            "torch-count-of-all-channels",
            "that a count is that of one channel",
            "count = input.numel() // input.shape[1]",
            "count = input.numel()",
        ),
    ),
    is_alone=True,
)

MODULES = Group(
    TORCH + "modules.py",
    f"{TESTS}test_modules.py -k 'checkpoint or no_longer_tracked or training_and_evaluation'",
    (
        Mutant(
            "torch-checkpoint-counts-twice",
            "that what a checkpoint recomputes updates nothing",
            "elif not is_dynamo_compiling() and _graph_task_id() != -1:",
            "elif False:",
        ),
        Mutant(
            "torch-untracked-statistics-updated",
            "that a layer which does not track statistics updates none",
            "elif not self.track_running_stats:",
            "elif False:",
        ),
        Mutant(
            "torch-cumulative-average-forgotten",
            "that without a momentum the average is cumulative",
            "momentum = 1.0 / float(batches)",
            "momentum = 1.0",
        ),
    ),
    is_alone=True,
)

CONVERSION = Group(
    TORCH + "conversion.py",
    TESTS + "test_conversion.py -k 'fused or other_classes or what_other_calls'",
    (
        Mutant(
            "torch-forward-of-an-object-lost",
            "that an object's own forward pass stays",
            "type(module) in fusion.BATCH_NORMS and not _has_own_forward(module)",
            "type(module) in fusion.BATCH_NORMS",
        ),
        Mutant(
            "torch-shared-batch-norm-waits",
            "that a batch norm which several modules hold does not wait",
            "if _is_shared(batch_norm, module) or (",
            "if (",
        ),
    ),
    is_alone=True,
)

REWRITING = Group(
    TORCH + "rewriting.py",
    TESTS + "test_conversion.py -k 'fused or other_classes or what_other_calls'",
    (
        Mutant(
            "torch-sum-in-place-of-the-residual",
            "that += changes what is on its left",
            "if add is operator.iadd:",
            "if False:",
        ),
        Mutant(
            "torch-value-that-is-read-again",
            "that nothing else reads what a batch norm has computed",
            "or self._loads[name] == all_loads",
            "or True",
        ),
        Mutant(
            "torch-waits-within-try",
            "that nothing waits where a statement leaves its block",
            "if name not in names and not leaves_block",
            "if name not in names",
        ),
    ),
    is_alone=True,
)

MASKED = Group(
    TORCH + "masked.py",
    f"{TESTS}test_masked.py -k 'first_and_second or numbers_of_a_mask or "
    "what_counts or nan_in_the_padding or forms_of'",
    (
        Mutant(
            "torch-masked-batch-of-one",
            "that more than one position has to count",
            "if counted < 2 and not (where is None and lengths is None):",
            "if False:",
        ),
        Mutant(
            "torch-mask-counted-once",
            "that a mask is repeated along axes of length 1",
            "torch.count_nonzero(where) * repetitions",
            "torch.count_nonzero(where)",
        ),
        Mutant(
            "torch-masked-paths-everywhere",
            "that mean and variance depend on what counts alone, in the second order",
            "value - counted(total(value) + normalized * total(normalized * value)) / n",
            "value - (total(value) + normalized * total(normalized * value)) / n",
        ),
    ),
    is_alone=True,
)

AUTOGRAD = Group(
    TORCH + "autograd.py",
    TESTS + "test_autograd.py -k 'second_derivatives or third_derivatives or create_graph'",
    (
        Mutant(
            "torch-second-order-without-the-deviation",
            "the derivative of the factor s in the second order",
            "s * projection(gradient_of_normalized) - scale * s * product * normalized",
            "s * projection(gradient_of_normalized)",
        ),
        Mutant(
            "torch-second-order-without-x-hat",
            "a term of the derivative of x-hat in the second order",
            "mean(d * normalized) * outer + mean(outer * normalized) * d",
            "mean(d * normalized) * outer",
        ),
        Mutant(
            "torch-epsilon-added-twice",
            "that epsilon may be in the variance already",
            "variance, delta, epsilon - added, _channel_axis",
            "variance, delta, epsilon, _channel_axis",
        ),
    ),
    is_alone=True,
)

OPERATORS = Group(
    TORCH + "operators.py",
    f"{TESTS}test_operators.py {TESTS}test_autograd.py "
    "-k 'packed_alike or tracing_knows or vmap_updates'",
    (
        Mutant(
            "torch-mask-without-its-packing",
            "that a mask says which axis is innermost",
            "output[-1] = has_innermost_channels",
            "pass",
        ),
        Mutant(
            "torch-gradients-in-the-type-of-data",
            "that the gradient of gamma has the type of gamma",
            'dtype = arguments["gamma"].dtype',
            "pass",
        ),
        Mutant(
            "torch-statistics-of-all-under-vmap",
            "that vmap needs running statistics for each",
            "if axis is None:",
            "if False:",
        ),
    ),
    is_alone=True,
)

SYNC_BATCH_NORM = Group(
    TORCH + "sync_batch_norm.py",
    f"{TESTS}test_sync_batch_norm.py -k 'f32-channels_first or checkpoint or deep_copy'",
    (
        Mutant(
            "torch-sync-gradients-of-all",
            "that the gradients of weight and bias are this rank's",
            "**apply(own, of_vectors)",
            "**apply(total, of_vectors)",
        ),
        Mutant(
            "torch-sync-checkpoint-counts-twice",
            "that what a checkpoint recomputes updates no statistics",
            "self.track_running_stats and not _is_recomputation()",
            "self.track_running_stats",
        ),
        Mutant(
            "torch-sync-group-copied",
            "that the copy of a layer belongs to the same group",
            "memo[id(self.process_group)] = self.process_group",
            "pass",
        ),
    ),
    is_alone=True,
)

GROUPS = (
    FUNCTIONAL,
    MODULES,
    CONVERSION,
    REWRITING,
    MASKED,
    AUTOGRAD,
    OPERATORS,
    SYNC_BATCH_NORM,
)
