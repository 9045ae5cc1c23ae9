// What every function of the door shares: errors caught, handles borrowed and given.
#pragma once

#include "CTorch.h"

#include <ATen/core/Tensor.h>

#include <new>
#include <string>

namespace ctorch {

inline thread_local std::string last_error;

// A failed allocation of the CPU's allocator is a plain error with this text.
inline bool tells_of_memory(const std::string &text) {
  return text.find("can't allocate memory") != std::string::npos || text.find("out of memory") != std::string::npos;
}

template <class Body>
CTorchStatus guarded(Body &&body) noexcept {
  try {
    body();
    return CTORCH_OK;
  } catch (const c10::OutOfMemoryError &error) {
    last_error = error.what_without_backtrace();
    return CTORCH_OUT_OF_MEMORY;
  } catch (const c10::Error &error) {
    last_error = error.what_without_backtrace();
  } catch (const std::bad_alloc &) {
    last_error = "out of memory";
  } catch (const std::exception &error) {
    last_error = error.what();
  } catch (...) {
    last_error = "unknown C++ exception";
  }
  return tells_of_memory(last_error) ? CTORCH_OUT_OF_MEMORY : CTORCH_FAILED;
}

// A handle is the TensorImpl itself, so ARC owns one intrusive reference and nothing is boxed.
inline at::Tensor borrow(CTorchTensor tensor) {
  using Impl = c10::intrusive_ptr<c10::TensorImpl, c10::UndefinedTensorImpl>;
  return at::Tensor(Impl::reclaim_copy(reinterpret_cast<c10::TensorImpl *>(tensor)));
}
inline CTorchTensor give(at::Tensor &&tensor) {
  if (!tensor.defined()) return nullptr;  // the shared singleton must never be released
  return reinterpret_cast<CTorchTensor>(tensor.unsafeReleaseTensorImpl());
}

}  // namespace ctorch
