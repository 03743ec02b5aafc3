#pragma once

#include <cstddef>
#include <cstdint>

/// The part of the C interface of XLA's FFI (xla/ffi/api/c_api.h) that handlers need: names of our
/// own for its structs, in its layout. So nothing of JAX is there when this module is built, and
/// one binary serves all versions of JAX whose interface has the major version 0.
///
/// Structs grow at their ends, and begin with their size: what is read of one lies within it (see
/// CallFrame's reader in call_frame.hpp). What stands behind the last field here is not declared.
namespace normgraph::binding::jax::ffi {

inline constexpr std::int32_t major_version = 0;
/// The oldest one that has all that is declared here.
inline constexpr std::int32_t minor_version = 1;

/// What JAX expects a capsule that holds a handler to be called.
inline constexpr const char* capsule_name = "xla._CUSTOM_CALL_TARGET";

struct Error;             // XLA's own
struct ExecutionContext;  // XLA's own

enum class ExtensionType : std::int32_t { metadata = 1 };

struct Extension {
    std::size_t struct_size;
    ExtensionType type;
    Extension* next;
};

struct ApiVersion {
    std::size_t struct_size;
    Extension* extensions;
    std::int32_t major_version;
    std::int32_t minor_version;
};

/// What XLA asks a handler when it is registered.
struct Metadata {
    std::size_t struct_size;
    ApiVersion api_version;
    std::uint32_t traits;
};

struct MetadataExtension {
    Extension base;
    Metadata* metadata;
};

enum class ErrorCode : std::int32_t { invalid_argument = 3, resource_exhausted = 8, internal = 13 };

struct ErrorArguments {
    std::size_t struct_size;
    Extension* extensions;
    const char* message;
    ErrorCode code;
};

/// The table of XLA's functions, up to the one that is called here.
struct Api {
    std::size_t struct_size;
    Extension* extensions;
    ApiVersion version;
    const void* internal;
    Error* (*create_error)(ErrorArguments* arguments);
};

enum class DataType : std::int32_t {
    pred = 1,
    s8 = 2,
    s16 = 3,
    s32 = 4,
    s64 = 5,
    u8 = 6,
    u16 = 7,
    u32 = 8,
    u64 = 9,
    f16 = 10,
    f32 = 11,
    f64 = 12,
    bf16 = 16,
};

struct Buffer {
    std::size_t struct_size;
    Extension* extensions;
    DataType type;
    void* data;
    std::int64_t rank;
    std::int64_t* lengths;
};

/// Of an argument and of a result.
enum class OperandType : std::int32_t { buffer = 1 };

/// Arguments or results.
struct Operands {
    std::size_t struct_size;
    Extension* extensions;
    std::int64_t count;
    OperandType* types;
    void** operands;
};

struct ByteSpan {
    const char* begin;
    std::size_t size;
};

enum class AttributeType : std::int32_t { scalar = 3 };

struct Scalar {
    DataType type;
    void* value;
};

/// In the order of their names.
struct Attributes {
    std::size_t struct_size;
    Extension* extensions;
    std::int64_t count;
    AttributeType* types;
    ByteSpan** names;
    void** attributes;
};

enum class Stage : std::int32_t { execute = 3 };

struct CallFrame {
    std::size_t struct_size;
    Extension* extensions;
    const Api* api;
    ExecutionContext* context;
    Stage stage;
    Operands arguments;
    Operands results;
    Attributes attributes;
};

using Handler = Error*(CallFrame* frame);

}  // namespace normgraph::binding::jax::ffi
