// Expanding stored weights, whole, by rows, and as an embedding.
#include "Weight.h"

#include "CBlocks.h"
#include "Elements.h"
#include "Parallel.h"

#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

namespace lora {
namespace {

int64_t row_bytes(const Weight &weight, int64_t inputs) {
  auto type = static_cast<int32_t>(weight.type);
  return inputs / blocks_elements(type) * blocks_bytes(type);
}

}  // namespace

void check(const Weight &weight, int64_t inputs) {
  auto rows = weight.outputs, head = weight.head;
  TORCH_CHECK(rows >= 0 && inputs > 0, "a weight of ", rows, " rows and ", inputs, " columns");
  if (!weight.is_packed()) {
    TORCH_CHECK(weight.data.sizes() == at::IntArrayRef({rows, inputs}) && head == 0, "expected a dense weight of [",
                rows, ", ", inputs, "], rows in order, got ", weight.data.sizes(), " with heads of ", head);
    return;
  }
  auto elements = weight.type < 256 ? blocks_elements(static_cast<int32_t>(weight.type)) : 0;
  TORCH_CHECK(elements > 0, "element type ", weight.type, " cannot be expanded");
  TORCH_CHECK(inputs % elements == 0, inputs, " columns are no whole number of blocks of ", elements);
  TORCH_CHECK(weight.data.is_cpu() && weight.data.is_contiguous() && weight.data.element_size() == 1,
              "packed weights are bytes in the CPU's memory");
  int64_t bytes = 0;
  auto overflows = __builtin_mul_overflow(row_bytes(weight, elements), inputs / elements, &bytes) ||
                   __builtin_mul_overflow(bytes, rows, &bytes);
  TORCH_CHECK(!overflows && weight.data.numel() == bytes, "expected ", overflows ? -1 : bytes, " bytes for ", rows,
              " rows, got ", weight.data.numel());
  TORCH_CHECK(head >= 0 && head % 2 == 0 && (head == 0 || rows % head == 0), rows,
              " rows are no whole number of interleaved heads of ", head);
}

void expand_part(const Weight &weight, int64_t inputs, int64_t begin, int64_t end, float *out) {
  auto bytes = row_bytes(weight, inputs);
  auto from = static_cast<const uint8_t *>(weight.data.const_data_ptr());
  auto type = static_cast<int32_t>(weight.type);
  if (weight.head == 0) {
    blocks_decode(type, from + begin * bytes, (end - begin) * inputs, out);
    return;
  }
  for (auto row = begin; row < end; row++)
    blocks_decode(type, from + stored_row(row, weight.head) * bytes, inputs, out + (row - begin) * inputs);
}

void expand_rows(const Weight &weight, int64_t inputs, int64_t begin, int64_t end, float *out) {
  auto grain = std::max<int64_t>(1, 65536 / inputs);
  parallel(end - begin, grain, [&](int64_t first, int64_t last) {
    expand_part(weight, inputs, begin + first, begin + last, out + first * inputs);
  });
}

at::Tensor scratch(int64_t rows, int64_t columns) {
  static thread_local at::Tensor memory;
  auto needed = rows * columns;
  if (!memory.defined() || memory.numel() < needed) {
    memory.reset();
    memory = at::empty({needed}, at::TensorOptions().dtype(at::kFloat));
  }
  return memory.narrow(0, 0, needed).view({rows, columns});
}

at::Tensor dense(const Weight &weight, int64_t inputs, at::ScalarType dtype) {
  check(weight, inputs);
  if (!weight.is_packed()) return weight.data.to(dtype);
  auto out = at::empty({weight.outputs, inputs}, at::TensorOptions().dtype(at::kFloat));
  expand_rows(weight, inputs, 0, weight.outputs, out.mutable_data_ptr<float>());
  return out.to(dtype);
}

namespace {

at::Tensor expand(const at::Tensor &data, int64_t type, int64_t outputs, int64_t inputs, int64_t head) {
  return dense({data, type, outputs, head}, inputs, at::kFloat);
}

// The rows that `ids` name, as fp32: (…, inputs).
at::Tensor embedding(const at::Tensor &ids, const at::Tensor &data, int64_t type, int64_t outputs, int64_t inputs) {
  Weight weight{data, type, outputs, 0};
  check(weight, inputs);
  if (!weight.is_packed()) return at::embedding(data, ids);
  auto bytes = row_bytes(weight, inputs);
  auto sizes = ids.sizes().vec();
  sizes.push_back(inputs);
  auto out = at::empty(sizes, at::TensorOptions().dtype(at::kFloat));
  auto flat = ids.to(at::kCPU, at::kLong).contiguous();
  auto rows = lora::integers(flat);
  auto from = static_cast<const uint8_t *>(data.const_data_ptr());
  auto to = out.mutable_data_ptr<float>();
  for (int64_t i = 0; i < flat.numel(); i++) {
    TORCH_CHECK(rows[i] >= 0 && rows[i] < outputs, "token ", rows[i], " is outside the vocabulary of ", outputs);
    blocks_decode(static_cast<int32_t>(type), from + rows[i] * bytes, inputs, to + i * inputs);
  }
  return out;
}

}  // namespace
}  // namespace lora

TORCH_LIBRARY_FRAGMENT(lora, library) {
  library.def("expand(Tensor data, int type, int outputs, int inputs, int head) -> Tensor", &lora::expand);
  library.def("embedding(Tensor ids, Tensor data, int type, int outputs, int inputs) -> Tensor", &lora::embedding);
}
