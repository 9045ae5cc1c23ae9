// What plain Swift is too slow for in reading model files: expanding quantised blocks, SHA-256, and one system call
// that Swift does not see. Every function is safe to call from several threads at once.

#ifndef CBLOCKS_H
#define CBLOCKS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// The numbers that GGUF gives to the element types that can be expanded.
enum {
    BLOCKS_F32 = 0,
    BLOCKS_F16 = 1,
    BLOCKS_Q4_0 = 2,
    BLOCKS_Q4_1 = 3,
    BLOCKS_Q5_0 = 6,
    BLOCKS_Q5_1 = 7,
    BLOCKS_Q8_0 = 8,
    BLOCKS_Q2_K = 10,
    BLOCKS_Q3_K = 11,
    BLOCKS_Q4_K = 12,
    BLOCKS_Q5_K = 13,
    BLOCKS_Q6_K = 14,
    BLOCKS_BF16 = 30,
};

/// What `blocks_decode` answers.
enum {
    BLOCKS_OK = 0,
    BLOCKS_UNKNOWN_TYPE = 1,
    /// `count` is negative or no multiple of the block's elements.
    BLOCKS_BAD_COUNT = 2,
    /// This processor lacks the instructions asked for.
    BLOCKS_BAD_LEVEL = 3,
};

/// Instruction sets that the expansion is compiled for; all give the same bits.
enum {
    BLOCKS_PLAIN = 0,
    BLOCKS_AVX2 = 1,
    BLOCKS_AVX512 = 2,
};

/// Elements in one block of a type; 0 for a type that is not read.
int64_t blocks_elements(int32_t ggml_type);

/// Bytes of one block of a type; 0 for a type that is not read.
int64_t blocks_bytes(int32_t ggml_type);

/// Expands `count` elements, one row or many, into `out`. Neither pointer needs alignment beyond its element's.
int32_t blocks_decode(int32_t ggml_type, const void *blocks, int64_t count, float *out);

/// The best instruction set of this processor: what `blocks_decode` uses.
int32_t blocks_level(void);

/// `blocks_decode` with a chosen instruction set, for tests and measurements.
int32_t blocks_decode_at(int32_t level, int32_t ggml_type, const void *blocks, int64_t count, float *out);

/// The state of a running SHA-256.
typedef struct {
    uint32_t state[8];
    uint64_t length;
    uint8_t tail[64];
} blocks_sha256;

/// Starts a hash.
void blocks_sha256_begin(blocks_sha256 *hash);

/// Adds `count` bytes.
void blocks_sha256_add(blocks_sha256 *hash, const void *bytes, size_t count);

/// Ends the hash and writes its 32 bytes; `hash` must begin anew before it is used again.
void blocks_sha256_end(blocks_sha256 *hash, uint8_t *digest);

/// Exchanges two paths in one step. 0, or an `errno` (ENOSYS, EINVAL where the system cannot).
int32_t blocks_exchange(const char *one, const char *other);

#ifdef __cplusplus
}
#endif

#endif
