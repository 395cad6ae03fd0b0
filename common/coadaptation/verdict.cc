#include "common/coadaptation/verdict.h"

#include <cmath>

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
    case Verdict::kVoid:
      return "void";
  }
  return "unknown";
}

double EvidenceLog10(double evidence) { return evidence > 0 ? std::log10(evidence) : kUnknown; }

}  // namespace tandem::coadaptation
