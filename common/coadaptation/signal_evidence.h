#pragma once

#include <array>

#include "common/coadaptation/evidence.h"
#include "common/coadaptation/signals.h"

namespace tandem::coadaptation {

/// The evidence of all signals against one tolerance: an Evidence for each, and the mean over those
/// fed so far. Sums of supermartingales are supermartingales however they depend on each other, so
/// the mean has the bound on false alarms that each of them has. Not thread-safe; a plain value.
class SignalEvidence {
 public:
  using Memory = std::array<Evidence::Memory, kSignals.size()>;

  explicit SignalEvidence(const EvidenceOptions& options)
      : signals_{Evidence(options), Evidence(options), Evidence(options)} {}

  /// Takes what one checkpoint brings; a signal that does not count brings nothing.
  void Update(const Readings& readings);
  void Reset();

  double value() const;  ///< The mean; 0 before the first update.
  double value(size_t signal) const { return signals_[signal].value(); }
  Memory memory() const;
  void Restore(const Memory& memory);

 private:
  std::array<Evidence, kSignals.size()> signals_;
};

}  // namespace tandem::coadaptation
