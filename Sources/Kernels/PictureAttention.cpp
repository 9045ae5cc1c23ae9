// lora::picture_attention(q, k, v): softmax(q kᵀ / √D) v, without a mask.
//
// Flash attention (Dao et al., arXiv:2205.14135; backward: arXiv:2307.08691) for heads too small for a general matrix
// library, in fp32 on the CPU; libtorch's own serves the rest. Blocks of queries and keys stay in the cache, no T × S
// matrix is kept. Side by side in a vector lie queries forward and keys backward, so that vectors are full whatever the
// head size, and a maximum or a sum over the other side needs no shuffling.
//
// B pictures, H heads, T queries, S keys, D head size.
#include "Elements.h"
#include "Parallel.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t block = 64;     // queries and keys that are worked on at once
constexpr int64_t widest = 16;    // floats in the widest vector of any processor
constexpr int64_t largest = 128;  // head size; beyond it libtorch's larger products are as fast
constexpr double log2e = 1.4426950408889634;

// Rows, or the columns of a transposed matrix, lie `stride` elements apart, and the elements of each side by side.
struct Matrix {
  const float *data;
  int64_t stride;
  bool isTransposed = false;

  Matrix from(int64_t i) const { return {data + i * (isTransposed ? 1 : stride), stride, isTransposed}; }
  Matrix transposed() const { return {data, stride, !isTransposed}; }
};

struct Rows {
  float *data;
  int64_t row;

  Rows from(int64_t i) const { return {data + i * row, row}; }
  Matrix read() const { return {data, row}; }
};

struct Extent {
  int64_t rows, columns, depth;
};

struct Statistics {
  float scale;                    // of scores, to powers of two
  float *maximum, *sum, *factor;  // of each lane
};

struct Normaliser {
  const float *logsumexp, *delta;  // of each row
  float scale;
};

struct Kernels {
  void (*product)(Rows c, Matrix a, Matrix b, Extent extent, bool adds);
  void (*softmax)(Rows scores, Extent extent, Statistics lanes);
  void (*rescale)(Rows x, Extent extent, const float *factor);
  void (*differentiate)(Rows s, Rows dp, Extent extent, Normaliser rows);
};

namespace plain {
#define WIDTH 4
#define ROWS 4
#include "AttentionTiles.h"
#undef WIDTH
#undef ROWS
}  // namespace plain

#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
namespace avx2 {
#define WIDTH 8
#define ROWS 4
#include "AttentionTiles.h"
#undef WIDTH
#undef ROWS
}  // namespace avx2
#pragma clang attribute pop

#pragma clang attribute push(__attribute__((target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl"), \
                                            min_vector_width(512))), apply_to = function)
namespace avx512 {
#define WIDTH 16
#define ROWS 8
#include "AttentionTiles.h"
#undef WIDTH
#undef ROWS
}  // namespace avx512
#pragma clang attribute pop
#endif

const Kernels &best() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    return avx512::kernels;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return avx2::kernels;
#endif
  return plain::kernels;
}

float scale_of(int64_t D) { return static_cast<float>(1 / std::sqrt(static_cast<double>(D))); }

int64_t padded(int64_t count) { return (count + widest - 1) / widest * widest; }

// The rows of one of B · H heads.
Matrix head(const at::Tensor &x, int64_t index) {
  auto b = index / x.size(1), h = index % x.size(1);
  return {lora::floats(x) + b * x.stride(0) + h * x.stride(1), x.stride(2)};
}

Rows head_to_write(at::Tensor &x, int64_t index) {
  auto all = x.mutable_data_ptr<float>();
  auto from = head(x, index);
  return {all + (from.data - lora::floats(x)), from.stride};
}

// A thread's working memory, handed out in whole cache lines.
struct Memory {
  at::Tensor owner;
  float *next;

  explicit Memory(int64_t count) : owner(at::empty({count}, at::kFloat)), next(owner.mutable_data_ptr<float>()) {}

  float *take(int64_t count) {
    auto start = next;
    next += padded(count);
    return start;
  }
};

// (count, D) → (D, count), with zeros up to whole vectors.
void pack(Rows to, Matrix from, int64_t count, int64_t D) {
  for (int64_t d = 0; d < D; d++) {
    for (int64_t i = 0; i < count; i++) to.data[d * to.row + i] = from.data[i * from.stride + d];
    std::fill(to.data + d * to.row + count, to.data + d * to.row + padded(count), 0.0f);
  }
}

// (D, count) → (count, D), each of the `count` times its factor.
template <typename Factor>
void unpack(Rows to, Rows from, int64_t count, int64_t D, Factor factor) {
  for (int64_t i = 0; i < count; i++)
    for (int64_t d = 0; d < D; d++) to.data[i * to.row + d] = from.data[d * from.row + i] * factor(i);
}

// Rows that are gone through again and again lie far apart in a joined projection, each on a page of its own.
Matrix gathered(float *to, Matrix from, int64_t count, int64_t D) {
  for (int64_t i = 0; i < count; i++) std::copy_n(from.from(i).data, D, to + i * D);
  return {to, D};
}

// Blocks of queries of one head, one after the other.
struct Forward {
  const Kernels &use = best();
  Matrix q, k, v;
  Rows y;
  float *logsumexp;
  int64_t T, S, D;
  Rows queries, scores, output;
  Statistics lanes;
  float *keys, *values;

  static int64_t needed(int64_t S, int64_t D) { return block * (2 * D + block + 3) + 2 * padded(S * D); }

  void take(Memory &memory) {
    queries = {memory.take(D * block), block};
    output = {memory.take(D * block), block};
    scores = {memory.take(block * block), block};
    lanes = {static_cast<float>(scale_of(D) * log2e), memory.take(block), memory.take(block), memory.take(block)};
    keys = memory.take(S * D);
    values = memory.take(S * D);
  }

  void run(int64_t first) {
    auto count = std::min(block, T - first), columns = padded(count);
    pack(queries, q.from(first), count, D);
    std::fill_n(lanes.maximum, block, -std::numeric_limits<float>::infinity());
    std::fill_n(lanes.sum, block, 0.0f);
    std::fill_n(output.data, D * block, 0.0f);
    for (int64_t key = 0; key < S; key += block) {
      auto rows = std::min(block, S - key);
      use.product(scores, k.from(key), queries.read(), {rows, columns, D}, false);
      use.softmax(scores, {rows, columns, 0}, lanes);
      use.rescale(output, {D, columns, 0}, lanes.factor);
      use.product(output, v.from(key).transposed(), scores.read(), {D, columns, rows}, true);
    }
    for (int64_t i = 0; i < count; i++) logsumexp[first + i] = lanes.maximum[i] + std::log2(lanes.sum[i]);
    unpack(y.from(first), output, count, D, [&](int64_t i) { return 1 / lanes.sum[i]; });
  }
};

// (B, T, H, D) in memory, seen as (B, H, T, D).
at::Tensor joined_like(const at::Tensor &x) {
  return at::empty({x.size(0), x.size(2), x.size(1), x.size(3)}, x.options()).transpose(1, 2);
}

LORA_VECTORISED
float dot(const float *a, const float *b, int64_t count) {
#pragma clang fp reassociate(on) contract(fast)
  float sum = 0;
  for (int64_t i = 0; i < count; i++) sum += a[i] * b[i];
  return sum;
}

// One head: the gradients that are asked for, from blocks of keys over all queries.
struct Backward {
  const Kernels &use = best();
  Matrix q, k, v, y, dy;
  Rows dq, dk, dv;  // no data: not asked for
  const float *logsumexp;
  int64_t T, S, D;
  Rows keys, values, keyRows, keySums, valueSums, scores, changes, querySums;
  float *delta, *queries, *changesOfY;

  static int64_t needed(int64_t T, int64_t D) {
    return block * (4 * D + padded(D) + 2 * block) + padded(T) * (padded(D) + 1) + 2 * padded(T * D);
  }

  void take(Memory &memory) {
    for (auto rows : {&keys, &values, &keySums, &valueSums}) *rows = {memory.take(D * block), block};
    for (auto rows : {&scores, &changes}) *rows = {memory.take(block * block), block};
    keyRows = {memory.take(block * padded(D)), padded(D)};
    querySums = {memory.take(T * padded(D)), padded(D)};
    delta = memory.take(T);
    queries = memory.take(T * D);
    changesOfY = memory.take(T * D);
  }

  void run() {
    for (int64_t t = 0; t < T; t++) delta[t] = dot(y.from(t).data, dy.from(t).data, D);
    std::fill_n(querySums.data, T * querySums.row, 0.0f);
    for (int64_t key = 0; key < S; key += block) keys_from(key, std::min(block, S - key));
    if (!dq.data) return;
    for (int64_t t = 0; t < T; t++)
      std::transform(querySums.from(t).data, querySums.from(t).data + D, dq.from(t).data,
                     [scale = scale_of(D)](float x) { return x * scale; });
  }

  void keys_from(int64_t first, int64_t count) {
    pack(keys, k.from(first), count, D);
    pack(values, v.from(first), count, D);
    for (int64_t i = 0; i < count; i++) {
      auto row = keyRows.from(i).data;
      std::copy_n(k.from(first + i).data, D, row);
      std::fill(row + D, row + keyRows.row, 0.0f);
    }
    std::fill_n(keySums.data, D * block, 0.0f);
    std::fill_n(valueSums.data, D * block, 0.0f);
    for (int64_t t = 0; t < T; t += block) queries_from(t, std::min(block, T - t), count);
    auto scale = scale_of(D);
    if (dk.data) unpack(dk.from(first), keySums, count, D, [=](int64_t) { return scale; });
    if (dv.data) unpack(dv.from(first), valueSums, count, D, [](int64_t) { return 1.0f; });
  }

  void queries_from(int64_t first, int64_t rows, int64_t count) {
    auto columns = padded(count);
    auto query = q.from(first), change = dy.from(first);
    use.product(scores, query, keys.read(), {rows, columns, D}, false);
    use.product(changes, change, values.read(), {rows, columns, D}, false);
    auto scale = static_cast<float>(scale_of(D) * log2e);
    use.differentiate(scores, changes, {rows, columns, 0}, {logsumexp + first, delta + first, scale});
    if (dv.data) use.product(valueSums, change.transposed(), scores.read(), {D, columns, rows}, true);
    if (dk.data) use.product(keySums, query.transposed(), changes.read(), {D, columns, rows}, true);
    if (dq.data) use.product(querySums.from(first), changes.read(), keyRows.read(), {rows, padded(D), count}, true);
  }
};

struct PictureAttention : torch::autograd::Function<PictureAttention> {
  static at::Tensor forward(AutogradContext *context, const at::Tensor &q, const at::Tensor &k, const at::Tensor &v) {
    auto T = q.size(2), S = k.size(2), D = q.size(3);
    auto y = joined_like(q);
    auto logsumexp = at::empty({q.size(0) * q.size(1), T}, q.options());
    auto sums = logsumexp.mutable_data_ptr<float>();
    auto blocks = (T + block - 1) / block;
    lora::parallel(logsumexp.size(0) * blocks, 1, [&](int64_t begin, int64_t end) {
      Memory memory(Forward::needed(S, D));
      Forward work;
      work.T = T, work.S = S, work.D = D;
      work.take(memory);
      for (auto i = begin; i < end; i++) {
        auto index = i / blocks;
        if (i == begin || i % blocks == 0) {
          work.k = gathered(work.keys, head(k, index), S, D);
          work.v = gathered(work.values, head(v, index), S, D);
        }
        work.q = head(q, index);
        work.y = head_to_write(y, index);
        work.logsumexp = sums + index * T;
        work.run(i % blocks * block);
      }
    });
    context->save_for_backward({q, k, v, y, logsumexp});
    return y;
  }

  static variable_list backward(AutogradContext *context, variable_list gradients) {
    auto saved = context->get_saved_variables();
    auto &q = saved[0], &k = saved[1], &v = saved[2], &y = saved[3];
    auto dy = gradients[0].stride(3) == 1 ? gradients[0] : gradients[0].contiguous();
    auto T = q.size(2), S = k.size(2), D = q.size(3);
    variable_list results(3);
    for (size_t i = 0; i < 3; i++)
      if (context->needs_input_grad(i)) results[i] = joined_like(saved[i]);
    auto target = [&](size_t i, int64_t index) {
      return results[i].defined() ? head_to_write(results[i], index) : Rows{nullptr, 0};
    };
    auto sums = lora::floats(saved[4]);
    lora::parallel(q.size(0) * q.size(1), 1, [&](int64_t begin, int64_t end) {
      Memory memory(Backward::needed(T, D));
      Backward work;
      work.T = T, work.S = S, work.D = D;
      work.take(memory);
      for (auto i = begin; i < end; i++) {
        work.q = gathered(work.queries, head(q, i), T, D);
        work.dy = gathered(work.changesOfY, head(dy, i), T, D);
        work.k = head(k, i), work.v = head(v, i), work.y = head(y, i);
        work.dq = target(0, i), work.dk = target(1, i), work.dv = target(2, i);
        work.logsumexp = sums + i * T;
        work.run();
      }
    });
    return results;
  }
};

at::Tensor picture_attention(const at::Tensor &q, const at::Tensor &k, const at::Tensor &v) {
  TORCH_CHECK(q.dim() == 4 && k.dim() == 4 && k.sizes() == v.sizes() && q.size(0) == k.size(0) &&
              q.size(1) == k.size(1) && q.size(3) == k.size(3) && q.numel() > 0 && k.numel() > 0,
              "picture_attention: q ", q.sizes(), ", k ", k.sizes(), ", v ", v.sizes());
  auto is_plain = [](const at::Tensor &x) { return x.is_cpu() && x.scalar_type() == at::kFloat; };
  auto straight = [](const at::Tensor &x) { return x.stride(3) == 1 ? x : x.contiguous(); };
  auto queries = straight(q), keys = straight(k), values = straight(v);
  if (!is_plain(q) || !is_plain(k) || !is_plain(v) || q.size(3) > largest)
    return at::scaled_dot_product_attention(queries, keys, values);
  return PictureAttention::apply(queries, keys, values);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(lora, library) {
  library.def("picture_attention(Tensor q, Tensor k, Tensor v) -> Tensor");
}
TORCH_LIBRARY_IMPL(lora, Autograd, library) { library.impl("picture_attention", picture_attention); }
