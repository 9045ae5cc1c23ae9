// lora::attention(q, k, v, lengths): causal attention within each of several sequences that lie end to end.
//
// q (T, H, D); k and v (T, K, D), each key-value head serving H / K query heads; the lengths add up to T. Uses
// libtorch's flash attention for each sequence, so that no padding is computed and no T × T matrix is kept.
#include <ATen/core/Tensor.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu_backward.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <numeric>

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// (T, heads, D) → (1, heads, length, D), a view.
at::Tensor part(const at::Tensor &x, int64_t start, int64_t length) {
  return x.narrow(0, start, length).transpose(0, 1).unsqueeze(0);
}

// libtorch's flash attention takes the elements of a head to lie side by side, without looking.
at::Tensor straight(const at::Tensor &x) { return x.stride(2) == 1 ? x : x.contiguous(); }

struct Attention : torch::autograd::Function<Attention> {
  static at::Tensor forward(AutogradContext *context, const at::Tensor &q, const at::Tensor &k, const at::Tensor &v,
                            const std::vector<int64_t> &lengths) {
    auto y = at::empty_like(q, at::MemoryFormat::Contiguous);
    // v is often a view of a wider product, which would be kept whole with it.
    auto values = v.contiguous();
    variable_list saved = {q, k, values, y};
    int64_t start = 0;
    for (auto length : lengths) {
      auto [out, logsumexp] = at::_scaled_dot_product_flash_attention_for_cpu(
          part(q, start, length), part(k, start, length), part(values, start, length), 0.0, true);
      part(y, start, length).copy_(out);
      saved.push_back(logsumexp);
      start += length;
    }
    context->save_for_backward(saved);
    context->saved_data["lengths"] = lengths;
    return y;
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    auto saved = context->get_saved_variables();
    auto &q = saved[0], &k = saved[1], &v = saved[2], &y = saved[3];
    auto dy = straight(gradients[0]);
    auto dq = at::empty_like(q), dk = at::empty_like(k), dv = at::empty_like(v);
    auto lengths = context->saved_data["lengths"].toIntVector();
    int64_t start = 0;
    for (size_t i = 0; i < lengths.size(); i++) {
      auto length = lengths[i];
      auto [a, b, c] = at::_scaled_dot_product_flash_attention_for_cpu_backward(
          part(dy, start, length), part(q, start, length), part(k, start, length), part(v, start, length),
          part(y, start, length), saved[4 + i], 0.0, true);
      part(dq, start, length).copy_(a);
      part(dk, start, length).copy_(b);
      part(dv, start, length).copy_(c);
      start += length;
    }
    return {dq, dk, dv, {}};
  }
};

at::Tensor composed(const at::Tensor &q, const at::Tensor &k, const at::Tensor &v, at::IntArrayRef lengths) {
  std::vector<at::Tensor> parts;
  int64_t start = 0;
  for (auto length : lengths) {
    auto y = at::scaled_dot_product_attention(part(q, start, length), part(k, start, length), part(v, start, length),
                                              {}, 0.0, true, std::nullopt, true);
    parts.push_back(y.squeeze(0).transpose(0, 1));
    start += length;
  }
  return parts.empty() ? at::zeros_like(q) : parts.size() == 1 ? parts[0] : at::cat(parts);
}

at::Tensor attention(const at::Tensor &q, const at::Tensor &k, const at::Tensor &v, at::IntArrayRef lengths) {
  TORCH_CHECK(q.dim() == 3 && k.dim() == 3 && k.sizes() == v.sizes() && q.size(2) == k.size(2) &&
              q.size(2) > 0 && q.size(0) == k.size(0) && k.size(1) > 0 && q.size(1) % k.size(1) == 0,
              "attention: q ", q.sizes(), ", k ", k.sizes(), ", v ", v.sizes());
  std::vector<int64_t> parts;  // flash attention divides by the length
  for (auto length : lengths) {
    TORCH_CHECK(length >= 0 && length <= q.size(0), "attention: lengths ", lengths, " of ", q.size(0), " tokens");
    if (length > 0) parts.push_back(length);
  }
  auto total = std::accumulate(lengths.begin(), lengths.end(), int64_t{0});
  TORCH_CHECK(total == q.size(0), "attention: lengths add up to ", total, ", not to ", q.size(0));
  if (!q.is_cpu()) return composed(q, k, v, parts);
  return Attention::apply(straight(q), straight(k), straight(v), parts);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(lora, library) {
  library.def("attention(Tensor q, Tensor k, Tensor v, int[] lengths) -> Tensor");
}
TORCH_LIBRARY_IMPL(lora, Autograd, library) { library.impl("attention", attention); }
