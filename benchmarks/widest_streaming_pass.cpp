#include "streaming_pass.hpp"

namespace normgraph::measurement {

extern const StreamingPass baseline;
#if defined(NORMGRAPH_WIDE_STREAMING_PASSES)
extern const StreamingPass avx2;
extern const StreamingPass avx512;
#endif

const StreamingPass& widest_streaming_pass() {
#if defined(NORMGRAPH_WIDE_STREAMING_PASSES)
    if (__builtin_cpu_supports("avx512f")) {
        return avx512;
    }
    if (__builtin_cpu_supports("avx2")) {
        return avx2;
    }
#endif
    return baseline;
}

}  // namespace normgraph::measurement
