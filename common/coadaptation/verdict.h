#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "common/coadaptation/thresholds.h"

namespace tandem::coadaptation {

/// In the order of tandem.monitor.v1.Verdict.
enum class Verdict {
  kWarmingUp = 1,
  kHealthy = 2,
  kWarning = 3,
  kExploiting = 4,
  kPessimistic = 5,
  kStale = 6,
};

/// "warming_up", "healthy", ...: how metrics and commands write it.
const char* VerdictName(Verdict verdict);

inline constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

/// What is known; NaN where it is not. Shares are in units of return_scale.
struct Figures {
  double index = kUnknown;         ///< Mean of b over the discounted occupancy, as a share.
  double index_reward = kUnknown;  ///< Its parts.
  double index_dynamics = kUnknown;
  double index_termination = kUnknown;
  double residual = kUnknown;  ///< Mean of c, as a share.
  double model_return = kUnknown;
  double real_return = kUnknown;
  double return_gap = kUnknown;  ///< As a share.
  double return_scale = kUnknown;
  int gaps_above_tolerance = 0;  ///< Comparisons of returns above tolerance, newest in a row.
  int64_t window_steps = 0;      ///< Fresh steps behind the index [steps].
  int64_t refits = 0;            ///< Models published so far.
  double age_seconds = -1;       ///< Since the figures were last computed [s]; < 0: never.
};

struct Judgement {
  Verdict verdict = Verdict::kWarmingUp;
  std::string sentence;  ///< The verdict for a human, with the figures behind it.
  std::string signal;    ///< SignalName of the one that carries the verdict; empty where none does.
  double evidence = 0;   ///< For exploitation; confirmed at the false-alarm interval.
  double evidence_negative = 0;     ///< For a model that undersells the policy.
  double warning_score = kUnknown;  ///< 0 (nothing unusual) to 1.
  double largest = kUnknown;        ///< Value of the largest signal that counts, as a share.
  bool clean = false;  ///< The 90 % upper bound of every signal is below half the tolerance.
  std::vector<std::string> warnings;  ///< Fields of the checkpoint that are unusually high.
};

/// Judges the figures by fixed thresholds, in this order. Pure.
///  stale        they were computed too long ago;
///  warming up   too few refits or fresh steps, or nothing to judge by;
///  exploiting   the index is above the tolerance, or the return gap was gap_confirmations times in
///  a
///               row;
///  pessimistic  the index is below minus the tolerance (the gap alone does not count here:
///  imagined
///               returns over a whole episode are often low in healthy training);
///  warning      the index or the gap is above the warning threshold;
///  healthy      otherwise.
/// The index counts only where the critic fits the model, |residual| <= residual_limit: a critic
/// that lags behind hides the model's errors. Elsewhere the gap alone decides, and the sentence
/// says so. These are thresholds on estimates, not a test: no rate of false alarms is promised.
Judgement Judge(const Figures& figures, const Thresholds& thresholds);

}  // namespace tandem::coadaptation
