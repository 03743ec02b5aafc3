#include "binding/torch/stable_functions.hpp"

#include <stdexcept>
#include <string>

#if __has_include(<dlfcn.h>)
#include <dlfcn.h>
#endif

namespace normgraph::binding::torch {
namespace {

StableFunctions functions{};

#if defined(RTLD_NOLOAD)

/// A library that the process has loaded. It is never closed: its functions are called until the
/// process ends.
class LoadedLibrary {
public:
    explicit LoadedLibrary(const std::string& path)
        : path_(path), handle_(dlopen(path.c_str(), RTLD_LAZY | RTLD_NOLOAD)) {
        if (handle_ == nullptr) {
            throw std::runtime_error("libtorch: expected " + path +
                                     ", which this process has not loaded");
        }
    }

    template <typename Function>
    void find(const char* name, Function*& function) const {
        function = reinterpret_cast<Function*>(dlsym(handle_, name));
        if (function == nullptr) {
            throw std::runtime_error("libtorch: expected version 2.11 or newer, got one without " +
                                     std::string(name) + " (" + path_ + ")");
        }
    }

private:
    std::string path_;
    void* handle_;
};

StableFunctions functions_of(const LoadedLibrary& library) {
    StableFunctions found{};
    library.find("aoti_torch_dtype_float16", found.dtype_float16);
    library.find("aoti_torch_dtype_bfloat16", found.dtype_bfloat16);
    library.find("aoti_torch_dtype_float32", found.dtype_float32);
    library.find("aoti_torch_dtype_float64", found.dtype_float64);
    library.find("aoti_torch_dtype_uint8", found.dtype_uint8);
    library.find("aoti_torch_layout_strided", found.layout_strided);
    library.find("aoti_torch_device_type_cpu", found.device_type_cpu);
    library.find("aoti_torch_get_data_ptr", found.get_data_ptr);
    library.find("aoti_torch_get_dim", found.get_dim);
    library.find("aoti_torch_get_sizes", found.get_sizes);
    library.find("aoti_torch_get_strides", found.get_strides);
    library.find("aoti_torch_get_dtype", found.get_dtype);
    library.find("aoti_torch_get_device_type", found.get_device_type);
    library.find("aoti_torch_new_tensor_handle", found.new_tensor_handle);
    library.find("aoti_torch_delete_tensor_object", found.delete_tensor_object);
    library.find("aoti_torch_empty_strided", found.empty_strided);
    library.find("torch_from_blob", found.from_blob);
    library.find("aoti_torch_grad_mode_is_enabled", found.grad_mode_is_enabled);
    library.find("torch_call_dispatcher", found.call_dispatcher);
    library.find("torch_get_num_threads", found.get_num_threads);
    library.find("torch_parallel_for", found.parallel_for);
    library.find("aoti_torch_library_init_impl", found.library_init_impl);
    library.find("torch_library_impl", found.library_impl);
    return found;
}

#endif

}  // namespace

#if defined(RTLD_NOLOAD)

void find_stable_functions(const std::string& path) {
    functions = functions_of(LoadedLibrary(path));
}

#else

void find_stable_functions(const std::string& path) {
    throw std::runtime_error("libtorch: expected a system that finds loaded libraries (dlopen), " +
                             path + " was not looked for");
}

#endif

const StableFunctions& stable_functions() {
    return functions;
}

void check_status(std::int32_t status, const char* function) {
    if (status != 0) {
        throw std::runtime_error(std::string("libtorch: ") + function + " failed");
    }
}

}  // namespace normgraph::binding::torch
