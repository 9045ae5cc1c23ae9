// lora::rope(x, cos, sin, positions): rotary position embedding, halves rotated as Hugging Face has them.
//
// Su et al., arXiv:2104.09864; port of apply_rotary_pos_emb in
// https://github.com/huggingface/transformers/blob/main/src/transformers/models/llama/modeling_llama.py
// x (T, H, D); cos and sin (places, D / 2); positions (T). One pass; backward turns the other way.
#include "Elements.h"
#include "Parallel.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/add.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/neg.h>
#include <ATen/ops/sub.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

LORA_VECTORISED
void rotate(const float *x, const float *cosine, const float *sine, float sign, float *y, int64_t half) {
  for (int64_t i = 0; i < half; i++) {
    float a = x[i], b = x[i + half], s = sign * sine[i];
    y[i] = a * cosine[i] - b * s;
    y[i + half] = b * cosine[i] + a * s;
  }
}

at::Tensor rotated(const at::Tensor &x, const at::Tensor &cosines, const at::Tensor &sines,
                   const at::Tensor &positions, float sign) {
  auto T = x.size(0), H = x.size(1), D = x.size(2);
  auto from = x.stride(2) == 1 ? x : x.contiguous();
  auto y = at::empty({T, H, D}, x.options());
  auto input = lora::floats(from), c = lora::floats(cosines), s = lora::floats(sines);
  auto output = y.mutable_data_ptr<float>();
  auto places = lora::integers(positions);
  auto token = from.stride(0), head = from.stride(1);
  lora::parallel(T, 16, [&](int64_t begin, int64_t end) {
    for (auto t = begin; t < end; t++)
      for (int64_t h = 0; h < H; h++)
        rotate(input + t * token + h * head, c + places[t] * D / 2, s + places[t] * D / 2, sign,
               output + (t * H + h) * D, D / 2);
  });
  return y;
}

struct RoPE : torch::autograd::Function<RoPE> {
  static at::Tensor forward(AutogradContext *context, const at::Tensor &x, const at::Tensor &cosines,
                            const at::Tensor &sines, const at::Tensor &positions) {
    context->save_for_backward({cosines, sines, positions});
    return rotated(x, cosines, sines, positions, 1);
  }
  static variable_list backward(AutogradContext *context, variable_list gradients) {
    auto saved = context->get_saved_variables();
    return {rotated(gradients[0], saved[0], saved[1], saved[2], -1), {}, {}, {}};
  }
};

at::Tensor composed(const at::Tensor &x, const at::Tensor &cosines, const at::Tensor &sines,
                    const at::Tensor &positions) {
  auto half = x.size(2) / 2;
  auto c = cosines.index_select(0, positions).unsqueeze(1).to(x.scalar_type());
  auto s = sines.index_select(0, positions).unsqueeze(1).to(x.scalar_type());
  auto a = x.narrow(2, 0, half), b = x.narrow(2, half, half);
  return at::cat({a * c - b * s, b * c + a * s}, 2);
}

void check_places(const at::Tensor &positions, int64_t count) {
  auto places = lora::integers(positions);
  for (int64_t i = 0; i < positions.numel(); i++)
    TORCH_CHECK(places[i] >= 0 && places[i] < count, "rope: position ", places[i], " is outside tables of ", count);
}

at::Tensor rope(const at::Tensor &x, const at::Tensor &cosines, const at::Tensor &sines,
                const at::Tensor &positions) {
  TORCH_CHECK(x.dim() == 3 && x.size(2) % 2 == 0 && cosines.dim() == 2 && cosines.size(1) == x.size(2) / 2 &&
              sines.sizes() == cosines.sizes() && positions.dim() == 1 && positions.size(0) == x.size(0),
              "rope: x ", x.sizes(), ", tables ", cosines.sizes(), " and ", sines.sizes(), ", positions ",
              positions.sizes());
  TORCH_CHECK(positions.scalar_type() == at::kLong && cosines.scalar_type() == at::kFloat &&
              sines.scalar_type() == at::kFloat, "rope: positions of ", positions.scalar_type(), ", tables of ",
              cosines.scalar_type(), " and ", sines.scalar_type(), "; expected Long and Float");
  if (x.is_cpu() && x.scalar_type() == at::kFloat) {
    check_places(positions.contiguous(), cosines.size(0));
    return RoPE::apply(x, cosines.contiguous(), sines.contiguous(), positions.contiguous());
  }
  return composed(x, cosines, sines, positions);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(lora, library) {
  library.def("rope(Tensor x, Tensor cosines, Tensor sines, Tensor positions) -> Tensor");
}
TORCH_LIBRARY_IMPL(lora, Autograd, library) { library.impl("rope", rope); }
