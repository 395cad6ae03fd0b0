#include "common/nn/kernels.h"

namespace tandem::nn {

const Kernels& Kernels::Get() {
#if defined(__x86_64__)
  static const Kernels& best =
      __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
              __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")
          ? internal::kAvx512Kernels
      : __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? internal::kAvx2Kernels
                                                                        : internal::kGenericKernels;
  return best;
#else
  return internal::kGenericKernels;
#endif
}

}  // namespace tandem::nn
