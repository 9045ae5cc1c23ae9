// lora::linear: frozen weights that share an input, each with or without a low-rank adapter, and what is added to
// their output, as one node of the graph:
//
//   y = residual + [x W₁ᵀ + b₁ + s₁ (x̃ A₁ᵀ) B₁ᵀ, x W₂ᵀ + …]      x̃ = dropout(x)
//
// Hu et al., arXiv:2106.09685. Quantised weights are expanded into shared scratch memory, forward and again backward,
// so that one product serves all of them; the low-rank terms are folded into the large products in place. Kept for
// backward: x and x̃ Aᵀ where there is an adapter, nothing otherwise. No gradient of W is ever made.
#include "Elements.h"
#include "Parallel.h"
#include "Weight.h"

#include <ATen/ops/add.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/mul.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <algorithm>

namespace {

using lora::Weight;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Adapted {
  int64_t weight, rank, offset;  // which weight; its rank; where its columns start in x̃ Aᵀ of all
  double scale;
};

// What a call needs beyond tensors that gradients flow to.
struct Plan : torch::CustomClassHolder {
  std::vector<Weight> weights;
  std::vector<int64_t> offsets;  // of each weight's columns in y; the last is their sum
  std::vector<Adapted> adapted;
  double dropout = 0;
  int64_t seed = 0;

  int64_t outputs() const { return offsets.back(); }
  bool is_packed() const {
    return std::all_of(weights.begin(), weights.end(), [](auto &weight) { return weight.is_packed(); });
  }
};

constexpr int64_t few = 16;

// All weights below each other in scratch memory.
at::Tensor expanded(const Plan &plan, int64_t inputs) {
  auto all = lora::scratch(plan.outputs(), inputs);
  for (size_t i = 0; i < plan.weights.size(); i++)
    lora::expand_rows(plan.weights[i], inputs, 0, plan.weights[i].outputs,
                      all.mutable_data_ptr<float>() + plan.offsets[i] * inputs);
  return all;
}

LORA_VECTORISED
float dot(const float *a, const float *b, int64_t count) {
#pragma clang fp reassociate(on) contract(fast)
  float sum = 0;
  for (int64_t i = 0; i < count; i++) sum += a[i] * b[i];
  return sum;
}

// y += rows · Wᵀ for so few rows that expanding W into memory would cost more than the product: a stretch of W at a
// time is expanded into the cache and used at once.
void multiply_few(const Weight &weight, const at::Tensor &rows, at::Tensor y) {
  constexpr int64_t stretch = 32;
  auto inputs = rows.size(1), count = rows.size(0), stride = y.stride(0);
  auto plain = rows.contiguous();
  auto x = lora::floats(plain);
  auto out = y.mutable_data_ptr<float>();
  lora::parallel(weight.outputs, 64, [&](int64_t begin, int64_t end) {
    std::vector<float> part(stretch * inputs);
    for (auto first = begin; first < end; first += stretch) {
      auto last = std::min(end, first + stretch);
      lora::expand_part(weight, inputs, first, last, part.data());
      for (auto row = first; row < last; row++)
        for (int64_t t = 0; t < count; t++)
          out[t * stride + row] += dot(x + t * inputs, part.data() + (row - first) * inputs, inputs);
    }
  });
}

// y = or += rows · Wᵀ for every weight; `y` holds what is to be added already where `adds` is set.
void multiply(const Plan &plan, const at::Tensor &rows, at::Tensor &y, bool adds) {
  auto inputs = rows.size(1);
  auto product = [&](at::Tensor out, const at::Tensor &weight) {
    if (adds) out.addmm_(rows, weight.t());
    else at::mm_out(out, rows, weight.t());
  };
  auto is_plain = rows.is_cpu() && rows.scalar_type() == at::kFloat;
  if (plan.is_packed() && is_plain && rows.size(0) <= few) {
    if (!adds) y.zero_();
    for (size_t i = 0; i < plan.weights.size(); i++)
      multiply_few(plan.weights[i], rows, y.narrow(1, plan.offsets[i], plan.weights[i].outputs));
    return;
  }
  if (plan.is_packed() && is_plain) return product(y, expanded(plan, inputs));
  for (size_t i = 0; i < plan.weights.size(); i++)
    product(y.narrow(1, plan.offsets[i], plan.weights[i].outputs),
            lora::dense(plan.weights[i], inputs, rows.scalar_type()));
}

// dx = Σ dyᵢ · Wᵢ
at::Tensor multiply_back(const Plan &plan, const at::Tensor &dy, int64_t inputs) {
  if (plan.is_packed() && dy.is_cpu() && dy.scalar_type() == at::kFloat) return dy.mm(expanded(plan, inputs));
  at::Tensor dx;
  for (size_t i = 0; i < plan.weights.size(); i++) {
    auto part = dy.narrow(1, plan.offsets[i], plan.weights[i].outputs);
    auto weight = lora::dense(plan.weights[i], inputs, dy.scalar_type());
    if (dx.defined()) dx.addmm_(part, weight);
    else dx = part.mm(weight);
  }
  return dx;
}

// Multiplies by 0 or 1 / (1 - p), the same for the same seed and place on every device that computes here, so that
// backward needs no mask. SplitMix64 (Steele et al., OOPSLA 2014) over the element's index.
at::Tensor dropped(const at::Tensor &x, double probability, int64_t seed) {
  auto plain = x.to(at::kCPU, at::kFloat).contiguous();
  auto out = at::empty(plain.sizes(), plain.options());
  auto from = lora::floats(plain);
  auto to = out.mutable_data_ptr<float>();
  auto limit = static_cast<uint64_t>(probability * 4294967296.0);
  auto factor = static_cast<float>(1 / (1 - probability));
  lora::parallel(plain.numel(), 16384, [&](int64_t begin, int64_t end) {
    for (auto i = begin; i < end; i++) {
      auto z = static_cast<uint64_t>(seed) + 0x9E3779B97F4A7C15ull * static_cast<uint64_t>(i + 1);
      z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
      z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
      to[i] = ((z ^ (z >> 31)) >> 32) < limit ? 0.0f : from[i] * factor;
    }
  });
  return out.to(x.options());
}

// All A below each other: (Σ rank, inputs), in x's type.
at::Tensor stacked(const variable_list &adapters, at::ScalarType dtype) {
  std::vector<at::Tensor> all;
  for (size_t i = 0; i < adapters.size(); i += 2) all.push_back(adapters[i]);
  return (all.size() == 1 ? all[0] : at::cat(all)).to(dtype);
}

struct Linear : torch::autograd::Function<Linear> {
  static at::Tensor forward(AutogradContext *context, const at::Tensor &x, at::TensorList adapters,
                            const std::optional<at::Tensor> &residual, const std::optional<at::Tensor> &bias,
                            const c10::intrusive_ptr<Plan> &plan) {
    auto rows = x.reshape({-1, x.size(-1)});                                       // (T, inputs)
    at::Tensor y;
    if (residual) y = residual->reshape({-1, plan->outputs()}).clone(at::MemoryFormat::Contiguous);
    else if (bias) y = bias->expand({rows.size(0), plan->outputs()}).clone(at::MemoryFormat::Contiguous);
    else y = at::empty({rows.size(0), plan->outputs()}, x.options());
    if (residual && bias) y.add_(*bias);
    multiply(*plan, rows, y, residual || bias);                                    // (T, Σ outputs)

    variable_list saved;
    if (!plan->adapted.empty()) {
      variable_list kept(adapters.begin(), adapters.end());
      auto input = plan->dropout > 0 ? dropped(rows, plan->dropout, plan->seed) : rows;
      auto hidden = input.mm(stacked(kept, x.scalar_type()).t());                  // (T, Σ rank)
      for (size_t i = 0; i < plan->adapted.size(); i++) {
        auto &one = plan->adapted[i];
        auto out = y.narrow(1, plan->offsets[one.weight], plan->weights[one.weight].outputs);
        out.addmm_(hidden.narrow(1, one.offset, one.rank), kept[2 * i + 1].to(x.scalar_type()).t(), 1, one.scale);
      }
      saved = {x, hidden};
      saved.insert(saved.end(), kept.begin(), kept.end());
    }
    context->save_for_backward(saved);
    context->saved_data["plan"] = c10::IValue::make_capsule(plan);
    context->saved_data["inputs"] = x.sizes();
    context->saved_data["residual"] = residual.has_value();
    auto sizes = x.sizes().vec();
    sizes.back() = plan->outputs();
    return y.view(sizes);
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    auto plan = c10::static_intrusive_pointer_cast<Plan>(context->saved_data["plan"].toCapsule());
    auto sizes = context->saved_data["inputs"].toIntVector();
    auto saved = context->get_saved_variables();
    auto dy = gradients[0].reshape({-1, plan->outputs()});                         // (T, Σ outputs)
    auto count = 2 * plan->adapted.size();
    variable_list result(1 + count + 3);

    at::Tensor dx, a, z;
    if (count > 0) {
      auto rows = saved[0].reshape({-1, sizes.back()});
      auto input = plan->dropout > 0 ? dropped(rows, plan->dropout, plan->seed) : rows;
      variable_list adapters(saved.begin() + 2, saved.end());
      a = stacked(adapters, dy.scalar_type());
      z = at::empty({dy.size(0), a.size(0)}, dy.options());                        // (T, Σ rank)
      for (size_t i = 0; i < plan->adapted.size(); i++) {
        auto &one = plan->adapted[i];
        auto &b = adapters[2 * i + 1];
        auto part = dy.narrow(1, plan->offsets[one.weight], plan->weights[one.weight].outputs);
        auto out = z.narrow(1, one.offset, one.rank);
        out.copy_(part.mm(b.to(dy.scalar_type())).mul_(one.scale));
        auto hidden = saved[1].narrow(1, one.offset, one.rank);
        result[2 + 2 * i] = part.t().mm(hidden).mul_(one.scale).to(b.scalar_type());
      }
      auto da = z.t().mm(input);                                                   // (Σ rank, inputs)
      for (size_t i = 0; i < plan->adapted.size(); i++) {
        auto &one = plan->adapted[i];
        result[1 + 2 * i] = da.narrow(0, one.offset, one.rank).to(adapters[2 * i].scalar_type()).contiguous();
      }
    }
    if (context->needs_input_grad(0)) {
      dx = multiply_back(*plan, dy, sizes.back());
      if (count > 0 && plan->dropout > 0) dx.add_(dropped(z.mm(a), plan->dropout, plan->seed));
      else if (count > 0) dx.addmm_(z, a);
      result[0] = dx.view(sizes);
    }
    if (context->saved_data["residual"].toBool()) result[1 + count] = gradients[0];
    return result;
  }
};

// `layout` has three numbers a weight: element type, rows, rows of a head (see Weight).
at::Tensor linear(const at::Tensor &x, at::TensorList weights, at::IntArrayRef layout,
                  const std::optional<at::Tensor> &bias, at::TensorList adapters, at::IntArrayRef adapted,
                  at::ArrayRef<double> scales, double dropout, int64_t seed,
                  const std::optional<at::Tensor> &residual) {
  TORCH_CHECK(!weights.empty() && layout.size() == 3 * weights.size() && adapters.size() == 2 * adapted.size() &&
              scales.size() == adapted.size(), "linear: no weights, or lists of different lengths");
  TORCH_CHECK(dropout >= 0 && dropout < 1, "linear: a dropout of ", dropout, "; expected 0 or more and below 1");
  auto plan = c10::make_intrusive<Plan>();
  plan->dropout = dropout;
  plan->seed = seed;
  plan->offsets = {0};
  for (size_t i = 0; i < weights.size(); i++) {
    plan->weights.push_back({weights[i], layout[3 * i], layout[3 * i + 1], layout[3 * i + 2]});
    lora::check(plan->weights.back(), x.size(-1));
    plan->offsets.push_back(plan->offsets.back() + layout[3 * i + 1]);
  }
  int64_t offset = 0;
  for (size_t i = 0; i < adapted.size(); i++) {
    TORCH_CHECK(adapted[i] >= 0 && adapted[i] < static_cast<int64_t>(weights.size()), "linear: an adapter of weight ",
                adapted[i], " among ", weights.size());
    auto &a = adapters[2 * i], &b = adapters[2 * i + 1];
    auto rank = a.size(0), outputs = plan->weights[adapted[i]].outputs;
    TORCH_CHECK(a.sizes() == at::IntArrayRef({rank, x.size(-1)}) && b.sizes() == at::IntArrayRef({outputs, rank}),
                "linear: an adapter of ", a.sizes(), " and ", b.sizes(), " for x ", x.sizes(), " and ", outputs,
                " outputs");
    plan->adapted.push_back({adapted[i], rank, offset, scales[i]});
    offset += rank;
  }
  auto sizes = x.sizes().vec();
  sizes.back() = plan->outputs();
  TORCH_CHECK(!residual || residual->sizes() == sizes, "linear: a residual of ", residual ? residual->sizes() : sizes,
              " for y ", at::IntArrayRef(sizes));
  return Linear::apply(x, adapters, residual, bias, plan);
}

// What `dropped` multiplies by.
at::Tensor dropout_mask(const at::Tensor &like, double dropout, int64_t seed) {
  TORCH_CHECK(dropout >= 0 && dropout < 1, "a dropout of ", dropout);
  return dropped(at::ones_like(like), dropout, seed);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(lora, library) {
  library.def(
      "linear(Tensor x, Tensor[] weights, int[] layout, Tensor? bias, Tensor[] adapters, int[] adapted, "
      "float[] scales, float dropout, int seed, Tensor? residual) -> Tensor");
  library.def("dropout_mask(Tensor like, float dropout, int seed) -> Tensor", &dropout_mask);
}
TORCH_LIBRARY_IMPL(lora, Autograd, library) { library.impl("linear", linear); }
