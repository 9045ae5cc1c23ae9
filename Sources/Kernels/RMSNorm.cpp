// lora::rms_norm(x, weight, eps) = x / sqrt(mean(x²) + eps) · weight, with a frozen weight.
//
// Port of https://github.com/huggingface/transformers/blob/main/src/transformers/models/llama/modeling_llama.py
// (LlamaRMSNorm). Keeps x, which the residual stream holds anyway, and one number a row; one pass each way.
#include "Elements.h"
#include "Parallel.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/add.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/rsqrt.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <cmath>

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

LORA_VECTORISED
float forward_row(const float *x, const float *weight, float *y, int64_t count, float epsilon) {
#pragma clang fp reassociate(on) contract(fast)
  float squares = 0;
  for (int64_t i = 0; i < count; i++) squares += x[i] * x[i];
  float scale = 1.0f / std::sqrt(squares / static_cast<float>(count) + epsilon);
  for (int64_t i = 0; i < count; i++) y[i] = x[i] * scale * weight[i];
  return scale;
}

LORA_VECTORISED
void backward_row(const float *x, const float *weight, const float *dy, float *dx, int64_t count, float scale) {
#pragma clang fp reassociate(on) contract(fast)
  float product = 0;
  for (int64_t i = 0; i < count; i++) product += dy[i] * weight[i] * x[i];
  float mean = product * scale * scale / static_cast<float>(count);
  for (int64_t i = 0; i < count; i++) dx[i] = scale * (dy[i] * weight[i] - x[i] * mean);
}

bool is_plain(const at::Tensor &x) { return x.is_cpu() && x.scalar_type() == at::kFloat; }

struct RMSNorm : torch::autograd::Function<RMSNorm> {
  static at::Tensor forward(AutogradContext *context, const at::Tensor &input, const at::Tensor &weight, double eps) {
    auto x = input.contiguous();
    auto count = x.size(-1), rows = x.numel() / count;
    auto y = at::empty_like(x);
    auto scales = at::empty({rows}, x.options());
    auto from = lora::floats(x), factors = lora::floats(weight);
    auto to = y.mutable_data_ptr<float>(), kept = scales.mutable_data_ptr<float>();
    lora::parallel(rows, 16, [&](int64_t begin, int64_t end) {
      for (auto row = begin; row < end; row++)
        kept[row] = forward_row(from + row * count, factors, to + row * count, count, static_cast<float>(eps));
    });
    context->save_for_backward({x, weight, scales});
    return y;
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    auto saved = context->get_saved_variables();
    auto &x = saved[0];
    auto dy = gradients[0].contiguous();
    auto dx = at::empty_like(x);
    auto count = x.size(-1);
    auto from = lora::floats(x), factors = lora::floats(saved[1]);
    auto scales = lora::floats(saved[2]), incoming = lora::floats(dy);
    auto to = dx.mutable_data_ptr<float>();
    lora::parallel(x.numel() / count, 16, [&](int64_t begin, int64_t end) {
      for (auto row = begin; row < end; row++) {
        auto at = row * count;
        backward_row(from + at, factors, incoming + at, to + at, count, scales[row]);
      }
    });
    return {dx, {}, {}};
  }
};

// Other devices and types: libtorch's own operators, with the statistics in fp32 as the reference has them.
at::Tensor composed(const at::Tensor &x, const at::Tensor &weight, double eps) {
  auto wide = x.to(at::kFloat);
  auto scale = at::rsqrt(wide.square().mean(at::IntArrayRef{-1}, true) + eps);
  return weight.to(x.scalar_type()) * (wide * scale).to(x.scalar_type());
}

at::Tensor rms_norm(const at::Tensor &x, const at::Tensor &weight, double eps) {
  TORCH_CHECK(x.dim() > 0 && weight.dim() == 1 && weight.size(0) == x.size(-1), "rms_norm: x ", x.sizes(),
              " with weight ", weight.sizes());
  if (!is_plain(x) || x.numel() == 0) return composed(x, weight, eps);
  return RMSNorm::apply(x, weight.to(at::kFloat).contiguous(), eps);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(lora, library) { library.def("rms_norm(Tensor x, Tensor weight, float eps) -> Tensor"); }
TORCH_LIBRARY_IMPL(lora, Autograd, library) { library.impl("rms_norm", rms_norm); }
