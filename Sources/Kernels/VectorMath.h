// Functions of one number that compilers turn into vector code.
#pragma once

#include "Parallel.h"

#include <cstring>

namespace lora {

// e^x to within two units in the last place; 1.6e-38 below -87, finite above 88. Cephes' polynomial.
LORA_INLINE float exponential(float x) {
  x = x < -87.0f ? -87.0f : x > 88.0f ? 88.0f : x;
  float shifted = x * 1.44269504088896341f + 12582912.0f;  // the rounded exponent, in the lowest bits
  int32_t bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  float n = shifted - 12582912.0f;
  float r = x - n * 0.693359375f + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  uint32_t scale = (static_cast<uint32_t>(bits) - 0x4B400000u + 127u) << 23;
  float power;
  std::memcpy(&power, &scale, sizeof power);
  return p * power;
}

LORA_INLINE float sigmoid(float x) { return 1.0f / (1.0f + exponential(-x)); }

}  // namespace lora
