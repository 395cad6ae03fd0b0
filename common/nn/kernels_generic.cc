#define TANDEM_LANES 4
#define TANDEM_DEEPEST 32
#define TANDEM_KERNELS kGenericKernels
#define TANDEM_KERNELS_NAME "generic"
#include "common/nn/kernels_impl.h"
