// Threads, devices and memory.
#include "Guard.h"

#include <ATen/Parallel.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/headeronly/version.h>

#include <dlfcn.h>

using namespace ctorch;

const char *ctorch_version(void) { return TORCH_VERSION; }
void ctorch_set_threads(int32_t count) { at::set_num_threads(count); }
int32_t ctorch_threads(void) { return at::get_num_threads(); }

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
