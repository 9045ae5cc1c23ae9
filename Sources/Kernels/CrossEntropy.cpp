// lora::cross_entropy: the loss of a frozen language-model head, summed over the supervised positions.
//
//   Σ over t with labels[t] ≥ 0 of  -log softmax(x[t] Wᵀ)[labels[t]]
//
// Only supervised rows are computed, in chunks, so that the logits never exist as a whole; a quantised head is
// expanded panel by panel. The gradient of x is made on the way forward, while the softmax is at hand
// (Wijmans et al., arXiv:2411.09009, have the idea; a frozen head needs no third product).
#include "Elements.h"
#include "VectorMath.h"
#include "Weight.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/ge.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/nonzero.h>
#include <ATen/ops/scatter_add.h>
#include <ATen/ops/sub.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <cmath>

namespace {

using lora::Weight;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t logits_bytes = 96 << 20;  // of a chunk
constexpr int64_t panel_rows = 4096;        // of an expanded head, so that a panel stays in the cache

LORA_VECTORISED
float largest(const float *x, int64_t count) {
  float lanes[16];
  for (auto &lane : lanes) lane = x[0];
  int64_t i = 0;
  for (; i + 16 <= count; i += 16)
    for (int j = 0; j < 16; j++) lanes[j] = x[i + j] > lanes[j] ? x[i + j] : lanes[j];
  for (; i < count; i++) lanes[0] = x[i] > lanes[0] ? x[i] : lanes[0];
  float result = lanes[0];
  for (auto lane : lanes) result = lane > result ? lane : result;
  return result;
}

// Replaces logits by e^(logit - maximum) and gives their sum.
LORA_VECTORISED
float exponentials(float *x, int64_t count, float maximum) {
#pragma clang fp reassociate(on) contract(fast)
  float sum = 0;
  for (int64_t i = 0; i < count; i++) {
    x[i] = lora::exponential(x[i] - maximum);
    sum += x[i];
  }
  return sum;
}

LORA_VECTORISED
void multiplied(float *x, int64_t count, float factor) {
  for (int64_t i = 0; i < count; i++) x[i] *= factor;
}

// The loss of each row; the logits become their gradient.
void lose(at::Tensor &logits, const at::Tensor &labels, double *losses) {
  auto count = logits.size(1);
  auto rows = logits.mutable_data_ptr<float>();
  auto wanted = lora::integers(labels);
  lora::parallel(logits.size(0), 1, [&](int64_t begin, int64_t end) {
    for (auto row = begin; row < end; row++) {
      auto x = rows + row * count;
      auto label = wanted[row];
      float maximum = largest(x, count), chosen = x[label];
      float sum = exponentials(x, count, maximum);
      losses[row] = std::log(static_cast<double>(sum)) + static_cast<double>(maximum) - static_cast<double>(chosen);
      multiplied(x, count, 1.0f / sum);
      x[label] -= 1.0f;
    }
  });
}

// Calls `body(panel, first row)` for parts of the head, expanded where they are packed.
template <class Body>
void each_panel(const Weight &head, int64_t inputs, at::ScalarType dtype, Body &&body) {
  if (!head.is_packed()) return body(head.data.to(dtype), 0);
  for (int64_t begin = 0; begin < head.outputs; begin += panel_rows) {
    auto end = std::min(head.outputs, begin + panel_rows);
    auto panel = lora::scratch(end - begin, inputs);
    lora::expand_rows(head, inputs, begin, end, panel.mutable_data_ptr<float>());
    body(panel, begin);
  }
}

struct Result { double loss; at::Tensor gradient; };

Result cpu_chunk(const at::Tensor &x, const at::Tensor &labels, const Weight &head, bool wants_gradient) {
  auto logits = at::empty({x.size(0), head.outputs}, x.options());
  each_panel(head, x.size(1), x.scalar_type(), [&](const at::Tensor &panel, int64_t begin) {
    auto out = logits.narrow(1, begin, panel.size(0));
    at::mm_out(out, x, panel.t());
  });
  std::vector<double> losses(x.size(0));
  lose(logits, labels, losses.data());
  Result result{0, {}};
  for (auto loss : losses) result.loss += loss;
  if (!wants_gradient) return result;
  result.gradient = at::zeros(x.sizes(), x.options());
  each_panel(head, x.size(1), x.scalar_type(), [&](const at::Tensor &panel, int64_t begin) {
    result.gradient.addmm_(logits.narrow(1, begin, panel.size(0)), panel);
  });
  return result;
}

at::Tensor device_chunk(const at::Tensor &x, const at::Tensor &labels, const at::Tensor &head, at::Tensor *gradient) {
  auto logits = x.mm(head.t()).to(at::kFloat);
  auto total = logits.logsumexp({1}, true);
  auto wanted = labels.unsqueeze(1);
  auto loss = (total - logits.gather(1, wanted)).sum();
  if (!gradient) return loss;
  logits.sub_(total).exp_();
  logits.scatter_add_(1, wanted, at::empty({1}, logits.options()).fill_(-1.0).expand(wanted.sizes()));
  *gradient = logits.to(x.scalar_type()).mm(head);
  return loss;
}

struct CrossEntropy : torch::autograd::Function<CrossEntropy> {
  static at::Tensor forward(AutogradContext *context, const at::Tensor &x, const at::Tensor &labels,
                            const at::Tensor &data, int64_t type, int64_t outputs, bool wants_gradient) {
    auto places = labels.ge(0).nonzero().view({-1});
    auto wanted = labels.index_select(0, places);
    auto rows = x.index_select(0, places);                                         // (S, C)
    auto gradient = at::empty_like(rows);
    auto loss = at::zeros({}, x.options().dtype(at::kFloat));
    auto step = std::max<int64_t>(16, logits_bytes / (outputs * 4));
    Weight head{data, type, outputs, 0};
    double sum = 0;
    for (int64_t begin = 0; begin < rows.size(0); begin += step) {
      auto length = std::min(step, rows.size(0) - begin);
      auto part = rows.narrow(0, begin, length), names = wanted.narrow(0, begin, length);
      at::Tensor derivative;
      if (x.is_cpu() && x.scalar_type() == at::kFloat) {
        auto result = cpu_chunk(part, names, head, wants_gradient);
        sum += result.loss;
        derivative = result.gradient;
      } else {
        auto weight = lora::dense(head, x.size(1), x.scalar_type());
        loss.add_(device_chunk(part, names, weight, wants_gradient ? &derivative : nullptr));
      }
      if (wants_gradient) gradient.narrow(0, begin, length).copy_(derivative);
    }
    if (x.is_cpu() && x.scalar_type() == at::kFloat) loss.fill_(sum);
    context->save_for_backward({places, gradient});
    context->saved_data["sizes"] = x.sizes();
    return loss;
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    auto saved = context->get_saved_variables();
    auto dx = at::zeros(context->saved_data["sizes"].toIntVector(), saved[1].options());
    dx.index_copy_(0, saved[0], saved[1] * gradients[0].to(saved[1].scalar_type()));
    return {dx, {}, {}, {}, {}, {}};
  }
};

at::Tensor cross_entropy(const at::Tensor &x, const at::Tensor &labels, const at::Tensor &head, int64_t type,
                         int64_t outputs) {
  TORCH_CHECK(x.dim() == 2 && labels.dim() == 1 && labels.size(0) == x.size(0) && labels.scalar_type() == at::kLong,
              "cross_entropy: x ", x.sizes(), " with labels ", labels.sizes(), " of ", labels.scalar_type());
  TORCH_CHECK(outputs > 0, "cross_entropy: a vocabulary of ", outputs);
  lora::check({head, type, outputs, 0}, x.size(1));
  TORCH_CHECK(labels.numel() == 0 || labels.max().item<int64_t>() < outputs, "cross_entropy: a label is outside the ",
              outputs, " entries of the vocabulary");
  return CrossEntropy::apply(x, labels, head, type, outputs, at::GradMode::is_enabled() && x.requires_grad());
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(lora, library) {
  library.def("cross_entropy(Tensor x, Tensor labels, Tensor head, int type, int outputs) -> Tensor");
}
TORCH_LIBRARY_IMPL(lora, Autograd, library) { library.impl("cross_entropy", cross_entropy); }
