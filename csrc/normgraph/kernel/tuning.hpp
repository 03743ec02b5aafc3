#pragma once

#include <cstdint>

/// Every threshold that decides how work is cut, buffered, prefetched and shared. None of them
/// changes a bit of a result. Where one was measured, the measurement stands beside it.
namespace normgraph::kernel {

inline constexpr std::int64_t cache_line = 64;

/// A processor's own caches, in bytes.
struct CacheSizes {
    std::int64_t l1 = std::int64_t{32} * 1024;
    std::int64_t l2 = std::int64_t{512} * 1024;
};

/// Thresholds that stand for the size of a cache. With the sizes above, which many x86-64
/// processors have and with which they were measured, each is what its comment says in brackets.
struct CacheTuning {
    /// Rows of one group may be read in any order while they fit half of the L1 cache [16 KiB].
    std::int64_t any_order_bytes;
    /// Rows that are computed into a buffer before non-temporal stores write them: a quarter of the
    /// L1 cache [8 KiB].
    std::int64_t buffered_rows_bytes;
    /// Coalesced columns whose coefficients stay in the L1 cache, in whole cache lines [512].
    std::int64_t coalesced_columns;
    /// Channels along columns whose sums fit the L1 cache; those of more do not [1024].
    std::int64_t most_columns;
    /// Channels along rows whose lanes take half of the L1 cache [64].
    std::int64_t most_channels_per_group;
    /// Budget for the blocks of one element-wise task, which stay in the L1 cache [32 KiB].
    std::int64_t element_wise_bytes;
    /// Columns of a Sum whose eight lanes of double stay in the L1 cache [256].
    std::int64_t most_sum_columns;
    /// A tile in a buffer: with three tensors they stay in the L2 cache [64 KiB].
    std::int64_t staged_tile_bytes;
    /// Data of a group that stays in the L2 cache from reduce to apply [512 KiB].
    std::int64_t reused_bytes;
    /// Copies of a group up to here are kept between reduce and apply, in the L2 cache or near it
    /// [1 MiB].
    std::int64_t most_group_copy_bytes;
    /// A slab that has whole cache lines only if it leaves the L2 cache [2 MiB].
    std::int64_t most_slab_bytes;

    explicit constexpr CacheTuning(const CacheSizes& sizes)
        : any_order_bytes(sizes.l1 / 2),
          buffered_rows_bytes(sizes.l1 / 4),
          coalesced_columns(sizes.l1 / 2048 * 32),
          most_columns(sizes.l1 / 32),
          most_channels_per_group(sizes.l1 / 512),
          element_wise_bytes(sizes.l1),
          most_sum_columns(sizes.l1 / 128),
          staged_tile_bytes(sizes.l2 / 8),
          reused_bytes(sizes.l2),
          most_group_copy_bytes(2 * sizes.l2),
          most_slab_bytes(4 * sizes.l2) {}
};

/// The thresholds for this machine's caches. A size that the system does not tell, or that no
/// processor has, is taken to be the default above.
CacheTuning cache_tuning();

// ---- where a tensor is copied -------------------------------------------------------------------

/// Shorter runs of bytes are copied, many at a time.
inline constexpr std::int64_t shortest_direct_run = 1024;

/// Tensors of which a tile has shorter runs of bytes are copied in slabs of several rows.
inline constexpr std::int64_t shortest_tile_run = 512;

/// Channels of a tile that is copied from, or to, a tensor whose neighbours are of different
/// channels: whole cache lines.
inline constexpr std::int64_t channels_across = 64;

/// Rows of so many bytes are copied by vectors: a call of memcpy would take longer.
inline constexpr std::int64_t longest_inline_copy = 512;

// ---- non-temporal stores ------------------------------------------------------------------------

/// A smaller target is likely to be read again from the cache.
inline constexpr std::int64_t smallest_streamed_tensor = std::int64_t{4} * 1024 * 1024;

/// Shorter rows are buffered or coalesced before they are streamed: too few of their lines would be
/// whole.
inline constexpr std::int64_t shortest_streamed_row = 1024;
inline constexpr std::int64_t fewest_coalesced_rows = 8;

/// Short rows in the order of memory go through a buffer of this length to whole lines: while one
/// is written, what is read next should be on its way. (Measured on Zen 3 with f32 from memory,
/// rows of 784 and 196 bytes: 0.45 and 0.39 ns with 8 KiB, 0.41 and 0.33 with 3.)
inline constexpr std::int64_t bytes_of_rows_in_lines = std::int64_t{3} * 1024;

// ---- the order of reading -----------------------------------------------------------------------

/// So many short rows of one channel are summed before the next channel's, so that sums are loaded
/// less often.
inline constexpr std::int64_t short_rows_together = 4;

/// In longer runs the processor's own prefetching suffices. In shorter ones it begins anew too
/// often, so what is read after so many bytes more is prefetched, into the L2 cache. (Measured on
/// Zen 4, runs of 6 KiB from memory: 0.34 ns per f32 without, 0.32, 0.28, 0.22, 0.16, 0.16 for 1,
/// 2, 4, 8, 16 KiB ahead; in sequence 0.13.)
inline constexpr std::int64_t shortest_run_that_prefetches_itself = std::int64_t{32} * 1024;
inline constexpr std::int64_t prefetched_bytes_ahead = std::int64_t{8} * 1024;

/// Along columns the processor's own prefetching needs memory to be read in sequence, which several
/// rows at a time are while they are short, and again where each has pages of its own. Between, the
/// next rows are prefetched in sequence while these are read, as long as the L1 cache holds both.
/// (Measured on Zen 4: two or four rows of 1 or 2 KiB without that at a third of the speed.)
inline constexpr std::int64_t short_row_bytes = 256;
inline constexpr std::int64_t most_prefetched_bytes = std::int64_t{8} * 1024;

/// Short rows of the one source of a forward pass are prefetched so far ahead: a block's shift
/// comes from all over it, which the processor's own prefetching takes for other sequences.
/// (Measured on Zen 3, rows of 64 channels: bf16 1.36 times faster, f32 1.05; two sources 0.9
/// times.)
inline constexpr std::int64_t short_rows_ahead_bytes = std::int64_t{4} * 1024;

/// Sources that have `memory_bytes` together are in no cache (a third-level cache has some 32 MiB;
/// systems tell the sum of all that a machine has). Along columns their rows are summed two at a
/// time, or four short ones of one source, and what lies `rows_from_memory_ahead_bytes` ahead, all
/// sources together, is prefetched, if a row of each has `longest_rows_from_memory` together at
/// most. Rows of two sources up to `longest_followed_row_of_two` the processor follows by itself.
/// (Measured on Zen 4, sums from memory, time beside that of data in a cache: one source: f32 48,
/// 64, 128, 256, 512 channels 0.8, 0.8, 0.85, 0.9, 0.97; bf16 96, 256, 512 channels 0.9, 0.77,
/// 0.77. Two sources: f32 48, 64, 96, 128 channels 0.62, 0.55, 0.75, 0.8; bf16 128, 256, 512
/// channels 0.55, 0.85, 0.9; f32 32 and bf16 64 channels, which are followed, 1.1 and 1.0. With
/// data in a cache two rows take 1.2 to 1.45 times as long; both are equal at 24 to 32 MiB.)
inline constexpr std::int64_t memory_bytes = std::int64_t{24} * 1024 * 1024;
inline constexpr std::int64_t rows_from_memory_ahead_bytes = std::int64_t{8} * 1024;
inline constexpr std::int64_t longest_rows_from_memory = std::int64_t{2} * 1024;
inline constexpr std::int64_t longest_followed_row_of_two = 128;

/// Rows with gaps between them are prefetched this far ahead: the processor would look for them in
/// the gaps.
inline constexpr std::int64_t rows_ahead = 16;

/// Two sources in rows of so many bytes and columns are read one row at a time: the sums that are
/// loaded for each are in the L1 cache, and the processor reads both ahead by itself. (Measured on
/// Zen 4, 256 and 512 channels from memory, training: f32 15 to 25 % faster than four rows, f64 0
/// to 30 %. 16-bit data, whose sums take longer, and one source alone are slower so.)
inline constexpr std::int64_t shortest_single_row = 1024;
inline constexpr std::int64_t most_single_columns = 512;

/// Short rows of more than `longest_followed_row_of_two` bytes are written by non-temporal stores
/// one at a time. (Measured on Zen 4, beside four: f32 48, 64 channels 0.9, bf16 128 channels 0.83;
/// 16 channels of f32 1.1.) Others are taken one at a time if they are longer than the first of
/// these lengths, and two if they are longer than the second: memory takes lines from several pages
/// at a fraction of its speed. (Measured on Zen 3, ns per element, one, two, four rows: f32
/// inference, 256 channels 0.50, 0.35, 0.37; 512: 0.46, 0.35, 0.78; 1024: 0.55, 0.75, 2.9; 4096:
/// 0.30, 0.57, 2.4; bf16, 512 channels 0.35, 0.25, 0.22; 1024: 0.38, 0.30, 0.81; 2048: 0.32,
/// 0.59, 1.8; two sources of f32, 1024 channels 1.5, 2.1, 4.9.) Ordinary stores into a cache take
/// four of any length.
inline constexpr std::int64_t longest_of_two_streamed_rows = std::int64_t{2} * 1024;
inline constexpr std::int64_t longest_of_four_streamed_rows = 1024;

// ---- groups of channels -------------------------------------------------------------------------

/// Channels whose rows lie side by side are taken together until they make a run of this length,
/// even if they leave the L2 cache: memory is read at its full speed only along runs of many pages.
/// (Short rows cost more computation than their memory does, from that cache at least.)
inline constexpr std::int64_t shortest_run = std::int64_t{128} * 1024;

/// Rows of this length are taken alone: then more of what is reduced is still in a cache when it is
/// applied. (Measured on Zen 4, 112x112: f32 6 to 16 %, bf16 15 to 20 % faster.) The one source of
/// the forward pass is read fast enough in runs of this length, if it is not 16-bit data, whose
/// sums take longer.
inline constexpr std::int64_t long_row = std::int64_t{24} * 1024;

/// Rows of more channels than fit are divided into channel blocks, whose sums leave room for what
/// is read: so many channels, and of each row so many bytes of all sources together, or as near as
/// it gets.
inline constexpr std::int64_t smallest_channel_block = 256;
inline constexpr std::int64_t largest_channel_block = 512;
inline constexpr std::int64_t bytes_of_channel_block = std::int64_t{2} * 1024;

/// Apply goes backwards through parts of so many steps, or of one row: what was read last is the
/// likeliest to be in a cache still.
inline constexpr std::int64_t steps_per_part = 512;

// ---- threads ------------------------------------------------------------------------------------

/// More tasks than threads, so that one that is late leaves its work to the others.
inline constexpr std::int64_t tasks_per_thread = 4;

/// The least work that is worth a thread, in elements: waking one takes some 20 µs.
inline constexpr std::int64_t elements_per_thread = std::int64_t{32} * 1024;

/// As elements_per_thread, for the forward pass of f32 along columns, which is the fastest: in that
/// time one thread reads from its own cache what another would have to fetch from there. (Measured
/// on Zen 4, 128 rows of 1024: 51 µs with one thread, 60 to 86 with two; 2048 rows of 256: 141 and
/// 110.)
inline constexpr std::int64_t elements_per_thread_of_f32_moments = std::int64_t{192} * 1024;

/// As elements_per_thread, for a scalar kernel.
inline constexpr std::int64_t scalar_elements_per_thread = std::int64_t{16} * 1024;

/// As elements_per_thread, for the primitives' vector kernels: elements read and operations on one.
inline constexpr std::int64_t work_per_thread = std::int64_t{128} * 1024;

/// Threads that share the columns of rows get so many bytes of each, if there are as many.
inline constexpr std::int64_t shortest_shared_row = 512;

// ---- primitives ---------------------------------------------------------------------------------

/// The elements of a block of an element-wise program.
inline constexpr std::int64_t longest_block = 8192;
inline constexpr std::int64_t shortest_block = 512;

/// Neighbours in memory that an element-wise program copies together where they are far apart in
/// the logical order: whole cache lines, of f64 too.
inline constexpr std::int64_t steps_of_whole_lines = 32;

/// The elements of a block of a ReLU's mask, which stays in the L1 cache: a multiple of 16, so that
/// blocks begin at whole bytes.
inline constexpr std::int64_t mask_block = 2048;

/// Fewer columns of a Sum side by side than this leave most of a vector idle.
inline constexpr std::int64_t fewest_sum_columns = 8;

/// Sums of so few elements each are made many at a time, of copies if need be: a block takes longer
/// to begin than to sum.
inline constexpr std::int64_t most_elements_of_short_sum = 256;

/// The tile of a product of matrices that one task makes, and the depth of one step: both parts of
/// a step stay in the caches.
inline constexpr std::int64_t product_tile_rows = 128;
inline constexpr std::int64_t product_tile_columns = 64;
inline constexpr std::int64_t product_tile_depth = 512;

}  // namespace normgraph::kernel
