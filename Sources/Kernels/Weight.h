// A frozen weight as it is stored: a dense matrix, or quantised blocks that are expanded when they are used.
#pragma once

#include <ATen/core/Tensor.h>

namespace lora {

struct Weight {
  at::Tensor data;  // (outputs, inputs); or bytes, where `type` is set
  int64_t type;     // GGUF's number of the element type, or -1: dense
  int64_t outputs;
  int64_t head;     // rows of a head in GGUF's order of query and key weights, or 0: the rows are in order

  bool is_packed() const { return type >= 0; }
};

// Where row `row` of Hugging Face's order is found in GGUF's, whose converter interleaves the halves of each head
// (https://github.com/ggml-org/llama.cpp/blob/master/convert_hf_to_gguf.py, LlamaModel.permute).
inline int64_t stored_row(int64_t row, int64_t head) {
  if (head == 0) return row;
  auto within = row % head, half = head / 2;
  return row - within + 2 * (within % half) + within / half;
}

// Throws unless the stored elements, their order and `inputs` columns agree; what follows relies on it.
void check(const Weight &weight, int64_t inputs);

// Expands rows `begin` ..< `end` of a packed weight with `inputs` columns to fp32, on all threads.
void expand_rows(const Weight &weight, int64_t inputs, int64_t begin, int64_t end, float *out);

// The same on this thread alone.
void expand_part(const Weight &weight, int64_t inputs, int64_t begin, int64_t end, float *out);

// The whole weight as a dense matrix of `dtype`: the stored one where it fits, an expanded copy otherwise.
at::Tensor dense(const Weight &weight, int64_t inputs, at::ScalarType dtype);

// Memory for expanded weights, used again by every call on this thread: (rows, columns) of fp32, contents undefined.
// A later call on the same thread reuses the memory, so the result must not be kept.
at::Tensor scratch(int64_t rows, int64_t columns);

}  // namespace lora
