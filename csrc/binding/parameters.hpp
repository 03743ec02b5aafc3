#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace normgraph::binding {

/// One parameter of a Python function.
struct PythonParameter {
    std::string name;
    std::string default_text = {};  ///< as Python writes it; empty where the argument is required
};

/// The parameters of a Python function that CPython calls without a dispatcher in between: each may
/// be given by its position or by its name.
class Parameters {
public:
    /// Required ones come first.
    Parameters(std::string function_name, std::vector<PythonParameter> parameters);

    std::size_t count() const { return parameters_.size(); }
    const std::string& function_name() const { return function_name_; }

    /// "batch_norm_training(input, gamma, beta, epsilon=1e-05)".
    const std::string& signature() const { return signature_; }

    /// Puts the arguments of a call in the order of the parameters, null where one is left out.
    /// `given` holds `positional_count` arguments and after them those that the tuple `keywords`
    /// (or null) names: CPython's convention of METH_FASTCALL | METH_KEYWORDS. Raises TypeError for
    /// an argument that is missing, unknown, given twice, or one too many.
    void match(PyObject* const* given, std::size_t positional_count, PyObject* keywords,
               std::span<pybind11::handle> arguments) const;

    /// As above, with CPython's older convention: a tuple, and a dict or null. The result holds the
    /// arguments, which Python code could take out of the dict.
    [[nodiscard]] std::vector<pybind11::object> match(pybind11::handle positional,
                                                      pybind11::handle keywords,
                                                      std::span<pybind11::handle> arguments) const;

private:
    std::size_t index_of(pybind11::handle keyword) const;
    [[noreturn]] void refuse(const std::string& came) const;

    std::string function_name_;
    std::vector<PythonParameter> parameters_;
    std::string signature_;
    std::vector<pybind11::str> keywords_;
    std::size_t required_count_ = 0;
};

/// A docstring in the form that lets Python find the signature.
std::string with_text_signature(const Parameters& parameters, const std::string& documentation);

}  // namespace normgraph::binding
