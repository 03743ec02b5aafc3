#pragma once

#include <cstdint>
#include <string>

/// The part of libtorch's stable C interface (torch/csrc/stable/c/shim.h and
/// torch/csrc/inductor/aoti_torch/c/shim.h) that operators need, looked up in the libtorch that the
/// process has loaded. So nothing of torch is there when this module is built, one binary serves
/// all versions from 2.11 on, and importing the module loads no torch.
namespace normgraph::binding::torch {

struct TensorObject;
struct LibraryObject;
/// An argument or a result of an operator: a number's bits, a handle, or, of an optional one, null
/// or the address of the value, which is on the heap.
using StableValue = std::uint64_t;
using BoxedFunction = void (*)(StableValue* stack, std::uint64_t inputs, std::uint64_t outputs);
using RangeFunction = void (*)(std::int64_t begin, std::int64_t end, void* context);
using Deleter = void (*)(void* data, void* context);

/// Each, but for those that return a number or a flag of libtorch's, returns 0 unless it fails.
struct StableFunctions {
    std::int32_t (*dtype_float16)();
    std::int32_t (*dtype_bfloat16)();
    std::int32_t (*dtype_float32)();
    std::int32_t (*dtype_float64)();
    std::int32_t (*dtype_uint8)();
    std::int32_t (*layout_strided)();
    std::int32_t (*device_type_cpu)();

    std::int32_t (*get_data_ptr)(TensorObject*, void** data);
    std::int32_t (*get_dim)(TensorObject*, std::int64_t* rank);
    std::int32_t (*get_sizes)(TensorObject*, std::int64_t** borrowed);
    std::int32_t (*get_strides)(TensorObject*, std::int64_t** borrowed);
    std::int32_t (*get_dtype)(TensorObject*, std::int32_t* dtype);
    std::int32_t (*get_device_type)(TensorObject*, std::int32_t* device_type);
    std::int32_t (*new_tensor_handle)(TensorObject*, TensorObject** same_tensor);
    std::int32_t (*delete_tensor_object)(TensorObject*);
    std::int32_t (*empty_strided)(std::int64_t rank, const std::int64_t* sizes,
                                  const std::int64_t* strides, std::int32_t dtype,
                                  std::int32_t device_type, std::int32_t device_index,
                                  TensorObject** tensor);
    /// In torch from 2.11 on.
    std::int32_t (*from_blob)(void* data, std::int64_t rank, const std::int64_t* sizes,
                              const std::int64_t* strides, std::int64_t storage_offset,
                              std::int32_t dtype, std::int32_t device_type,
                              std::int32_t device_index, TensorObject** tensor, std::int32_t layout,
                              const std::uint8_t* opaque_metadata, std::int64_t metadata_size,
                              Deleter deleter, void* deleter_context);
    bool (*grad_mode_is_enabled)();
    std::int32_t (*call_dispatcher)(const char* op, const char* overload, StableValue* stack,
                                    std::uint64_t version);

    std::int32_t (*get_num_threads)(std::uint32_t* count);
    std::int32_t (*parallel_for)(std::int64_t begin, std::int64_t end, std::int64_t grain_size,
                                 RangeFunction function, void* context);

    std::int32_t (*library_init_impl)(const char* name_space, const char* dispatch_key,
                                      const char* file, std::uint32_t line,
                                      LibraryObject** library);
    std::int32_t (*library_impl)(LibraryObject*, const char* name, BoxedFunction function,
                                 std::uint64_t version);
};

/// Finds the functions in the shared library `path`, if the process has loaded it. Throws
/// std::runtime_error, which says what is missing, if it has not, if one of them is not there, or
/// where the system cannot be asked. Called once, before the others; not from several threads.
void find_stable_functions(const std::string& path);

/// Those that have been found.
const StableFunctions& stable_functions();

/// The version of libtorch with which calls and registrations are made: 2.11.0, the oldest one that
/// has all functions.
inline constexpr std::uint64_t interface_version =
    (std::uint64_t{2} << 56U) | (std::uint64_t{11} << 48U);

/// Throws std::runtime_error, which names the function, for a status other than 0.
void check_status(std::int32_t status, const char* function);

}  // namespace normgraph::binding::torch
