#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

namespace tandem::nn {

/// Floats in one row of a padded buffer are a multiple of this; buffers are aligned to as many.
inline constexpr int64_t kLanes = 16;

inline int64_t PadLanes(int64_t n) { return (n + kLanes - 1) / kLanes * kLanes; }

/// Aligns to 64 bytes: a cache line, and the widest vector.
template <typename T>
struct CacheAligned {
  using value_type = T;
  CacheAligned() = default;
  template <typename U>
  // Allocators convert. NOLINTNEXTLINE(google-explicit-constructor)
  CacheAligned(const CacheAligned<U>&) {}
  T* allocate(size_t n) {
    return static_cast<T*>(::operator new (n * sizeof(T), std::align_val_t{64}));
  }
  void deallocate(T* p, size_t) { ::operator delete (p, std::align_val_t{64}); }
  bool operator==(const CacheAligned&) const { return true; }
};
using AlignedFloats = std::vector<float, CacheAligned<float>>;

/// Scalars of one Adam step, bias corrections included.
struct AdamScalars {
  float beta1, beta2;
  float keep;          ///< 1 - lr * weight decay
  float step;          ///< lr / (1 - beta1^t)
  float second_scale;  ///< 1 / sqrt(1 - beta2^t)
  float epsilon;
};

/// What follows a product: nothing, max(x, 0), or x / (1 + e^-x).
enum class Activation { kNone, kRelu, kSilu };

/// Sums over rows of one output's Gaussian loss and of its gradient by the bounds.
struct NllSums {
  double loss = 0, d_low = 0, d_high = 0;
};

/// The vector loops of the explicit CPU path, compiled for several instruction sets; Kernels::Get
/// picks the widest that the machine has. Rows of matrices start `ld` floats apart, a multiple of
/// kLanes, and are aligned; loops run over the padding too. Arrays of rows ("[R]") are padded
/// likewise.
struct Kernels {
  static const Kernels& Get();

  const char* name;
  /// Depth (and, of a weight gradient, width) up to which `product` is at least as fast as the
  /// tensor library's: beyond it a panel of the weights no longer stays in cache.
  int64_t deepest_product;

  /// 32 standard normals for each of `blocks` blocks, a function of (key, block) alone.
  void (*fill_normal)(uint64_t key, uint64_t block, int64_t blocks, float* out);

  /// c[i, j] = activation(bias[j] + sum_k a[i * a_row + k * a_depth] w[k * ldw + j]). cols: a
  /// multiple of kLanes. bias: [cols] or null. slope: where SiLU's derivative goes, laid out as c,
  /// or null.
  void (*product)(const float* a, int64_t a_row, int64_t a_depth, const float* w, int64_t ldw,
                  const float* bias, int64_t rows, int64_t cols, int64_t depth,
                  Activation activation, float* c, int64_t ldc, float* slope);

  /// out[j, i] = w[i, j], and 0 for rows <= i < PadLanes(rows). ldo: at least that many.
  void (*transpose)(const float* w, int64_t ldw, int64_t rows, int64_t cols, float* out,
                    int64_t ldo);

  /// x = max(x + bias, 0), in place.
  void (*bias_relu)(float* x, int64_t rows, int64_t ld, const float* bias);
  /// x = silu(x + bias), in place; its derivative goes to `slope` unless that is null.
  void (*bias_silu)(float* x, int64_t rows, int64_t ld, const float* bias, float* slope);
  /// g *= slope, and the sums over rows to `sum`, [ld].
  void (*scale_and_sum)(float* g, const float* slope, int64_t rows, int64_t ld, float* sum);
  /// g[i] = 0 where h[index[i]] <= 0, and the sums over rows to `sum`, [ld], unless that is null.
  /// index: [rows], or null for all rows in order.
  void (*mask_and_sum)(float* g, const float* h, const int32_t* index, int64_t rows, int64_t ld,
                       float* sum);
  /// out[i, j] = h[index[i], j] > 0 ? factor[i] * weight[j] : 0, and its sums as above.
  void (*masked_outer)(const float* factor, const float* weight, const float* h,
                       const int32_t* index, int64_t rows, int64_t ld, float* out, float* sum);
  /// out[i] = sum_j x[i, j] weight[j].
  void (*row_dots)(const float* x, const float* weight, int64_t rows, int64_t ld, float* out);

  /// p, m and v after one step on g. n: a multiple of kLanes.
  void (*adam)(float* p, const float* g, float* m, float* v, int64_t n, const AdamScalars& s);
  /// target += rate * (p - target).
  void (*approach)(float* target, const float* p, int64_t n, float rate);

  /// One output's bounded log variance over R rows, and its standard deviation.
  void (*bounded_log_var)(const float* raw, float low, float high, int64_t n, float* log_var,
                          float* std);
  /// Gaussian loss of one output over R rows, weight[i] ((mean - target)^2 exp(-lv) + lv), and its
  /// gradients by mean and raw log variance (before the bounds).
  NllSums (*gaussian_loss)(const float* mean, const float* raw, const float* target,
                           const float* weight, float low, float high, int64_t n, float* d_mean,
                           float* d_raw);
  /// Binary cross-entropy of one logit over R rows, times weight[i], and its gradient.
  double (*binary_loss)(const float* logit, const float* target, const float* weight, int64_t n,
                        float* d_logit);

  /// One action dimension of a squashed Gaussian over R rows: action = tanh(mean + std noise), std,
  /// and log_prob += log density. noise: null for the mean.
  void (*squash)(const float* mean, const float* log_std, const float* noise, int64_t n,
                 float* action, float* std, float* log_prob);
};

namespace internal {
extern const Kernels kGenericKernels;
#if defined(__x86_64__)
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;
#endif
}  // namespace internal

}  // namespace tandem::nn
