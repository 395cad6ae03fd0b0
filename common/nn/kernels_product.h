// The kernels' matrix product and transposition; a part of kernels_impl.h.

#pragma once

#include "common/nn/kernels.h"
#include "common/nn/vector_math.h"

namespace tandem::nn {
namespace {

struct ProductArgs {
  const float* a;
  int64_t a_row, a_depth;
  const float* w;
  int64_t ldw;
  const float* bias;
  int64_t depth;
  Activation activation;
  float* c;
  int64_t ldc;
  float* slope;  ///< Or null.
};

/// x sigmoid(x); its derivative goes to `slope` unless that is null.
TANDEM_INLINE V Silu(V x, float* slope) {
  const V s = Sigmoid(x);
  const V silu = x * s;
  if (slope != nullptr) Store(slope, s + silu - silu * s);
  return silu;
}

/// One tile of kRows rows and kTile vectors, its sums in registers.
template <int kRows, int kTile>
__attribute__((noinline)) void Tile(const ProductArgs& t, int64_t row, int64_t col) {
  V sum[kRows][kTile];
#pragma GCC unroll 12
  for (int j = 0; j < kTile; ++j) {
    const V start = t.bias == nullptr ? Set(0) : Load(t.bias + col + j * kWidth);
#pragma GCC unroll 12
    for (int i = 0; i < kRows; ++i) sum[i][j] = start;
  }
  const float* a = t.a + row * t.a_row;
  const float* w = t.w + col;
  for (int64_t k = 0; k < t.depth; ++k, a += t.a_depth, w += t.ldw) {
    V column[kTile];
#pragma GCC unroll 12
    for (int j = 0; j < kTile; ++j) column[j] = Load(w + j * kWidth);
#pragma GCC unroll 12
    for (int i = 0; i < kRows; ++i) {
      const V x = Set(a[i * t.a_row]);
#pragma GCC unroll 12
      for (int j = 0; j < kTile; ++j) sum[i][j] += x * column[j];
    }
  }
  const int64_t at = row * t.ldc + col;
  const auto store = [&](auto activate) __attribute__((always_inline)) {
#pragma GCC unroll 12
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 12
      for (int j = 0; j < kTile; ++j) {
        const int64_t offset = at + i * t.ldc + j * kWidth;
        Store(t.c + offset, activate(sum[i][j], offset));
      }
    }
  };
  switch (t.activation) {
    case Activation::kNone:
      return store([](V x, int64_t) __attribute__((always_inline)) { return x; });
    case Activation::kRelu:
      return store([](V x, int64_t) __attribute__((always_inline)) { return Relu(x); });
    case Activation::kSilu:
      if (t.slope == nullptr) {
        return store([](V x, int64_t) __attribute__((always_inline)) { return Silu(x, nullptr); });
      }
      return store([&](V x, int64_t offset)
                       __attribute__((always_inline)) { return Silu(x, t.slope + offset); });
  }
}

/// The last `rows` rows, fewer than kRows + 1.
template <int kRows, int kTile>
void LastRows(const ProductArgs& t, int64_t rows, int64_t row, int64_t col) {
  if constexpr (kRows > 0) {
    if (rows == kRows) return Tile<kRows, kTile>(t, row, col);
    return LastRows<kRows - 1, kTile>(t, rows, row, col);
  }
}

/// All rows of kTile vectors of columns, kRows at a time.
template <int kRows, int kTile>
void Panel(const ProductArgs& t, int64_t rows, int64_t col) {
  int64_t row = 0;
  for (; row + kRows <= rows; row += kRows) Tile<kRows, kTile>(t, row, col);
  LastRows<kRows - 1, kTile>(t, rows - row, row, col);
}

/// `vectors` of columns at once, with as many rows as there are registers for their sums.
void PanelOf(int64_t vectors, const ProductArgs& t, int64_t rows, int64_t col) {
  if constexpr (kWidth == 16) {  // 32 registers
    switch (vectors) {
      case 1:
        return Panel<12, 1>(t, rows, col);
      case 2:
        return Panel<12, 2>(t, rows, col);
      case 3:
        return Panel<8, 3>(t, rows, col);
      case 4:
        return Panel<6, 4>(t, rows, col);
      default:
        return Panel<5, 5>(t, rows, col);
    }
  } else {
    return vectors == 1 ? Panel<12, 1>(t, rows, col) : Panel<6, 2>(t, rows, col);
  }
}

/// How many of the `left` vectors of columns to take at once: a narrow panel of weights stays in
/// the first cache, but no single vector should be left over.
int64_t PanelVectors(int64_t left) {
  if constexpr (kWidth != 16) return left == 1 ? 1 : 2;
  return left <= 5 ? left : 3;
}

/// Rows that go through all panels of columns before the next ones: theirs stay in the second
/// cache.
constexpr int64_t kMostRowsAtOnce = 512;

void Product(const float* a, int64_t a_row, int64_t a_depth, const float* w, int64_t ldw,
             const float* bias, int64_t rows, int64_t cols, int64_t depth, Activation activation,
             float* c, int64_t ldc, float* slope) {
  ProductArgs t{a, a_row, a_depth, w, ldw, bias, depth, activation, c, ldc, slope};
  if (rows == 1) {  // more columns at once, for enough sums in flight
    int64_t col = 0;
    for (; col + 8 * kWidth <= cols; col += 8 * kWidth) Tile<1, 8>(t, 0, col);
    for (; col < cols; col += kWidth) Tile<1, 1>(t, 0, col);
    return;
  }
  const int64_t parts = rows / kMostRowsAtOnce + 1;
  const int64_t block = PadLanes((rows + parts - 1) / parts);
  for (; rows > 0; rows -= block) {
    const int64_t count = rows < block ? rows : block;
    for (int64_t col = 0; col < cols;) {
      const int64_t vectors = PanelVectors((cols - col) / kWidth);
      PanelOf(vectors, t, count, col);
      col += vectors * kWidth;
    }
    t.a += block * a_row;
    t.c += block * ldc;
    if (t.slope != nullptr) t.slope += block * ldc;
  }
}

/// One step of a transposition: swaps, of each pair of vectors kStep apart, the lanes that differ
/// in the bit kStep.
template <int kStep>
TANDEM_INLINE void SwapLanes(V (&block)[kWidth]) {
  VI low, high;
  for (int l = 0; l < kWidth; ++l) {
    low[l] = (l & kStep) == 0 ? l : l - kStep + kWidth;
    high[l] = (l & kStep) == 0 ? l + kStep : l + kWidth;
  }
#pragma GCC unroll 16
  for (int i = 0; i < kWidth; ++i) {
    if ((i & kStep) != 0) continue;
    const V a = block[i], b = block[i + kStep];
    block[i] = __builtin_shuffle(a, b, low);
    block[i + kStep] = __builtin_shuffle(a, b, high);
  }
  if constexpr (2 * kStep < kWidth) SwapLanes<2 * kStep>(block);
}

/// One block of kWidth rows and columns.
TANDEM_INLINE void TransposeBlock(const float* w, int64_t ldw, float* out, int64_t ldo) {
  V block[kWidth];
#pragma GCC unroll 16
  for (int i = 0; i < kWidth; ++i, w += ldw) block[i] = Load(w);
  SwapLanes<1>(block);
#pragma GCC unroll 16
  for (int j = 0; j < kWidth; ++j, out += ldo) Store(out, block[j]);
}

void Transpose(const float* w, int64_t ldw, int64_t rows, int64_t cols, float* out, int64_t ldo) {
  const int64_t whole_rows = rows / kWidth * kWidth, whole_cols = cols / kWidth * kWidth;
  for (int64_t row = 0; row < whole_rows; row += kWidth) {
    for (int64_t col = 0; col < whole_cols; col += kWidth) {
      TransposeBlock(w + row * ldw + col, ldw, out + col * ldo + row, ldo);
    }
  }
  for (int64_t j = 0; j < cols; ++j) {
    for (int64_t i = j < whole_cols ? whole_rows : 0; i < PadLanes(rows); ++i) {
      out[j * ldo + i] = i < rows ? w[i * ldw + j] : 0;
    }
  }
}

}  // namespace
}  // namespace tandem::nn
