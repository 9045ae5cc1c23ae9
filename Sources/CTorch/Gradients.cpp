// Automatic differentiation, and gradient checkpointing with a body that is written in Swift.
#include "Guard.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

using namespace ctorch;

namespace {

// The Swift closure behind a checkpoint, released with the last graph that may still need it.
struct Body : torch::CustomClassHolder {
  CTorchBody body;
  void *context;
  void (*release)(void *);
  Body(CTorchBody body, void *context, void (*release)(void *)) : body(body), context(context), release(release) {}
  ~Body() override { release(context); }

  at::Tensor operator()(const at::Tensor &input) const {
    CTorchTensor out = nullptr;
    auto handle = reinterpret_cast<CTorchTensor>(input.unsafeGetTensorImpl());
    TORCH_CHECK(body(context, handle, &out) == CTORCH_OK, last_error);
    using Impl = c10::intrusive_ptr<c10::TensorImpl, c10::UndefinedTensorImpl>;
    return at::Tensor(Impl::reclaim(reinterpret_cast<c10::TensorImpl *>(out)));
  }
};

struct Checkpoint : torch::autograd::Function<Checkpoint> {
  static at::Tensor forward(torch::autograd::AutogradContext *context, const at::Tensor &input,
                            const c10::intrusive_ptr<Body> &body) {
    context->save_for_backward({input});
    context->saved_data["body"] = c10::IValue::make_capsule(body);
    return (*body)(input.detach());
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext *context,
                                                 torch::autograd::variable_list gradients) {
    at::AutoGradMode recording(true);
    auto input = context->get_saved_variables()[0].detach().requires_grad_(true);
    auto body = c10::static_intrusive_pointer_cast<Body>(context->saved_data["body"].toCapsule());
    auto output = (*body)(input);
    torch::autograd::backward({output}, {gradients[0]});
    return {input.grad(), at::Tensor()};
  }
};

}  // namespace

CTorchStatus ctorch_checkpoint(CTorchBody body, void *context, void (*release)(void *context),
                               CTorchTensor input, CTorchTensor *out) {
  return guarded([&] {
    auto holder = c10::make_intrusive<Body>(body, context, release);
    *out = give(Checkpoint::apply(borrow(input), holder));
  });
}

CTorchStatus ctorch_backward(CTorchTensor root, CTorchTensor gradient) {
  return guarded([&] {
    torch::autograd::variable_list gradients;
    if (gradient) gradients.push_back(borrow(gradient));
    torch::autograd::backward({borrow(root)}, gradients);
  });
}
CTorchStatus ctorch_grad(CTorchTensor tensor, CTorchTensor *out) {
  return guarded([&] {
    at::Tensor gradient = borrow(tensor).grad();
    *out = gradient.defined() ? give(std::move(gradient)) : nullptr;
  });
}
CTorchStatus ctorch_set_grad(CTorchTensor tensor, CTorchTensor gradient) {
  return guarded([&] { borrow(tensor).mutable_grad() = gradient ? borrow(gradient) : at::Tensor(); });
}
CTorchStatus ctorch_set_requires_grad(CTorchTensor tensor, int32_t on) {
  return guarded([&] { borrow(tensor).requires_grad_(on != 0); });
}
int32_t ctorch_requires_grad(CTorchTensor tensor) { return borrow(tensor).requires_grad(); }
int32_t ctorch_set_grad_enabled(int32_t on) {
  auto former = at::GradMode::is_enabled();
  at::GradMode::set_enabled(on != 0);
  return former;
}
