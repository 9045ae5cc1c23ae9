// Handles and what can be asked of a tensor.
#include "Guard.h"

#include <ATen/ops/from_blob.h>

#include <memory>

using namespace ctorch;

namespace {
c10::TensorImpl *impl(CTorchTensor tensor) { return reinterpret_cast<c10::TensorImpl *>(tensor); }
}  // namespace

const char *ctorch_last_error(void) { return last_error.c_str(); }
void ctorch_set_last_error(const char *message) { last_error = message; }

CTorchTensor ctorch_retain(CTorchTensor tensor) {
  c10::raw::intrusive_ptr::incref(impl(tensor));
  return tensor;
}
void ctorch_release(CTorchTensor tensor) { c10::raw::intrusive_ptr::decref(impl(tensor)); }

int64_t ctorch_rank(CTorchTensor tensor) { return impl(tensor)->dim(); }
const int64_t *ctorch_shape(CTorchTensor tensor) { return impl(tensor)->sizes().data(); }
int32_t ctorch_dtype(CTorchTensor tensor) {
  return static_cast<int32_t>(c10::typeMetaToScalarType(impl(tensor)->dtype()));
}
void ctorch_device(CTorchTensor tensor, int32_t *type, int32_t *index) {
  auto device = impl(tensor)->device();
  *type = static_cast<int32_t>(device.type());
  *index = device.index();
}
CTorchStatus ctorch_data(CTorchTensor tensor, void **out) {
  return guarded([&] {
    auto borrowed = borrow(tensor);
    TORCH_CHECK(borrowed.is_cpu() && borrowed.is_contiguous(), "not a contiguous CPU tensor");
    *out = borrowed.data_ptr();
  });
}
CTorchStatus ctorch_from_blob(void *data, const int64_t *shape, int64_t rank, int32_t dtype,
                              void (*release)(void *context), void *context, CTorchTensor *out) {
  return guarded([&] {
    std::shared_ptr<void> owner(context, release);  // whether from_blob throws before or after it takes the deleter
    auto options = at::TensorOptions().dtype(static_cast<c10::ScalarType>(dtype));
    *out = give(at::from_blob(data, at::IntArrayRef(shape, rank), [owner](void *) {}, options));
  });
}
