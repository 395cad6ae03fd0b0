#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace tandem::coadaptation {

struct EvidenceOptions {
  /// The null hypothesis: the mean of max(value, tolerance - bound), given the past, is at most
  /// this share of S.
  double tolerance = 0.2;
  /// With a bound as large as the tolerance the null is about the mean of the positive part. A
  /// smaller bound finds a gap sooner and allows for less noise around a gap of 0: at half the
  /// tolerance a standard deviation of 0.36 for each value, at the whole of it 0.5. There is no
  /// clip above: it would only cost power.
  double bound = 0.1;
};

/// Sequential evidence against "at most the tolerance": a mixture of Shiryaev-Roberts e-detectors
/// (Shin, Ramdas and Rinaldo 2022), one for each bet l in kBets. A checkpoint brings one or more
/// values, one after the other:
///     M_l <- (M_l + 1) * product over values of (1 + l x),
///     x = max((value - tolerance) / bound, -1),     evidence = mean of M_l.
/// Under the null (for each value, given all before it and what it shares with others of its
/// checkpoint: model and policy) every factor has a mean of at most 1. So evidence minus the number
/// of checkpoints is a supermartingale, and the mean number of checkpoints until evidence >= A is
/// at least A (average run length), whatever the distribution and however many values each brings.
///
/// Not thread-safe. Plain value: copying it saves and restores it.
class Evidence {
 public:
  static constexpr std::array<double, 6> kBets = {0.05, 0.1, 0.2, 0.4, 0.7, 0.95};

  /// What it needs to go on after a restart. Plain data.
  struct Memory {
    std::array<double, kBets.size()> state{};  ///< M_l of each bet.
    int64_t updates = 0;                       ///< Values since the start, resets included.
    int64_t clipped = 0;                       ///< Of those, clipped below.
  };

  explicit Evidence(const EvidenceOptions& options) : options_(options) {}

  /// Takes the values of one checkpoint, in units of S; NaN is left out. Without any it is none.
  void Update(std::span<const double> values);
  void Update(double value) { Update(std::span<const double>(&value, 1)); }
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
