#pragma once

#include <cstdint>

/// The binary interface of DLPack 1.0, by which libraries lend each other tensors without a copy:
/// the structures behind the capsules that `__dlpack__` returns. Facts from the DLPack
/// specification, https://dmlc.github.io/dlpack/latest/c_api.html.
namespace normgraph::binding::dlpack {

inline constexpr const char* capsule_name = "dltensor";
inline constexpr const char* used_capsule_name = "used_dltensor";
inline constexpr const char* versioned_capsule_name = "dltensor_versioned";
inline constexpr const char* used_versioned_capsule_name = "used_dltensor_versioned";

inline constexpr std::uint32_t major_version = 1;
inline constexpr std::uint64_t flag_read_only = 1;

/// Device types whose memory this process can read.
inline constexpr std::int32_t device_cpu = 1;
inline constexpr std::int32_t device_cuda_host = 3;
inline constexpr std::int32_t device_rocm_host = 11;

enum class TypeCode : std::uint8_t {
    signed_integer = 0,
    unsigned_integer = 1,
    floating_point = 2,
    opaque = 3,
    bfloat = 4,
    complex = 5,
    boolean = 6,
};

struct DataType {
    TypeCode code;
    std::uint8_t bits;
    std::uint16_t lanes;
};

struct Device {
    std::int32_t type;
    std::int32_t id;
};

struct Tensor {
    void* data;
    Device device;
    std::int32_t rank;
    DataType type;
    std::int64_t* shape;
    std::int64_t* strides;  ///< in elements; null for a dense row-major tensor
    std::uint64_t byte_offset;
};

struct ManagedTensor {
    Tensor tensor;
    void* context;
    void (*deleter)(ManagedTensor*);
};

struct Version {
    std::uint32_t major, minor;
};

struct ManagedTensorVersioned {
    Version version;
    void* context;
    void (*deleter)(ManagedTensorVersioned*);
    std::uint64_t flags;
    Tensor tensor;
};

}  // namespace normgraph::binding::dlpack
