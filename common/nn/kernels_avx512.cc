#define TANDEM_LANES 16
#define TANDEM_DEEPEST 256
#define TANDEM_KERNELS kAvx512Kernels
#define TANDEM_KERNELS_NAME "avx512"
#include "common/nn/kernels_impl.h"
