// Operators, found by name and called through libtorch's boxed dispatcher.
#include "Guard.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/headeronly/version.h>

#include <cstring>

static_assert(TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR == 11, "written for libtorch 2.11");

using namespace ctorch;

namespace {

at::Tensor borrow_word(int64_t word) { return borrow(reinterpret_cast<CTorchTensor>(word)); }

double double_of(int64_t bits) {
  double value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

c10::IValue read(const int64_t *&tape, const c10::Argument &argument) {
  switch (*tape++) {
    case CTORCH_NONE: return {};
    case CTORCH_TENSOR: return borrow_word(*tape++);
    case CTORCH_INT: return *tape++;
    case CTORCH_DOUBLE: return double_of(*tape++);
    case CTORCH_BOOL: return *tape++ != 0;
    case CTORCH_INTS: {
      auto count = *tape++;
      c10::IValue list(std::vector<int64_t>(tape, tape + count));
      tape += count;
      return list;
    }
    case CTORCH_DOUBLES: {
      c10::List<double> list;
      for (auto count = *tape++; count > 0; count--) list.push_back(double_of(*tape++));
      return list;
    }
    case CTORCH_TENSORS: {
      c10::List<at::Tensor> list;
      for (auto count = *tape++; count > 0; count--) list.push_back(borrow_word(*tape++));
      return list;
    }
    case CTORCH_OPTIONAL_TENSORS: {
      c10::List<std::optional<at::Tensor>> list;
      for (auto count = *tape++; count > 0; count--, tape++)
        list.push_back(*tape ? std::optional(borrow_word(*tape)) : std::nullopt);
      return list;
    }
    case CTORCH_STRING: {
      auto bytes = *tape++;
      std::string text(reinterpret_cast<const char *>(tape), bytes);
      tape += (bytes + 7) / 8;
      return text;
    }
    case CTORCH_DEVICE: {
      auto type = static_cast<c10::DeviceType>(*tape++);
      return c10::Device(type, static_cast<c10::DeviceIndex>(*tape++));
    }
    case CTORCH_DEFAULT:
      TORCH_CHECK(argument.default_value(), "'", argument.name(), "' has no default");
      return *argument.default_value();
  }
  TORCH_CHECK(false, "unknown argument tag for '", argument.name(), "'");
}

const c10::OperatorHandle &handle_of(CTorchOperator op) { return *reinterpret_cast<const c10::OperatorHandle *>(op); }

}  // namespace

CTorchStatus ctorch_find_operator(const char *name, const char *overload, CTorchOperator *out) {
  return guarded([&] {
    auto handle = c10::Dispatcher::singleton().findSchemaOrThrow(name, overload);
    *out = reinterpret_cast<CTorchOperator>(new c10::OperatorHandle(handle));
  });
}

const char *ctorch_schema(CTorchOperator op) {
  static thread_local std::string text;
  text = c10::toString(handle_of(op).schema());
  return text.c_str();
}

CTorchStatus ctorch_call(CTorchOperator op, const int64_t *tape, int64_t words,
                         CTorchTensor *results, int64_t capacity, int64_t *count) {
  return guarded([&] {
    auto &handle = handle_of(op);
    auto end = tape + words;
    torch::jit::Stack stack;
    for (auto &argument : handle.schema().arguments()) {
      if (tape < end) {
        stack.push_back(read(tape, argument));
        continue;
      }
      TORCH_CHECK(argument.default_value(), handle.operator_name(), ": no value for '", argument.name(), "'");
      stack.push_back(*argument.default_value());
    }
    TORCH_CHECK(tape == end, handle.operator_name(), ": too many arguments");
    handle.callBoxed(stack);
    *count = 0;
    auto push = [&](at::Tensor &&tensor) {
      TORCH_CHECK(*count < capacity, handle.operator_name(), ": more results than expected");
      results[(*count)++] = give(std::move(tensor));
    };
    for (auto &value : stack) {
      if (value.isTensor()) push(std::move(value).toTensor());
      else if (value.isTensorList())
        for (at::Tensor tensor : value.toTensorList()) push(std::move(tensor));
    }
  });
}
