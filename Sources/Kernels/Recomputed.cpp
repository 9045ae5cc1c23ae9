// lora::group_norm_silu(x) = silu(group_norm(x)) and lora::geglu([value, gate]) = value · gelu(gate), which keep their
// input alone: libtorch's operators keep what lies between, too, which for pictures is much of a step's memory.
//
// Factors and offsets are frozen. B pictures, C channels.
#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/gelu_backward.h>
#include <ATen/ops/group_norm.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/native_group_norm.h>
#include <ATen/ops/native_group_norm_backward.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/silu_backward.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct GroupNormSiLU : torch::autograd::Function<GroupNormSiLU> {
  static at::Tensor forward(AutogradContext *context, const at::Tensor &input, int64_t groups, const at::Tensor &weight,
                            const at::Tensor &bias, double epsilon) {
    auto x = input.contiguous();
    auto elements = x.numel() / (x.size(0) * x.size(1));
    auto [y, mean, scale] =
        at::native_group_norm(x, weight, bias, x.size(0), x.size(1), elements, groups, epsilon);
    context->save_for_backward({x, weight, bias, mean, scale});
    context->saved_data["groups"] = groups;
    context->saved_data["epsilon"] = epsilon;
    return at::silu_(y);
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    auto saved = context->get_saved_variables();
    auto &x = saved[0], &weight = saved[1], &bias = saved[2], &mean = saved[3], &scale = saved[4];
    auto groups = context->saved_data["groups"].toInt();
    auto elements = x.numel() / (x.size(0) * x.size(1));
    auto normed = std::get<0>(at::native_group_norm(x, weight, bias, x.size(0), x.size(1), elements, groups,
                                                    context->saved_data["epsilon"].toDouble()));
    auto dy = at::silu_backward(gradients[0].contiguous(), normed);
    auto dx = std::get<0>(at::native_group_norm_backward(dy, x, mean, scale, weight, x.size(0), x.size(1), elements,
                                                         groups, {true, false, false}));
    return {dx, {}, {}, {}, {}};
  }
};

struct GEGLU : torch::autograd::Function<GEGLU> {
  static at::Tensor forward(AutogradContext *context, const at::Tensor &x) {
    context->save_for_backward({x});
    auto count = x.size(-1) / 2;
    return at::gelu(x.narrow(-1, count, count)).mul_(x.narrow(-1, 0, count));
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    auto x = context->get_saved_variables()[0];
    auto count = x.size(-1) / 2;
    auto value = x.narrow(-1, 0, count), gate = x.narrow(-1, count, count);
    auto dx = at::empty_like(x);
    auto dvalue = dx.narrow(-1, 0, count), dgate = dx.narrow(-1, count, count);
    at::mul_out(dvalue, gradients[0], at::gelu(gate));
    dgate.copy_(at::gelu_backward(gradients[0] * value, gate));
    return {dx};
  }
};

at::Tensor group_norm_silu(const at::Tensor &x, int64_t groups, const at::Tensor &weight, const at::Tensor &bias,
                           double epsilon) {
  TORCH_CHECK(x.dim() >= 2 && groups > 0 && x.size(1) % groups == 0 && weight.numel() == x.size(1) &&
              bias.numel() == x.size(1),
              "group_norm_silu: x ", x.sizes(), " in ", groups, " groups, factors ", weight.sizes(), " and offsets ",
              bias.sizes());
  if (x.numel() == 0) return at::silu(at::group_norm(x, groups, weight, bias, epsilon));
  return GroupNormSiLU::apply(x, groups, weight, bias, epsilon);
}

at::Tensor geglu(const at::Tensor &x) {
  TORCH_CHECK(x.dim() > 0 && x.size(-1) % 2 == 0, "geglu: the last dimension of ", x.sizes(), " is not even");
  return GEGLU::apply(x);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(lora, library) {
  library.def("group_norm_silu(Tensor x, int groups, Tensor weight, Tensor bias, float epsilon) -> Tensor");
  library.def("geglu(Tensor x) -> Tensor");
}
TORCH_LIBRARY_IMPL(lora, Autograd, library) {
  library.impl("group_norm_silu", group_norm_silu);
  library.impl("geglu", geglu);
}
