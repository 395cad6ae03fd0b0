#include "common/coadaptation/verdict.h"

namespace tandem::coadaptation {
const char* VerdictName(Verdict verdict) {
  switch (verdict) {
    case Verdict::kWarmingUp:
      return "warming_up";
    case Verdict::kHealthy:
      return "healthy";
    case Verdict::kWarning:
      return "warning";
    case Verdict::kExploiting:
      return "exploiting";
    case Verdict::kPessimistic:
      return "pessimistic";
    case Verdict::kStale:
      return "stale";
  }
  return "unknown";
}

}  // namespace tandem::coadaptation
