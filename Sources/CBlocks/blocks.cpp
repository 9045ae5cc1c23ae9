// The quantised blocks of GGUF files as floats: kernels.h compiled for each instruction set, chosen at run time.

#include "include/CBlocks.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// Fused multiply-adds do no harm here. Where a sum follows a product, the scale has 11 bits, its factor at most 6 and the
// quantised number at most 5: the product is exact in a float, and only the sum rounds, as in the reference.

namespace {

constexpr int kinds = 13;
using Decoder = void (*)(const uint8_t *in, int64_t blocks, float *out);
using Decoders = Decoder[kinds];

/// A type that can be expanded; `kinds` of them, in the order of `Decoders`.
struct Layout {
    int32_t type;
    int16_t elements, bytes;
};

constexpr Layout layouts[kinds] = {
    {BLOCKS_F32, 1, 4},      {BLOCKS_F16, 1, 2},      {BLOCKS_BF16, 1, 2},     {BLOCKS_Q4_0, 32, 18},
    {BLOCKS_Q4_1, 32, 20},   {BLOCKS_Q5_0, 32, 22},   {BLOCKS_Q5_1, 32, 24},   {BLOCKS_Q8_0, 32, 34},
    {BLOCKS_Q2_K, 256, 84},  {BLOCKS_Q3_K, 256, 110}, {BLOCKS_Q4_K, 256, 144}, {BLOCKS_Q5_K, 256, 176},
    {BLOCKS_Q6_K, 256, 210},
};

int kind_of(int32_t type) {
    for (int kind = 0; kind < kinds; kind++) {
        if (layouts[kind].type == type) return kind;
    }
    return -1;
}

inline float float_of(uint32_t bits) {
    float value;
    __builtin_memcpy(&value, &bits, sizeof value);
    return value;
}

inline uint32_t bits_of(float value) {
    uint32_t bits;
    __builtin_memcpy(&bits, &value, sizeof bits);
    return bits;
}

#define BLOCKS_HAS_F16C 0
namespace plain {
#include "kernels.h"
}
#undef BLOCKS_HAS_F16C

#if defined(__x86_64__)
#define BLOCKS_HAS_F16C 1

#pragma clang attribute push(__attribute__((target("avx2,f16c"))), apply_to = function)
namespace avx2 {
#include "kernels.h"
}
#pragma clang attribute pop

#pragma clang attribute push(__attribute__((target("avx2,f16c,avx512f,avx512bw,avx512dq,avx512vl"))), \
                             apply_to = function)
namespace avx512 {
#include "kernels.h"
}
#pragma clang attribute pop

#undef BLOCKS_HAS_F16C
#endif

int32_t best_level() {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("f16c")) return BLOCKS_PLAIN;
    const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
                      && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    return wide ? BLOCKS_AVX512 : BLOCKS_AVX2;
#else
    return BLOCKS_PLAIN;
#endif
}

const Decoders &decoders_of(int32_t level) {
#if defined(__x86_64__)
    if (level == BLOCKS_AVX512) return avx512::decoders;
    if (level == BLOCKS_AVX2) return avx2::decoders;
#endif
    return plain::decoders;
}

}  // namespace

int64_t blocks_elements(int32_t ggml_type) {
    const int kind = kind_of(ggml_type);
    return kind < 0 ? 0 : layouts[kind].elements;
}

int64_t blocks_bytes(int32_t ggml_type) {
    const int kind = kind_of(ggml_type);
    return kind < 0 ? 0 : layouts[kind].bytes;
}

int32_t blocks_level(void) {
    static const int32_t level = best_level();
    return level;
}

int32_t blocks_decode(int32_t ggml_type, const void *blocks, int64_t count, float *out) {
    return blocks_decode_at(blocks_level(), ggml_type, blocks, count, out);
}

int32_t blocks_decode_at(int32_t level, int32_t ggml_type, const void *blocks, int64_t count, float *out) {
    if (level < BLOCKS_PLAIN || level > blocks_level()) return BLOCKS_BAD_LEVEL;
    const int kind = kind_of(ggml_type);
    if (kind < 0) return BLOCKS_UNKNOWN_TYPE;
    const int64_t elements = layouts[kind].elements;
    if (count < 0 || count % elements != 0) return BLOCKS_BAD_COUNT;
    if (count > 0) decoders_of(level)[kind](static_cast<const uint8_t *>(blocks), count / elements, out);
    return BLOCKS_OK;
}
