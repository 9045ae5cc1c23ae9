// lora::conv2d(x, W) = x * W + b, with a frozen W that may be stored packed.
//
// Port of torch.nn.functional.conv2d for weights that are never trained: keeps neither x nor an expanded W, since the
// input's gradient needs W alone.
//
// B pictures, I and O channels in and out, H height, W width, K kernel size.
#include "Weight.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/convolution.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Shape {
  int64_t type, outputs, inputs, height, width, stride, padding;

  int64_t columns() const { return inputs * height * width; }
};

Shape shape_of(at::IntArrayRef layout) {
  TORCH_CHECK(layout.size() == 7, "conv2d: a layout of ", layout.size(), " numbers, expected 7");
  Shape shape{layout[0], layout[1], layout[2], layout[3], layout[4], layout[5], layout[6]};
  for (auto size : {shape.inputs, shape.height, shape.width, shape.stride})
    TORCH_CHECK(size > 0 && size < (1 << 20), "conv2d: a layout of ", layout);
  TORCH_CHECK(shape.padding >= 0 && shape.padding < (1 << 20), "conv2d: a padding of ", shape.padding);
  return shape;
}

// (O, I, K, K) in `dtype`. Expanded packed weights lie in memory that the thread's next operator uses again.
at::Tensor kernel(const at::Tensor &data, const Shape &shape, at::ScalarType dtype) {
  lora::Weight weight{data, shape.type, shape.outputs, 0};
  auto columns = shape.columns();
  if (weight.is_packed() && dtype == at::kFloat) {
    auto matrix = lora::scratch(shape.outputs, columns);
    lora::expand_rows(weight, columns, 0, shape.outputs, matrix.mutable_data_ptr<float>());
    return matrix.view({shape.outputs, shape.inputs, shape.height, shape.width});
  }
  return lora::dense(weight, columns, dtype).view({shape.outputs, shape.inputs, shape.height, shape.width});
}

struct Convolution : torch::autograd::Function<Convolution> {
  static at::Tensor forward(AutogradContext *context, const at::Tensor &x, const at::Tensor &data,
                            at::IntArrayRef layout, const std::optional<at::Tensor> &bias) {
    auto shape = shape_of(layout);
    context->save_for_backward({data});
    context->saved_data["layout"] = layout;
    context->saved_data["height"] = x.size(2);
    context->saved_data["width"] = x.size(3);
    return at::convolution(x, kernel(data, shape, x.scalar_type()), bias, {shape.stride, shape.stride},
                           {shape.padding, shape.padding}, {1, 1}, false, {0, 0}, 1);
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    auto layout = context->saved_data["layout"].toIntVector();
    auto shape = shape_of(layout);
    auto dy = gradients[0];
    // Rows and columns at the end of the input that a stride larger than 1 steps over.
    auto rest = [&](const char *side, int64_t size, int64_t window) {
      return context->saved_data[side].toInt() - ((size - 1) * shape.stride - 2 * shape.padding + window);
    };
    auto left = rest("height", dy.size(2), shape.height), below = rest("width", dy.size(3), shape.width);
    auto weight = kernel(context->get_saved_variables()[0], shape, dy.scalar_type());
    auto dx = at::convolution(dy, weight, {}, {shape.stride, shape.stride}, {shape.padding, shape.padding}, {1, 1},
                              true, {left, below}, 1);
    return {dx, {}, {}, {}};
  }
};

at::Tensor conv2d(const at::Tensor &x, const at::Tensor &data, at::IntArrayRef layout,
                  const std::optional<at::Tensor> &bias) {
  auto shape = shape_of(layout);
  lora::check({data, shape.type, shape.outputs, 0}, shape.columns());
  TORCH_CHECK(x.dim() == 4 && x.size(1) == shape.inputs, "conv2d: an input of ", x.sizes(), " for ", shape.inputs,
              " channels");
  TORCH_CHECK(x.size(2) + 2 * shape.padding >= shape.height && x.size(3) + 2 * shape.padding >= shape.width,
              "conv2d: an input of ", x.sizes(), " for a kernel of ", shape.height, " by ", shape.width);
  return Convolution::apply(x, data, layout, bias);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(lora, library) {
  library.def("conv2d(Tensor x, Tensor weight, int[] layout, Tensor? bias) -> Tensor");
}
TORCH_LIBRARY_IMPL(lora, Autograd, library) { library.impl("conv2d", conv2d); }
