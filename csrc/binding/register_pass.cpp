#include <memory>

#include "binding/conversion.hpp"
#include "binding/node_conversion.hpp"
#include "binding/python_function.hpp"
#include "binding/register.hpp"
#include "normgraph/pass/decompose.hpp"
#include "normgraph/pass/differentiate.hpp"
#include "normgraph/pass/fuse_relu.hpp"
#include "normgraph/pass/widen_statistics.hpp"

namespace py = pybind11;

namespace normgraph::binding {

namespace {

constexpr const char* decompose_doc = R"(The same function made of primitive ops.

Each op of the batch-normalization family is replaced by its stages, nodes that are named after
their symbols: centered, variance, invsqrt, gmul, normed and so on. compute_type is the element type
of the stages: "f64", which meets the accuracy of the op itself, or None for the type of the op's
own channel vectors. The new function has the same parameters. Of an empty batch, which
BatchNormTraining refuses to run on, the stages give NaN.

Raises ValueError, naming the node, where an element type that is needed is not known.
)";

constexpr const char* gradients_doc = R"(The gradients of a function, as a function.

Its parameters are those of the original followed by one delta per result, of the result's type and
named after it; its results are the gradients of the parameters in wrt (all of them by default), in
this order: the sum over the results of delta * d(result)/d(parameter). A parameter that no result
depends on has the gradient 0. The new function can be differentiated again.

Raises ValueError, naming what is meant, for a parameter or a result whose element type is not real
and where an op on the way has no derivative.
)";

constexpr const char* fuse_relu_doc = R"(The same function, to the bit, with ReLUs fused.

Where ReLU alone reads the normalized output of a BatchNormTraining, both become one
BatchNormTrainingRelu; ReLU's gradient followed by BatchNormTrainingBackprop becomes
BatchNormTrainingReluBackprop. compile does this by itself.
)";

constexpr const char* widen_statistics_doc =
    R"(The same function, with statistics of 16-bit data in f32 between its ops.

A BatchNormTraining (or BatchNormTrainingRelu) whose data and statistics are of one 16-bit type puts
out f32 ones. The ops of the batch-normalization family read them as they are, which spares the
gradients what rounding to 16 bits costs them, and gives them where the variance is beyond f16;
others read them converted, with the bits they had. compile does this by itself.
)";

std::shared_ptr<Function> decompose(py::handle function, py::handle compute_type) {
    const std::shared_ptr<Function> original = function_from_python("function", function);
    if (!compute_type) {
        return std::make_shared<Function>(pass::decompose(*original, element::f64));
    }
    const element::Type type = compute_type.is_none()
                                   ? element::dynamic
                                   : element_type_from_python("compute_type", compute_type);
    return std::make_shared<Function>(pass::decompose(*original, type));
}

std::shared_ptr<Function> gradients(py::handle function, py::handle wrt) {
    const std::shared_ptr<Function> original = function_from_python("function", function);
    const auto parameters =
        !wrt || wrt.is_none() ? original->parameters() : parameters_from_python("wrt", wrt);
    return std::make_shared<Function>(pass::differentiate(*original, parameters));
}

std::shared_ptr<Function> fuse_relu(py::handle function) {
    return std::make_shared<Function>(pass::fuse_relu(*function_from_python("function", function)));
}

std::shared_ptr<Function> widen_statistics(py::handle function) {
    return std::make_shared<Function>(
        pass::widen_statistics(*function_from_python("function", function)));
}

}  // namespace

void register_pass(py::module_& module) {
    define_function<Unpacked<&decompose>::call>(
        module, "decompose", {{"function"}, {"compute_type", "'f64'"}}, decompose_doc);
    define_function<Unpacked<&gradients>::call>(module, "gradients",
                                                {{"function"}, {"wrt", "None"}}, gradients_doc);
    define_function<Unpacked<&fuse_relu>::call>(module, "fuse_relu", {{"function"}}, fuse_relu_doc);
    define_function<Unpacked<&widen_statistics>::call>(module, "widen_statistics", {{"function"}},
                                                       widen_statistics_doc);
}

}  // namespace normgraph::binding
