// The inner loops of PictureAttention.cpp, included there once per instruction set, inside a namespace, with WIDTH
// floats in a vector and tiles of ROWS × 2 vectors in registers.
//
// No include guard: this file is meant to be included several times.

typedef float Floats __attribute__((vector_size(4 * WIDTH)));
typedef int32_t Integers __attribute__((vector_size(4 * WIDTH)));

LORA_INLINE Floats load(const float *p) {
  Floats x;
  std::memcpy(&x, p, sizeof x);
  return x;
}

LORA_INLINE void store(float *p, Floats x) { std::memcpy(p, &x, sizeof x); }

LORA_INLINE Floats larger(Floats a, Floats b) { return a > b ? a : b; }

// 2^x for x up to 126 to within four units in the last place; 1.2e-38 below -126, NaN for NaN. The polynomial has the
// smallest relative error between -1/2 and 1/2 among those of its degree that are 1 at 0.
LORA_INLINE Floats power_of_two(Floats x) {
#pragma clang fp contract(fast)
  x = x < -126.0f ? Floats{} - 126.0f : x;
  Floats shifted = x + 12583039.0f;  // the rounded exponent and its bias of 127, in the lowest bits
  Floats r = x - (shifted - 12583039.0f);
  Floats p = r * 0.00132647273f + 0.00967151299f;
  p = p * r + 0.0555073358f;
  p = p * r + 0.240222424f;
  p = p * r + 0.693147004f;
  p = p * r + 1.0f;
  return p * (Floats)((Integers)shifted << 23);
}

// C (rows × vectors) = or += A · B, held in registers. A stride of 1 known beforehand leaves few addresses to compute.
template <int rows, int vectors, bool isTransposed>
LORA_INLINE void tile(Rows c, Matrix a, Matrix b, int64_t depth, bool adds) {
#pragma clang fp contract(fast)
  Floats sum[rows][vectors];
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < vectors; j++) sum[i][j] = adds ? load(c.data + i * c.row + j * WIDTH) : Floats{};
  auto row = isTransposed ? 1 : a.stride, column = isTransposed ? a.stride : 1;
#pragma unroll 2
  for (int64_t k = 0; k < depth; k++) {
    Floats right[vectors];
    for (int j = 0; j < vectors; j++) right[j] = load(b.data + k * b.stride + j * WIDTH);
    for (int i = 0; i < rows; i++) {
      float left = a.data[i * row + k * column];
      for (int j = 0; j < vectors; j++) sum[i][j] += left * right[j];
    }
  }
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < vectors; j++) store(c.data + i * c.row + j * WIDTH, sum[i][j]);
}

// All rows of `vectors` columns of vectors; what is left after tiles of `rows` goes to smaller ones.
template <int rows, int vectors, bool isTransposed>
LORA_INLINE void strip(Rows c, Matrix a, Matrix b, Extent extent, bool adds) {
  int64_t i = 0;
  for (; i + rows <= extent.rows; i += rows)
    tile<rows, vectors, isTransposed>(c.from(i), a.from(i), b, extent.depth, adds);
  if constexpr (rows > 1)
    strip<rows / 2, vectors, isTransposed>(c.from(i), a.from(i), b, {extent.rows - i, 0, extent.depth}, adds);
}

template <bool isTransposed>
void strips(Rows c, Matrix a, Matrix b, Extent extent, bool adds) {
  int64_t j = 0;
  for (; j + 2 * WIDTH <= extent.columns; j += 2 * WIDTH)
    strip<ROWS, 2, isTransposed>({c.data + j, c.row}, a, {b.data + j, b.stride}, extent, adds);
  if (j < extent.columns) strip<ROWS, 1, isTransposed>({c.data + j, c.row}, a, {b.data + j, b.stride}, extent, adds);
}

void product(Rows c, Matrix a, Matrix b, Extent extent, bool adds) {
  return a.isTransposed ? strips<true>(c, a, b, extent, adds) : strips<false>(c, a, b, extent, adds);
}

// For each lane, the softmax over rows of scores as far as they are known. `maximum` and `sum` are brought up to date,
// scores become powers relative to the new maximum, `factor` is what sums relative to the old one are multiplied by.
void softmax(Rows scores, Extent extent, Statistics lanes) {
#pragma clang fp contract(fast)
  for (int64_t j = 0; j < extent.columns; j += WIDTH) {
    auto at = [&](int64_t i) __attribute__((always_inline)) { return load(scores.data + i * scores.row + j); };
    Floats top = at(0);
    int64_t i = 1;
    for (; i + 4 <= extent.rows; i += 4)
      top = larger(top, larger(larger(at(i), at(i + 1)), larger(at(i + 2), at(i + 3))));
    for (; i < extent.rows; i++) top = larger(top, at(i));
    Floats old = load(lanes.maximum + j), maximum = larger(old, top * lanes.scale), total = {};
    for (i = 0; i < extent.rows; i++) {
      Floats power = power_of_two(at(i) * lanes.scale - maximum);
      store(scores.data + i * scores.row + j, power);
      total += power;
    }
    Floats factor = power_of_two(old - maximum);
    store(lanes.factor + j, factor);
    store(lanes.sum + j, load(lanes.sum + j) * factor + total);
    store(lanes.maximum + j, maximum);
  }
}

// Multiplies each lane of all rows by its factor.
void rescale(Rows x, Extent extent, const float *factor) {
  for (int64_t i = 0; i < extent.rows; i++)
    for (int64_t j = 0; j < extent.columns; j += WIDTH) {
      float *p = x.data + i * x.row + j;
      store(p, load(p) * load(factor + j));
    }
}

// P = 2^(S · scale - logsumexp) in place of S, and dS = P ∘ (dP - delta) in place of dP, row by row.
void differentiate(Rows s, Rows dp, Extent extent, Normaliser rows) {
#pragma clang fp contract(fast)
  for (int64_t i = 0; i < extent.rows; i++)
    for (int64_t j = 0; j < extent.columns; j += WIDTH) {
      float *p = s.data + i * s.row + j, *d = dp.data + i * dp.row + j;
      Floats power = power_of_two(load(p) * rows.scale - rows.logsumexp[i]);
      store(p, power);
      store(d, power * (load(d) - rows.delta[i]));
    }
}

constexpr Kernels kernels = {product, softmax, rescale, differentiate};
