// Loops over all threads of the pool that libtorch itself uses, and the attribute that vectorises them.
#pragma once

#include <cstdint>
#include <functional>

// One copy of the function for each of these kinds of processor, chosen when the program starts.
#if defined(__x86_64__) && defined(__linux__)
#define LORA_VECTORISED __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define LORA_VECTORISED
#endif
#define LORA_INLINE inline __attribute__((always_inline))

namespace lora {

// Calls `body(begin, end)` for parts of 0 ..< count that together cover it, at least `grain` long, at once. The parts
// depend on `count` and the number of threads alone, so results do not change from run to run.
void parallel(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)> &body);

}  // namespace lora
