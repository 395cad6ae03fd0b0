#pragma once

#include <array>
#include <cstdint>

namespace tandem::coadaptation {

struct EvidenceOptions {
  /// The null hypothesis: the mean of max(value, tolerance - bound), given the past, is at most
  /// this share of S.
  double tolerance = 0.2;
  /// With a bound as large as the tolerance the null is about the mean of the positive part. A
  /// smaller bound finds a large gap sooner. There is no clip above: it would only cost power.
  double bound = 0.2;
};

/// Sequential evidence against "at most the tolerance": a mixture of Shiryaev-Roberts e-detectors
/// (Shin, Ramdas and Rinaldo 2022), one for each bet l in kBets:
///     M_l <- (1 + l x) (M_l + 1),   x = max((value - tolerance) / bound, -1),
///     evidence = mean of M_l.
/// Under the null evidence minus the number of updates is a supermartingale, so the mean number of
/// updates until evidence >= A is at least A (average run length), whatever the distribution: one
/// update is what may depend on the past only through the null, which here is one checkpoint.
///
/// Not thread-safe. Plain value: copying it saves and restores it.
class Evidence {
 public:
  static constexpr std::array<double, 6> kBets = {0.05, 0.1, 0.2, 0.4, 0.7, 0.95};

  /// What it needs to go on after a restart. Plain data.
  struct Memory {
    std::array<double, kBets.size()> state{};  ///< M_l of each bet.
    int64_t updates = 0;                       ///< Since the start, resets included.
    int64_t clipped = 0;                       ///< Of those, clipped below.
  };

  explicit Evidence(const EvidenceOptions& options) : options_(options) {}

  /// Takes one value, in units of S; NaN is left out.
  void Update(double value);
  /// After an action the past no longer tells: start again. Counters stay.
  void Reset();

  double value() const;  ///< >= 0; 0 before the first update.
  const Memory& memory() const { return memory_; }
  void Restore(const Memory& memory) { memory_ = memory; }

 private:
  EvidenceOptions options_;
  Memory memory_;
};

}  // namespace tandem::coadaptation
