// SHA-256 (FIPS 180-4), with the processor's own instructions where it has them.

#include "include/CBlocks.h"

#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace {

alignas(16) constexpr uint32_t constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

inline uint32_t rotated(uint32_t x, int by) { return (x >> by) | (x << (32 - by)); }

inline uint32_t big_endian(const uint8_t *p) {
    uint32_t word;
    memcpy(&word, p, sizeof word);
    return __builtin_bswap32(word);
}

void add_blocks_plain(uint32_t *state, const uint8_t *p, size_t blocks) {
    for (; blocks > 0; blocks--, p += 64) {
        uint32_t w[64], v[8];
        for (int i = 0; i < 16; i++) w[i] = big_endian(p + 4 * i);
        for (int i = 16; i < 64; i++) {
            const uint32_t s0 = rotated(w[i - 15], 7) ^ rotated(w[i - 15], 18) ^ (w[i - 15] >> 3);
            const uint32_t s1 = rotated(w[i - 2], 17) ^ rotated(w[i - 2], 19) ^ (w[i - 2] >> 10);
            w[i] = w[i - 16] + s0 + w[i - 7] + s1;
        }
        memcpy(v, state, sizeof v);
        for (int i = 0; i < 64; i++) {
            const uint32_t s1 = rotated(v[4], 6) ^ rotated(v[4], 11) ^ rotated(v[4], 25);
            const uint32_t choice = (v[4] & v[5]) ^ (~v[4] & v[6]);
            const uint32_t one = v[7] + s1 + choice + constants[i] + w[i];
            const uint32_t s0 = rotated(v[0], 2) ^ rotated(v[0], 13) ^ rotated(v[0], 22);
            const uint32_t two = s0 + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
            memmove(v + 1, v, 7 * sizeof v[0]);
            v[4] += one;
            v[0] = one + two;
        }
        for (int i = 0; i < 8; i++) state[i] += v[i];
    }
}

#if defined(__x86_64__)
/// Two registers hold the state as the instructions want it: (a b e f) and (c d g h), the first in the highest lane.
__attribute__((target("sha,sse4.1"))) void add_blocks_sha(uint32_t *state, const uint8_t *p, size_t blocks) {
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    const __m128i dcba = _mm_loadu_si128(reinterpret_cast<const __m128i *>(state));
    const __m128i hgfe = _mm_loadu_si128(reinterpret_cast<const __m128i *>(state + 4));
    const __m128i badc = _mm_shuffle_epi32(dcba, 0xB1);
    const __m128i efgh = _mm_shuffle_epi32(hgfe, 0x1B);
    __m128i abef = _mm_alignr_epi8(badc, efgh, 8);
    __m128i cdgh = _mm_blend_epi16(efgh, badc, 0xF0);
    for (; blocks > 0; blocks--, p += 64) {
        const __m128i abef_before = abef, cdgh_before = cdgh;
        __m128i w[4];
        for (int i = 0; i < 4; i++) {
            w[i] = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i *>(p + 16 * i)), swap);
        }
#pragma clang loop unroll(full)
        for (int i = 0; i < 16; i++) {                       // four rounds each
            if (i >= 4) {
                const __m128i last = w[(i + 3) % 4];
                const __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(w[i % 4], w[(i + 1) % 4]),
                                                  _mm_alignr_epi8(last, w[(i + 2) % 4], 4));
                w[i % 4] = _mm_sha256msg2_epu32(sum, last);
            }
            const __m128i k = _mm_load_si128(reinterpret_cast<const __m128i *>(constants + 4 * i));
            const __m128i wk = _mm_add_epi32(w[i % 4], k);
            cdgh = _mm_sha256rnds2_epu32(cdgh, abef, wk);
            abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(wk, 0x0E));
        }
        abef = _mm_add_epi32(abef, abef_before);
        cdgh = _mm_add_epi32(cdgh, cdgh_before);
    }
    const __m128i feba = _mm_shuffle_epi32(abef, 0x1B);
    const __m128i dchg = _mm_shuffle_epi32(cdgh, 0xB1);
    _mm_storeu_si128(reinterpret_cast<__m128i *>(state), _mm_blend_epi16(feba, dchg, 0xF0));
    _mm_storeu_si128(reinterpret_cast<__m128i *>(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

/// Whether CPUID says that the SHA instructions are there (leaf 7, bit 29 of EBX) and SSE4.1 (leaf 1, bit 19 of ECX).
bool has_sha() {
    uint32_t a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b >> 29 & 1) != 0 && __builtin_cpu_supports("sse4.1");
}
#endif

void add_blocks(uint32_t *state, const uint8_t *p, size_t blocks) {
#if defined(__x86_64__)
    static const bool fast = has_sha();
    if (fast) return add_blocks_sha(state, p, blocks);
#endif
    add_blocks_plain(state, p, blocks);
}

}  // namespace

void blocks_sha256_begin(blocks_sha256 *hash) {
    const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                               0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    memset(hash, 0, sizeof *hash);
    memcpy(hash->state, start, sizeof start);
}

void blocks_sha256_add(blocks_sha256 *hash, const void *bytes, size_t count) {
    const uint8_t *p = static_cast<const uint8_t *>(bytes);
    const size_t held = hash->length % 64;
    hash->length += count;
    if (held > 0) {
        const size_t taken = count < 64 - held ? count : 64 - held;
        if (taken > 0) memcpy(hash->tail + held, p, taken);
        if (held + taken < 64) return;
        add_blocks(hash->state, hash->tail, 1);
        p += taken;
        count -= taken;
    }
    add_blocks(hash->state, p, count / 64);
    if (count % 64 > 0) memcpy(hash->tail, p + count / 64 * 64, count % 64);
}

void blocks_sha256_end(blocks_sha256 *hash, uint8_t *digest) {
    const uint64_t bits = hash->length * 8;
    uint8_t padding[72] = {0x80};
    const size_t zeros = (119 - hash->length % 64) % 64;     // between the 0x80 and the length
    for (int i = 0; i < 8; i++) padding[1 + zeros + i] = static_cast<uint8_t>(bits >> (56 - 8 * i));
    blocks_sha256_add(hash, padding, 1 + zeros + 8);
    for (int i = 0; i < 32; i++) digest[i] = static_cast<uint8_t>(hash->state[i / 4] >> (24 - 8 * (i % 4)));
}
