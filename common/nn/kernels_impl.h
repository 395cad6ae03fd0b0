// The kernels' loops. Included by one source for each instruction set, which defines TANDEM_LANES
// (floats in a vector), TANDEM_DEEPEST (Kernels::deepest_product) and TANDEM_KERNELS (the table's
// name).

#pragma once

#include "common/nn/kernels.h"
#include "common/nn/kernels_product.h"
#include "common/nn/vector_math.h"

namespace tandem::nn {
namespace {

// -- passes over activations -------------------------------------------------------------------

void BiasRelu(float* x, int64_t rows, int64_t ld, const float* bias) {
  for (int64_t i = 0; i < rows; ++i, x += ld) {
    for (int64_t j = 0; j < ld; j += kWidth) {
      Store(x + j, Relu(Load(x + j) + Load(bias + j)));
    }
  }
}

void BiasSilu(float* x, int64_t rows, int64_t ld, const float* bias, float* slope) {
  for (int64_t i = 0; i < rows; ++i, x += ld) {
    for (int64_t j = 0; j < ld; j += kWidth) {
      Store(x + j, Silu(Load(x + j) + Load(bias + j), slope == nullptr ? nullptr : slope + j));
    }
    if (slope != nullptr) slope += ld;
  }
}

/// g = op(g, other), with the sums over rows to `sum`. Two rows at a time.
template <typename Op>
TANDEM_INLINE void ApplyAndSum(float* g, const float* other, int64_t rows, int64_t ld, float* sum,
                               Op op) {
  std::memset(sum, 0, ld * sizeof(float));
  int64_t i = 0;
  for (; i + 2 <= rows; i += 2, g += 2 * ld, other += 2 * ld) {
    for (int64_t j = 0; j < ld; j += kWidth) {
      const V x = op(Load(g + j), Load(other + j));
      const V y = op(Load(g + ld + j), Load(other + ld + j));
      Store(g + j, x);
      Store(g + ld + j, y);
      Store(sum + j, Load(sum + j) + (x + y));
    }
  }
  if (i == rows) return;
  for (int64_t j = 0; j < ld; j += kWidth) {
    const V x = op(Load(g + j), Load(other + j));
    Store(g + j, x);
    Store(sum + j, Load(sum + j) + x);
  }
}

struct Multiply {
  V operator()(V g, V slope) const { return g * slope; }
};

void ScaleAndSum(float* g, const float* slope, int64_t rows, int64_t ld, float* sum) {
  ApplyAndSum(g, slope, rows, ld, sum, Multiply());
}

/// out[i, j] = h[index[i], j] > 0 ? value(i, j) : 0, with sums over rows where `sum` is not null.
template <typename Value>
TANDEM_INLINE void MaskRows(const float* h, const int32_t* index, int64_t rows, int64_t ld,
                            float* out, float* sum, Value value) {
  if (sum != nullptr) std::memset(sum, 0, ld * sizeof(float));
  for (int64_t i = 0; i < rows; ++i, out += ld) {
    const float* active = h + (index == nullptr ? i : index[i]) * ld;
    for (int64_t j = 0; j < ld; j += kWidth) {
      const V y = Load(active + j) > 0.0f ? value(i, j) : Set(0);
      Store(out + j, y);
      if (sum != nullptr) Store(sum + j, Load(sum + j) + y);
    }
  }
}

void MaskAndSum(float* g, const float* h, const int32_t* index, int64_t rows, int64_t ld,
                float* sum) {
  const auto value = [&](int64_t i, int64_t j) __attribute__((always_inline)) {
    return Load(g + i * ld + j);
  };
  if (sum == nullptr) {
    MaskRows(h, index, rows, ld, g, nullptr, value);
  } else {
    MaskRows(h, index, rows, ld, g, sum, value);
  }
}

void MaskedOuter(const float* factor, const float* weight, const float* h, const int32_t* index,
                 int64_t rows, int64_t ld, float* out, float* sum) {
  const auto value = [&](int64_t i, int64_t j) __attribute__((always_inline)) {
    return factor[i] * Load(weight + j);
  };
  if (sum == nullptr) {
    MaskRows(h, index, rows, ld, out, nullptr, value);
  } else {
    MaskRows(h, index, rows, ld, out, sum, value);
  }
}

void RowDots(const float* x, const float* weight, int64_t rows, int64_t ld, float* out) {
  for (int64_t i = 0; i < rows; ++i, x += ld) {
    V sum = Set(0), other = Set(0);
    int64_t j = 0;
    for (; j + 2 * kWidth <= ld; j += 2 * kWidth) {
      sum += Load(x + j) * Load(weight + j);
      other += Load(x + j + kWidth) * Load(weight + j + kWidth);
    }
    for (; j < ld; j += kWidth) sum += Load(x + j) * Load(weight + j);
    sum += other;
    float total = 0;
    for (int l = 0; l < kWidth; ++l) total += sum[l];
    out[i] = total;
  }
}

// -- passes over parameters --------------------------------------------------------------------

void Adam(float* p, const float* g, float* m, float* v, int64_t n, const AdamScalars& s) {
  const V beta1 = Set(s.beta1), beta2 = Set(s.beta2), keep = Set(s.keep), step = Set(s.step);
  const V rest1 = Set(1 - s.beta1), rest2 = Set(1 - s.beta2);
  const V scale = Set(s.second_scale), epsilon = Set(s.epsilon);
  for (int64_t i = 0; i < n; i += kWidth) {
    const V gradient = Load(g + i);
    const V first = Load(m + i) * beta1 + gradient * rest1;
    const V second = Load(v + i) * beta2 + gradient * gradient * rest2;
    Store(m + i, first);
    Store(v + i, second);
    Store(p + i, Load(p + i) * keep - step * first * Reciprocal(Sqrt(second) * scale + epsilon));
  }
}

void Approach(float* target, const float* p, int64_t n, float rate) {
  for (int64_t i = 0; i < n; i += kWidth) {
    const V t = Load(target + i);
    Store(target + i, t + (Load(p + i) - t) * rate);
  }
}

// -- losses ------------------------------------------------------------------------------------

struct BoundedLogVar {
  V value;
  V d_upper, d_lower;  ///< Slopes of the two soft bounds.
};

TANDEM_INLINE BoundedLogVar Bound(V raw, float low, float high) {
  const SoftplusParts upper = Softplus(high - raw);
  const SoftplusParts lower = Softplus(high - upper.softplus - low);
  return {low + lower.softplus, upper.sigmoid, lower.sigmoid};
}

void BoundLogVar(const float* raw, float low, float high, int64_t n, float* log_var, float* std) {
  for (int64_t i = 0; i < n; i += kWidth) {
    const V bounded = Bound(Load(raw + i), low, high).value;
    Store(log_var + i, bounded);
    Store(std + i, Exp(bounded * 0.5f));
  }
}

NllSums GaussianLoss(const float* mean, const float* raw, const float* target, const float* weight,
                     float low, float high, int64_t n, float* d_mean, float* d_raw) {
  V loss = Set(0), d_low = Set(0), d_high = Set(0);
  for (int64_t i = 0; i < n; i += kWidth) {
    const BoundedLogVar log_var = Bound(Load(raw + i), low, high);
    const V w = Load(weight + i);
    const V error = Load(mean + i) - Load(target + i);
    const V precision = Exp(-log_var.value);
    const V scaled = error * precision;
    const V square = error * scaled;
    loss += w * (square + log_var.value);
    Store(d_mean + i, 2.0f * w * scaled);
    const V d_log_var = w * (1.0f - square);
    const V d_bounded = d_log_var * log_var.d_lower;
    Store(d_raw + i, d_bounded * log_var.d_upper);
    d_high += d_bounded * (1.0f - log_var.d_upper);
    d_low += d_log_var * (1.0f - log_var.d_lower);
  }
  return {Sum(loss), Sum(d_low), Sum(d_high)};
}

double BinaryLoss(const float* logit, const float* target, const float* weight, int64_t n,
                  float* d_logit) {
  V loss = Set(0);
  for (int64_t i = 0; i < n; i += kWidth) {
    const V x = Load(logit + i), y = Load(target + i), w = Load(weight + i);
    const SoftplusParts parts = Softplus(x);
    loss += w * (parts.softplus - x * y);
    Store(d_logit + i, w * (parts.sigmoid - y));
  }
  return Sum(loss);
}

void Squash(const float* mean, const float* log_std, const float* noise, int64_t n, float* action,
            float* std, float* log_prob) {
  constexpr float kHalfLog2Pi = 0.918938533f;
  constexpr float kLog2 = 0.693147181f;
  for (int64_t i = 0; i < n; i += kWidth) {
    const V ls = Load(log_std + i);
    const V deviation = Exp(ls);
    const V draw = noise == nullptr ? Set(0) : Load(noise + i);
    const V u = Load(mean + i) + deviation * draw;
    Store(action + i, Tanh(u));
    Store(std + i, deviation);
    // log(1 - tanh(u)^2) = 2 (log 2 - u - softplus(-2 u))
    const V squash = 2.0f * (kLog2 - u - Softplus(u * -2.0f).softplus);
    Store(log_prob + i, Load(log_prob + i) - 0.5f * draw * draw - ls - kHalfLog2Pi - squash);
  }
}

// -- noise -------------------------------------------------------------------------------------

TANDEM_INLINE uint64_t SplitMix(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

/// A bijection of 32 bits with little bias (Wellons's triple32).
TANDEM_INLINE VU Mix(VU x) {
  x ^= x >> 17;
  x *= 0xed5ad4bbu;
  x ^= x >> 11;
  x *= 0xac4c1b51u;
  x ^= x >> 15;
  x *= 0x31848babu;
  x ^= x >> 14;
  return x;
}

void FillNormal(uint64_t key, uint64_t block, int64_t blocks, float* out) {
  VU lane;
  for (int i = 0; i < kWidth; ++i) lane[i] = i;
  for (int64_t b = 0; b < blocks; ++b, out += 32) {
    const uint64_t bits = SplitMix(key ^ SplitMix(block + b));
    const uint32_t low = static_cast<uint32_t>(bits), high = static_cast<uint32_t>(bits >> 32);
    for (int i = 0; i < 16; i += kWidth) {
      const VU index = (lane + static_cast<uint32_t>(i)) * 0x9e3779b9u;
      const VI radius_bits = reinterpret_cast<VI>(Mix(index + low) >> 8);
      const VI angle_bits = reinterpret_cast<VI>(Mix(index + high) >> 8);
      const V uniform = __builtin_convertvector(radius_bits + 1, V) * 0x1p-24f;  // (0, 1]
      const V radius = Sqrt(Log(uniform) * -2.0f);
      const VI quadrant = angle_bits >> 22;
      const V f = __builtin_convertvector(angle_bits & 0x3fffff, V) * 0x1p-22f - 0.5f;
      V s, c;
      SinCosOctant(f, &s, &c);
      const VI swap = (quadrant & 1) != 0;
      const V x = swap ? s : c, y = swap ? c : s;
      const VI x_negative = ((quadrant + 1) & 2) != 0, y_negative = (quadrant & 2) != 0;
      StoreUnaligned(out + i, radius * (x_negative ? -x : x));
      StoreUnaligned(out + 16 + i, radius * (y_negative ? -y : y));
    }
  }
}

}  // namespace

namespace internal {
extern const Kernels TANDEM_KERNELS;
const Kernels TANDEM_KERNELS = {
    TANDEM_KERNELS_NAME, TANDEM_DEEPEST, FillNormal,  Product, Transpose, BiasRelu, BiasSilu,
    ScaleAndSum,         MaskAndSum,     MaskedOuter, RowDots, Adam,      Approach, BoundLogVar,
    GaussianLoss,        BinaryLoss,     Squash,
};
}  // namespace internal

}  // namespace tandem::nn
