// Expansion of quantised blocks into floats, included once per instruction set by blocks.cpp, inside a namespace.
// Layouts: ggml-common.h and gguf-py/gguf/quants.py of https://github.com/ggml-org/llama.cpp ; the products and sums
// are formed in the order of quants.py, so that the results are equal bit for bit.
//
// No include guard: this file is meant to be included several times.

typedef uint8_t Bytes __attribute__((vector_size(16)));
typedef int8_t SignedBytes __attribute__((vector_size(16)));
typedef uint16_t Words __attribute__((vector_size(32)));
typedef uint32_t Bits __attribute__((vector_size(64)));
typedef float Floats __attribute__((vector_size(64)));

#define INLINE static inline __attribute__((always_inline))

INLINE uint16_t word_at(const uint8_t *p) {
    uint16_t word;
    __builtin_memcpy(&word, p, sizeof word);
    return word;
}

INLINE Bytes bytes_at(const uint8_t *p) {
    Bytes bytes;
    __builtin_memcpy(&bytes, p, sizeof bytes);
    return bytes;
}

INLINE void store(const Floats &values, float *out) { __builtin_memcpy(out, &values, sizeof values); }

/// A half-precision number; exact, also for subnormal ones and in threads that flush subnormal floats to zero.
INLINE float half_bits(uint16_t h) {
    const uint32_t shifted = static_cast<uint32_t>(h) << 16;
    const uint32_t twice = shifted + shifted;
    const uint32_t sign = shifted & 0x80000000u;
    // A normal number: its exponent is moved up by 224, then the product with 2^-112 brings it into place.
    const float normal = float_of((twice >> 4) + (0xE0u << 23)) * 0x1.0p-112f;
    // A subnormal one: the bits become the fraction of a number in [0.5, 1), from which 0.5 is taken away.
    const float subnormal = float_of((twice >> 17) | (126u << 23)) - 0.5f;
    const float magnitude = twice < (1u << 27) ? subnormal : normal;
    return float_of(sign | bits_of(magnitude));
}

#if BLOCKS_HAS_F16C
INLINE float half_at(const uint8_t *p) { return _cvtsh_ss(word_at(p)); }
#else
INLINE float half_at(const uint8_t *p) { return half_bits(word_at(p)); }
#endif

/// Writes `q · d` for 16 unsigned numbers.
INLINE void scaled(Bytes q, float d, float *out) { store(__builtin_convertvector(q, Floats) * d, out); }

/// Writes `q · d` for 16 signed numbers.
INLINE void scaled(SignedBytes q, float d, float *out) { store(__builtin_convertvector(q, Floats) * d, out); }

/// Writes `q · d + m`.
INLINE void raised(Bytes q, float d, float m, float *out) { store(__builtin_convertvector(q, Floats) * d + m, out); }

/// Writes `q · d − m`.
INLINE void lowered(Bytes q, float d, float m, float *out) { store(__builtin_convertvector(q, Floats) * d - m, out); }

/// 16 where the bit of that place in two bytes is set, 0 elsewhere.
INLINE Bytes fifth_bits(const uint8_t *p) {
    const uint64_t ones = 0x0101010101010101u;
    const uint64_t spread[2] = {p[0] * ones, p[1] * ones};
    const Bytes places = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    const Bytes picked = bytes_at(reinterpret_cast<const uint8_t *>(spread)) & places;
    return reinterpret_cast<Bytes>(picked != 0) & 16;
}

static void decode_f32(const uint8_t *in, int64_t blocks, float *out) {
    __builtin_memcpy(out, in, static_cast<size_t>(blocks) * sizeof(float));
}

static void decode_f16(const uint8_t *in, int64_t blocks, float *out) {
    int64_t i = 0;
#if BLOCKS_HAS_F16C
    for (; i + 8 <= blocks; i += 8) {
        const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i *>(in + 2 * i));
        _mm256_storeu_ps(out + i, _mm256_cvtph_ps(halves));
    }
#endif
    for (; i < blocks; i++) out[i] = half_at(in + 2 * i);
}

static void decode_bf16(const uint8_t *in, int64_t blocks, float *out) {
    int64_t i = 0;
    for (; i + 16 <= blocks; i += 16) {
        Words words;
        __builtin_memcpy(&words, in + 2 * i, sizeof words);
        const Bits bits = __builtin_convertvector(words, Bits) << 16;
        __builtin_memcpy(out + i, &bits, sizeof bits);
    }
    for (; i < blocks; i++) out[i] = float_of(static_cast<uint32_t>(word_at(in + 2 * i)) << 16);
}

/// { half d; 16 bytes of two 4-bit numbers }: `(q − 8) · d`.
static void decode_q4_0(const uint8_t *in, int64_t blocks, float *out) {
    for (; blocks > 0; blocks--, in += 18, out += 32) {
        const float d = half_at(in);
        const Bytes q = bytes_at(in + 2);
        scaled(reinterpret_cast<SignedBytes>(q & 15) - 8, d, out);
        scaled(reinterpret_cast<SignedBytes>(q >> 4) - 8, d, out + 16);
    }
}

/// { half d, m; 16 bytes of two 4-bit numbers }: `q · d + m`.
static void decode_q4_1(const uint8_t *in, int64_t blocks, float *out) {
    for (; blocks > 0; blocks--, in += 20, out += 32) {
        const float d = half_at(in), m = half_at(in + 2);
        const Bytes q = bytes_at(in + 4);
        raised(q & 15, d, m, out);
        raised(q >> 4, d, m, out + 16);
    }
}

/// { half d; 32 fifth bits; 16 bytes of two 4-bit numbers }: `(q − 16) · d`.
static void decode_q5_0(const uint8_t *in, int64_t blocks, float *out) {
    for (; blocks > 0; blocks--, in += 22, out += 32) {
        const float d = half_at(in);
        const Bytes q = bytes_at(in + 6);
        scaled(reinterpret_cast<SignedBytes>((q & 15) | fifth_bits(in + 2)) - 16, d, out);
        scaled(reinterpret_cast<SignedBytes>((q >> 4) | fifth_bits(in + 4)) - 16, d, out + 16);
    }
}

/// { half d, m; 32 fifth bits; 16 bytes of two 4-bit numbers }: `q · d + m`.
static void decode_q5_1(const uint8_t *in, int64_t blocks, float *out) {
    for (; blocks > 0; blocks--, in += 24, out += 32) {
        const float d = half_at(in), m = half_at(in + 2);
        const Bytes q = bytes_at(in + 8);
        raised((q & 15) | fifth_bits(in + 4), d, m, out);
        raised((q >> 4) | fifth_bits(in + 6), d, m, out + 16);
    }
}

/// { half d; 32 signed bytes }: `q · d`.
static void decode_q8_0(const uint8_t *in, int64_t blocks, float *out) {
    for (; blocks > 0; blocks--, in += 34, out += 32) {
        const float d = half_at(in);
        scaled(reinterpret_cast<SignedBytes>(bytes_at(in + 2)), d, out);
        scaled(reinterpret_cast<SignedBytes>(bytes_at(in + 18)), d, out + 16);
    }
}

/// { 16 × (4-bit scale, 4-bit minimum); 64 bytes of four 2-bit numbers; half d, dmin }: `d · s · q − dmin · m`.
static void decode_q2_k(const uint8_t *in, int64_t blocks, float *out) {
    for (; blocks > 0; blocks--, in += 84, out += 256) {
        const float d = half_at(in + 80), dmin = half_at(in + 82);
        float scales[16], minima[16];
        for (int i = 0; i < 16; i++) {
            scales[i] = d * static_cast<float>(in[i] & 15);
            minima[i] = dmin * static_cast<float>(in[i] >> 4);
        }
        for (int group = 0; group < 16; group++) {           // 16 elements each
            const Bytes q = bytes_at(in + 16 + 32 * (group / 8) + 16 * (group % 2));
            lowered((q >> (2 * (group % 8 / 2))) & 3, scales[group], minima[group], out + 16 * group);
        }
    }
}

/// { 256 third bits; 64 bytes of four 2-bit numbers; 16 6-bit scales; half d }: `d · (s − 32) · (q − 4)`.
static void decode_q3_k(const uint8_t *in, int64_t blocks, float *out) {
    for (; blocks > 0; blocks--, in += 110, out += 256) {
        const uint8_t *packed = in + 96;                     // 8 bytes of low halves, 4 bytes of high quarters
        const float d = half_at(in + 108);
        float scales[16];
        for (int i = 0; i < 16; i++) {
            const int low = (packed[i % 8] >> (4 * (i / 8))) & 15;
            const int high = (packed[8 + i % 4] >> (2 * (i / 4))) & 3;
            scales[i] = d * static_cast<float>((low | high << 4) - 32);
        }
        for (int group = 0; group < 16; group++) {
            const Bytes low = (bytes_at(in + 32 + 32 * (group / 8) + 16 * (group % 2)) >> (2 * (group % 8 / 2))) & 3;
            const Bytes high = (bytes_at(in + 16 * (group % 2)) >> (group / 2)) & 1;
            scaled(reinterpret_cast<SignedBytes>(low | high << 2) - 4, scales[group], out + 16 * group);
        }
    }
}

/// Unpacks the eight 6-bit scales and minima of Q4_K and Q5_K and multiplies them with the block's own.
INLINE void k_scales(const uint8_t *in, float *scales, float *minima) {
    const float d = half_at(in), dmin = half_at(in + 2);
    const uint8_t *low = in + 4, *high = in + 8, *rest = in + 12;
    for (int i = 0; i < 4; i++) {
        scales[i] = d * static_cast<float>(low[i] & 63);
        minima[i] = dmin * static_cast<float>(high[i] & 63);
        scales[i + 4] = d * static_cast<float>((rest[i] & 15) | ((low[i] >> 2) & 48));
        minima[i + 4] = dmin * static_cast<float>((rest[i] >> 4) | ((high[i] >> 2) & 48));
    }
}

/// { half d, dmin; 12 bytes of scales; 128 bytes of two 4-bit numbers }: `d · s · q − dmin · m`.
static void decode_q4_k(const uint8_t *in, int64_t blocks, float *out) {
    for (; blocks > 0; blocks--, in += 144, out += 256) {
        float scales[8], minima[8];
        k_scales(in, scales, minima);
        for (int pair = 0; pair < 8; pair++) {               // 16 bytes: elements of two groups
            const int group = 2 * (pair / 2);
            const Bytes q = bytes_at(in + 16 + 16 * pair);
            float *to = out + 32 * group + 16 * (pair % 2);
            lowered(q & 15, scales[group], minima[group], to);
            lowered(q >> 4, scales[group + 1], minima[group + 1], to + 32);
        }
    }
}

/// Q4_K with 32 bytes of fifth bits before the numbers.
static void decode_q5_k(const uint8_t *in, int64_t blocks, float *out) {
    for (; blocks > 0; blocks--, in += 176, out += 256) {
        float scales[8], minima[8];
        k_scales(in, scales, minima);
        for (int pair = 0; pair < 8; pair++) {
            const int group = 2 * (pair / 2);
            const Bytes q = bytes_at(in + 48 + 16 * pair);
            const Bytes fifth = bytes_at(in + 16 + 16 * (pair % 2));
            float *to = out + 32 * group + 16 * (pair % 2);
            lowered((q & 15) | ((fifth >> group & 1) << 4), scales[group], minima[group], to);
            lowered((q >> 4) | ((fifth >> (group + 1) & 1) << 4), scales[group + 1], minima[group + 1], to + 32);
        }
    }
}

/// { 128 bytes of low halves; 64 bytes of high quarters; 16 signed scales; half d }: `d · s · (q − 32)`.
static void decode_q6_k(const uint8_t *in, int64_t blocks, float *out) {
    for (; blocks > 0; blocks--, in += 210, out += 256) {
        const float d = half_at(in + 208);
        float scales[16];
        for (int i = 0; i < 16; i++) scales[i] = d * static_cast<float>(static_cast<int8_t>(in[192 + i]));
        for (int group = 0; group < 16; group++) {
            const int part = group / 8, place = group % 8;   // 128 elements a part
            const Bytes low = bytes_at(in + 64 * part + 16 * (place % 4)) >> (4 * (place / 4)) & 15;
            const Bytes high = bytes_at(in + 128 + 32 * part + 16 * (place % 2)) >> (2 * (place / 2)) & 3;
            scaled(reinterpret_cast<SignedBytes>(low | high << 4) - 32, scales[group], out + 16 * group);
        }
    }
}

static const Decoders decoders = {
    decode_f32, decode_f16, decode_bf16, decode_q4_0, decode_q4_1, decode_q5_0, decode_q5_1,
    decode_q8_0, decode_q2_k, decode_q3_k, decode_q4_k, decode_q5_k, decode_q6_k,
};

#undef INLINE
