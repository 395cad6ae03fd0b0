#define TANDEM_LANES 8
#define TANDEM_DEEPEST 32
#define TANDEM_KERNELS kAvx2Kernels
#define TANDEM_KERNELS_NAME "avx2"
#include "common/nn/kernels_impl.h"
