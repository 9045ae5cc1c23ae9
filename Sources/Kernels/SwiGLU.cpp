// lora::swiglu(x) = silu(gate) · up, where x = [gate, up] along the last dimension.
//
// Port of https://github.com/huggingface/transformers/blob/main/src/transformers/models/llama/modeling_llama.py
// (LlamaMLP's inner product). Keeps x alone; one pass each way.
#include "Elements.h"
#include "VectorMath.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/silu.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

LORA_VECTORISED
void forward_row(const float *gate, const float *up, float *y, int64_t count) {
#pragma clang fp contract(fast)
  for (int64_t i = 0; i < count; i++) y[i] = gate[i] * lora::sigmoid(gate[i]) * up[i];
}

LORA_VECTORISED
void backward_row(const float *gate, const float *up, const float *dy, float *dgate, float *dup, int64_t count) {
#pragma clang fp contract(fast)
  for (int64_t i = 0; i < count; i++) {
    float s = lora::sigmoid(gate[i]);
    dgate[i] = dy[i] * up[i] * s * (1.0f + gate[i] * (1.0f - s));
    dup[i] = dy[i] * gate[i] * s;
  }
}

struct SwiGLU : torch::autograd::Function<SwiGLU> {
  static at::Tensor forward(AutogradContext *context, const at::Tensor &input) {
    auto x = input.contiguous();
    auto count = x.size(-1) / 2;
    auto sizes = x.sizes().vec();
    sizes.back() = count;
    auto y = at::empty(sizes, x.options());
    auto from = lora::floats(x);
    auto to = y.mutable_data_ptr<float>();
    lora::parallel(x.numel() / (2 * count), 8, [&](int64_t begin, int64_t end) {
      for (auto row = begin; row < end; row++) {
        auto gate = from + 2 * row * count;
        forward_row(gate, gate + count, to + row * count, count);
      }
    });
    context->save_for_backward({x});
    return y;
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    auto x = context->get_saved_variables()[0];
    auto dy = gradients[0].contiguous();
    auto dx = at::empty_like(x);
    auto count = x.size(-1) / 2;
    auto from = lora::floats(x), incoming = lora::floats(dy);
    auto to = dx.mutable_data_ptr<float>();
    lora::parallel(x.numel() / (2 * count), 8, [&](int64_t begin, int64_t end) {
      for (auto row = begin; row < end; row++) {
        auto gate = from + 2 * row * count;
        auto out = to + 2 * row * count;
        backward_row(gate, gate + count, incoming + row * count, out, out + count, count);
      }
    });
    return {dx};
  }
};

at::Tensor swiglu(const at::Tensor &x) {
  TORCH_CHECK(x.dim() > 0 && x.size(-1) % 2 == 0, "swiglu: the last dimension of ", x.sizes(), " is not even");
  if (x.is_cpu() && x.scalar_type() == at::kFloat && x.numel() > 0) return SwiGLU::apply(x);
  auto count = x.size(-1) / 2;
  return at::silu(x.narrow(-1, 0, count)) * x.narrow(-1, count, count);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(lora, library) { library.def("swiglu(Tensor x) -> Tensor"); }
TORCH_LIBRARY_IMPL(lora, Autograd, library) { library.impl("swiglu", swiglu); }
