// A tensor's elements for reading. libtorch's typed accessor is compiled under a name that clang and gcc spell
// differently, so the untyped one is used.
#pragma once

#include <ATen/core/Tensor.h>

namespace lora {

inline const float *floats(const at::Tensor &x) { return static_cast<const float *>(x.const_data_ptr()); }
inline const int64_t *integers(const at::Tensor &x) { return static_cast<const int64_t *>(x.const_data_ptr()); }

}  // namespace lora
