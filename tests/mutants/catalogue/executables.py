"""How compiled functions run: plans, memory, and the kernels of the primitive ops."""

from ..mutant import CPP_TESTS, Group, Mutant

KERNEL = "csrc/normgraph/kernel/"
RUNTIME = "csrc/normgraph/runtime/"
CALL_TESTS = "tests/runtime/test_executable.py"
MEMORY_TESTS = "tests/runtime/test_memory.py"
PRIMITIVE_TESTS = "tests/runtime/test_primitives.py"

LOWERING = Group(
    RUNTIME + "lowering.cpp",
    f"{CALL_TESTS} {PRIMITIVE_TESTS}",
    (
        Mutant(
            "broadcast-reads-like",
            "that like only lends its shape",
            "Kind{op::Broadcast::class_name, broadcast, 1}",
            "Kind{op::Broadcast::class_name, broadcast, 2}",
        ),
        Mutant(
            "mean-adjoint-multiplies",
            "the division",
            "step.add(ElementWiseOperation::divide, StorageType::f64,",
            "step.add(ElementWiseOperation::multiply, StorageType::f64,",
        ),
    ),
)

PLAN_BUILDER = Group(
    RUNTIME + "plan_builder.cpp",
    f"{MEMORY_TESTS} {CALL_TESTS} tests/runtime/test_concurrency.py",
    (
        Mutant(
            "overwritten-before-the-last-read",
            "the last read",
            "last[read.buffer] == index",
            "last[read.buffer] >= index",
        ),
        Mutant(
            "strides-of-out-count",
            "the copy of a result that a batch norm reads",
            "&& !strides_matter_.contains(result.buffer)",
            "",
        ),
    ),
)

ELEMENT_WISE_STEP = Group(
    RUNTIME + "element_wise_step.cpp",
    f"{CALL_TESTS} tests/runtime/test_concurrency.py",
    (
        Mutant(
            "stored-slot-is-used-again",
            "that results are copied at the end",
            "last_use[store.value.index] = end;",
            "last_use[store.value.index] = store.value.index + 1;",
        ),
    ),
)

OVERWRITES = Group(
    RUNTIME + "element_wise_step.cpp",
    CPP_TESTS,
    (
        Mutant(
            "what-is-copied-is-overwritten",
            "that a step may copy a source",
            "read(store.value, operations_.size());",
            "read(store.value, 0);",
        ),
        Mutant(
            "second-operand-is-overwritten",
            "the second operand",
            "read(operations_[index].second, index);",
            "",
        ),
    ),
)

MEMORY_PLAN = Group(
    RUNTIME + "memory_plan.cpp",
    CPP_TESTS,
    (
        Mutant(
            "lifetimes-without-the-last-step",
            "the last step",
            "std::ranges::upper_bound(steps_, lifetime.last_step)",
            "std::ranges::lower_bound(steps_, lifetime.last_step)",
        ),
        Mutant(
            "what-lives-longer-is-overlooked",
            "what is in use before, during and after a part of a lifetime",
            "node.at_each_moment.add(range);",
            "",
        ),
        Mutant(
            "places-are-looked-at-once",
            "that a place is looked at again after it has moved",
            "has_moved = has_moved || ranges.front().end > place;",
            "",
        ),
    ),
)

EXECUTABLE = Group(
    RUNTIME + "executable.cpp",
    CALL_TESTS,
    (
        Mutant(
            "compiled-nodes-are-shared",
            "the copy of the graph",
            "prepared(copy_of(function), backend)",
            "prepared((static_cast<void>(copy_of(function)), function), backend)",
        ),
        Mutant(
            "any-argument-fits",
            "the check of arguments",
            "if (!describes(declared, type))",
            "if (!describes(declared, type) && arguments.empty())",
        ),
    ),
)

BINDING = Group(
    "csrc/binding/register_executable.cpp",
    CALL_TESTS,
    (
        Mutant(
            "out-may-overlap-an-argument",
            "the overlap",
            "if (share_memory(*results[index], arguments[other]))",
            "if (share_memory(*results[index], arguments[other]) && results.empty())",
        ),
        Mutant(
            "masks-in-any-strides",
            "the order of masks",
            "check_order(*plan, arguments, given_results);",
            "if (given_results.empty()) { check_order(*plan, arguments, given_results); }",
        ),
    ),
)

ELEMENT_WISE_KERNEL = Group(
    KERNEL + "simd/primitives/element_wise.cpp",
    CPP_TESTS,
    (
        Mutant(
            "repeated-value-too-short",
            "the last element",
            "repeat(copy, std::min(block_length_, chunks_.count),",
            "repeat(copy, std::min(block_length_, chunks_.count) - 1,",
        ),
    ),
)

ELEMENT_WISE_CHUNKS = Group(
    KERNEL + "simd/primitives/element_wise.cpp",
    CPP_TESTS,
    (
        Mutant(
            "chunks-of-whole-steps",
            "the last steps of an axis",
            "std::min(steps_per_chunk, steps - step)",
            "steps_per_chunk",
        ),
        Mutant(
            "chunks-at-the-first-range",
            "where a chunk's range begins",
            "(outer * steps + step) * distance + range * length",
            "(outer * steps + step) * distance",
        ),
    ),
)

SUM_KERNEL = Group(
    KERNEL + "simd/primitives/sum.cpp",
    CPP_TESTS,
    (
        Mutant(
            "parts-are-no-nodes-of-the-tree",
            "the power of two",
            "static_cast<std::int64_t>(blocks_per_part), threads);",
            "static_cast<std::int64_t>(blocks_per_part) + 1, threads);",
        ),
        Mutant(
            "lanes-begin-anew-with-each-run",
            "the lane of the first row",
            ".first_lane = row % lane_count,",
            ".first_lane = 0,",
        ),
        Mutant(
            "columns-copied-as-they-lie",
            "the distance of columns that are copied",
            "{tile.columns, size_, axes_.columns.value_stride}",
            "{tile.columns, size_, size_}",
        ),
        Mutant(
            "sums-of-the-first-copied-block",
            "that a copy has several blocks",
            "values += block_length * size_;",
            "",
        ),
    ),
)

PRODUCT_KERNEL = Group(
    KERNEL + "simd/primitives/matrix_multiply.cpp",
    CPP_TESTS,
    (
        Mutant(
            "panels-of-the-last-step-misplaced",
            "the depth of the step",
            "multiply_(left_, right_ + column * depth,",
            "multiply_(left_, right_ + column * tile_depth,",
        ),
    ),
)

STORAGE_TYPE = Group(
    KERNEL + "storage_type.hpp",
    CPP_TESTS,
    (
        Mutant(
            "doubles-rounded-twice",
            "the sticky bit",
            "return std::bit_cast<float>(bits | 1U);",
            "return std::bit_cast<float>(bits);",
        ),
        Mutant(
            "integers-rounded-twice",
            "the sticky bit",
            "magnitude >> 11 | sticky",
            "magnitude >> 11",
        ),
    ),
)

PRIMITIVE_LOOPS = Group(
    KERNEL + "simd/micro_kernels/primitive_loops.hpp",
    CPP_TESTS,
    (
        Mutant(
            "nan-rounded-away",
            "the look for NaNs",
            "if (is_nan == 0) { return values; }",
            "if (is_nan != 1U << 31) { return values; }",
        ),
        Mutant(
            "relu-lets-negative-numbers-pass",
            "the zero",
            "return Isa::zero_mask(a, Isa::not_less_equal(a, zero(a)));",
            "return Isa::zero_mask(a, Isa::not_less_equal(a, minus_one(a)));",
        ),
        Mutant(
            "rest-of-a-block-in-other-lanes",
            "the place in the block",
            "lane_sums[(index + element) % lanes]",
            "lane_sums[element % lanes]",
        ),
    ),
)

GROUPS = (
    LOWERING,
    PLAN_BUILDER,
    ELEMENT_WISE_STEP,
    OVERWRITES,
    MEMORY_PLAN,
    EXECUTABLE,
    BINDING,
    ELEMENT_WISE_KERNEL,
    ELEMENT_WISE_CHUNKS,
    SUM_KERNEL,
    PRODUCT_KERNEL,
    STORAGE_TYPE,
    PRIMITIVE_LOOPS,
)
