// Threads, devices and memory.
#include "Guard.h"

#include <ATen/Parallel.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/headeronly/version.h>

#include <dlfcn.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

using namespace ctorch;

const char *ctorch_version(void) { return TORCH_VERSION; }
void ctorch_set_threads(int32_t count) { at::set_num_threads(count); }
int32_t ctorch_threads(void) { return at::get_num_threads(); }

// Each step allocates what the step before it freed. Given back to the system in between, every page of it is cleared
// and mapped anew; 32 MiB is the largest threshold that glibc takes.
void ctorch_keep_memory(void) {
#if defined(__GLIBC__)
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 16 << 20);
#endif
}

CTorchStatus ctorch_load_cuda(const char *library) {
  return guarded([&] {
    if (dlopen(library, RTLD_NOW | RTLD_GLOBAL)) return;
    TORCH_CHECK(false, dlerror());
  });
}

int32_t ctorch_device_count(int32_t type) {
  int32_t count = 0;
  guarded([&] {
    auto kind = static_cast<c10::DeviceType>(type);
    if (c10::impl::hasDeviceGuardImpl(kind)) count = c10::impl::getDeviceGuardImpl(kind)->deviceCount();
  });
  return count;
}

CTorchStatus ctorch_device_memory(int32_t type, int32_t index, int64_t *now, int64_t *peak) {
  return guarded([&] {
    *now = *peak = 0;
    auto kind = static_cast<c10::DeviceType>(type);
    if (kind == c10::DeviceType::CPU) return;
    auto statistics = at::getDeviceAllocator(kind)->getDeviceStats(static_cast<c10::DeviceIndex>(index));
    auto &all = statistics.allocated_bytes[static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE)];
    *now = all.current;
    *peak = all.peak;
  });
}
