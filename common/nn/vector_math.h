#pragma once

// Vectors of TANDEM_LANES floats in the compiler's own vector types, and the functions the kernels
// need. Only for kernels_impl.h, which is compiled once for each instruction set: everything here
// has internal linkage, so that no copy for a wide set can be picked for a narrow one.

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#include <cstdint>
#include <cstring>

namespace tandem::nn {
namespace {

constexpr int kWidth = TANDEM_LANES;
typedef float V __attribute__((vector_size(4 * TANDEM_LANES), may_alias));
typedef int32_t VI __attribute__((vector_size(4 * TANDEM_LANES), may_alias));
typedef uint32_t VU __attribute__((vector_size(4 * TANDEM_LANES), may_alias));
typedef float Unaligned __attribute__((vector_size(4 * TANDEM_LANES), aligned(4), may_alias));

#define TANDEM_INLINE static inline __attribute__((always_inline))

/// All lanes x: one broadcast from memory (adding to zeros would cost an addition to spare -0).
TANDEM_INLINE V Set(float x) {
#if TANDEM_LANES == 16
  return V{x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x};
#elif TANDEM_LANES == 8
  return V{x, x, x, x, x, x, x, x};
#else
  return V{x, x, x, x};
#endif
}
TANDEM_INLINE V Load(const float* p) { return *reinterpret_cast<const V*>(p); }
TANDEM_INLINE void Store(float* p, V x) { *reinterpret_cast<V*>(p) = x; }
TANDEM_INLINE void StoreUnaligned(float* p, V x) { *reinterpret_cast<Unaligned*>(p) = x; }
TANDEM_INLINE VI Bits(V x) { return reinterpret_cast<VI>(x); }
TANDEM_INLINE V FromBits(VI x) { return reinterpret_cast<V>(x); }
#if defined(__AVX512F__)
static_assert(kWidth == 16);
constexpr uint16_t kAllLanes = 0xffff;  // the plain forms set off false warnings of GCC 12
/// Where a or b is NaN, b; so NaN stays NaN in Max(constant, x).
TANDEM_INLINE V Max(V a, V b) { return _mm512_maskz_max_ps(kAllLanes, a, b); }
TANDEM_INLINE V Min(V a, V b) { return _mm512_maskz_min_ps(kAllLanes, a, b); }
/// 1 / x for normal x with a normal inverse, relative error below 2e-7: a division costs as much as
/// a dozen multiplications.
TANDEM_INLINE V Reciprocal(V x) {
  const V y = _mm512_maskz_rcp14_ps(kAllLanes, x);
  return y * (2.0f - x * y);
}
/// Relative error below 3e-7; below 1e-36 anything up to 1e-18. NaN stays NaN.
TANDEM_INLINE V Sqrt(V x) {
  const V y = _mm512_maskz_rsqrt14_ps(kAllLanes, Max(Set(1e-36f), x));
  return x * y * (1.5f - 0.5f * x * y * y);
}
#else
TANDEM_INLINE V Max(V a, V b) { return a > b ? a : b; }
TANDEM_INLINE V Min(V a, V b) { return a < b ? a : b; }
TANDEM_INLINE V Reciprocal(V x) { return 1.0f / x; }
/// Lane by lane; the compiler makes one instruction of it.
TANDEM_INLINE V Sqrt(V x) {
  for (int i = 0; i < kWidth; ++i) x[i] = __builtin_sqrtf(x[i]);
  return x;
}
#endif
/// NaN stays NaN.
TANDEM_INLINE V Relu(V x) { return Max(V{}, x); }
TANDEM_INLINE V Abs(V x) { return FromBits(Bits(x) & 0x7fffffff); }

TANDEM_INLINE double Sum(V x) {
  double sum = 0;
  for (int i = 0; i < kWidth; ++i) sum += x[i];
  return sum;
}

/// e^x, relative error below 2e-7; clamped to the range of normal floats. NaN stays NaN.
TANDEM_INLINE V Exp(V x) {
  x = Min(Set(88.0f), Max(Set(-87.0f), x));
  const V magic = Set(12582912.0f);  // 1.5 * 2^23: adding it rounds to a whole number
  const V shifted = x * 1.44269504f + magic;
  const V n = shifted - magic;
  const V r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
  V p = Set(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const VI exponent = (Bits(shifted) - Bits(magic) + 127) << 23;
  return p * FromBits(exponent);
}

/// ln x for normal x > 0, relative error about 1e-7.
TANDEM_INLINE V Log(V x) {
  VI bits = Bits(x);
  VI exponent = (bits >> 23) - 126;
  V m = FromBits((bits & 0x007fffff) | 0x3f000000);  // [0.5, 1)
  const VI small = m < 0.707106781f;
  exponent += small;  // -1 where small
  m = small ? m + m : m;
  m = m - 1.0f;
  V p = Set(7.0376836292e-2f);
  p = p * m - 1.1514610310e-1f;
  p = p * m + 1.1676998740e-1f;
  p = p * m - 1.2420140846e-1f;
  p = p * m + 1.4249322787e-1f;
  p = p * m - 1.6668057665e-1f;
  p = p * m + 2.0000714765e-1f;
  p = p * m - 2.4999993993e-1f;
  p = p * m + 3.3333331174e-1f;
  const V z = m * m;
  V y = p * m * z;
  const V e = __builtin_convertvector(exponent, V);
  y = y + e * -2.12194440e-4f;
  y = y - z * 0.5f;
  return m + y + e * 0.693359375f;
}

struct SoftplusParts {
  V softplus;  ///< log(1 + e^x)
  V sigmoid;   ///< 1 / (1 + e^-x)
};

TANDEM_INLINE SoftplusParts Softplus(V x) {
  const V e = Exp(-Abs(x));
  const V inverse = Reciprocal(1.0f + e);
  V softplus = Max(x, Set(0)) + Log(1.0f + e);
  softplus = x == x ? softplus : x;
  return {softplus, x >= 0.0f ? inverse : e * inverse};
}

/// 1 / (1 + e^-x), absolute error below 2e-7, by powers of 2: it is most of what SiLU costs. NaN
/// stays NaN.
TANDEM_INLINE V Sigmoid(V x) {
  x = Min(Set(87.0f), Max(Set(-87.0f), x));
  const V scale = Set(-1.44269504f), magic = Set(12582912.0f);  // as in Exp
  const V shifted = x * scale + magic;
  const V f = x * scale - (shifted - magic);  // [-0.5, 0.5]
  V p = Set(1.535336188e-4f);
  p = p * f + 1.339887440e-3f;
  p = p * f + 9.618437358e-3f;
  p = p * f + 5.550332471e-2f;
  p = p * f + 2.402264791e-1f;
  p = p * f + 6.931472029e-1f;
  p = p * f + 1.0f;
  const VI exponent = (Bits(shifted) - Bits(magic) + 127) << 23;
  return Reciprocal(1.0f + p * FromBits(exponent));
}

/// Odd, absolute error below 1e-7, exact at 0.
TANDEM_INLINE V Tanh(V x) {
  const V e = Exp(Abs(x) * -2.0f);
  const V y = (1.0f - e) * Reciprocal(1.0f + e);
  return x < 0.0f ? -y : (x == x ? y : x);
}

/// sin and cos of (f * pi / 2) for f in [-0.5, 0.5].
TANDEM_INLINE void SinCosOctant(V f, V* sine, V* cosine) {
  const V x = f * 1.57079632679f;
  const V z = x * x;
  V s = Set(-1.9515295891e-4f);
  s = s * z + 8.3321608736e-3f;
  s = s * z - 1.6666654611e-1f;
  *sine = s * z * x + x;
  V c = Set(2.443315711809948e-5f);
  c = c * z - 1.388731625493765e-3f;
  c = c * z + 4.166664568298827e-2f;
  *cosine = c * z * z - z * 0.5f + 1.0f;
}

}  // namespace
}  // namespace tandem::nn
