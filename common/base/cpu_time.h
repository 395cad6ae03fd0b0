#pragma once

#include <ctime>

namespace tandem {

/// CPU time that this process has used so far, in user and system mode, of all its threads [s].
inline double CpuSeconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

}  // namespace tandem
