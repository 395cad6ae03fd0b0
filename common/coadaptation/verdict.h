#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace tandem::coadaptation {

/// In the order of tandem.monitor.v1.Verdict.
enum class Verdict {
  kWarmingUp = 1,
  kHealthy = 2,
  kWarning = 3,
  kExploiting = 4,
  kPessimistic = 5,
  kStale = 6,
  /// No signal counts, or the evidence began anew at a restart and no model has come since.
  kVoid = 7,
};
inline constexpr int kVerdicts = 7;  ///< They count from 1.

/// "warming_up", "healthy", ...: how metrics and commands write it.
const char* VerdictName(Verdict verdict);

inline constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

/// Evidence as it is written and drawn; NaN for none, 0, whose logarithm is not finite. Pure.
double EvidenceLog10(double evidence);

/// What is said of one checkpoint. Plain data.
struct Judgement {
  Verdict verdict = Verdict::kWarmingUp;
  std::string sentence;  ///< The verdict for a human, with the figures behind it.
  std::string signal;    ///< SignalName of the one that carries the verdict; empty where none does.
  double evidence = 0;   ///< For exploitation; confirmed at `level`.
  double level = kUnknown;          ///< Evidence at which an alarm is confirmed now.
  double evidence_early = 0;        ///< Against the warning threshold, see VerdictProcess.
  double evidence_negative = 0;     ///< For a model that undersells the policy.
  double warning_score = kUnknown;  ///< 0 (nothing unusual) to 1.
  double largest = kUnknown;        ///< Value of the largest signal that counts, as a share.
  bool early = false;               ///< Early or confirmed: a rate is promised, see VerdictProcess.
  bool clean = false;  ///< The 90 % upper bound of every signal is below half the tolerance.
  std::vector<std::string> warnings;  ///< Of UnusualFigures(), those unusually high.
};

}  // namespace tandem::coadaptation
