/// Judges the checkpoints of a monitor's history once more, by the rule of this build:
///
///   bench_rejudge HISTORY.jsonl [FALSE_ALARM_INTERVAL]
///
/// Prints one JSON object a checkpoint: number, verdict, signal, evidence_log10,
/// evidence_early_log10 and early (0 or 1); and for each gap alone, and for the index where it
/// counts, what it reads ("read_<name>") and its own evidence against the tolerance
/// ("alone_<name>_log10"). For studies: what the same run would have been told by another rule or
/// another interval. Only for runs without a controller, for actions begin the evidence anew.
#include <array>
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/numbers.h"
#include "common/coadaptation/signal_evidence.h"
#include "common/coadaptation/verdict_process.h"
#include "services/monitor/core/history.h"

namespace {

using tandem::coadaptation::Checkpoint;
using tandem::coadaptation::Evidence;
using tandem::coadaptation::EvidenceLog10;
using tandem::coadaptation::Judgement;
using tandem::coadaptation::Readings;
using tandem::coadaptation::SignalEvidence;
using tandem::coadaptation::Thresholds;

/// Each signal, and the gap over 25 steps that is none, on its own.
class Alone {
 public:
  explicit Alone(const Thresholds& thresholds)
      : thresholds_(thresholds),
        signals_({thresholds.tolerance, thresholds.bound}),
        gap_25_({thresholds.tolerance, thresholds.bound}) {}

  void Judge(const Checkpoint& checkpoint, nlohmann::json* line) {
    const Readings readings = ReadSignals(checkpoint, thresholds_);
    if (checkpoint.number > static_cast<double>(thresholds_.warmup_refits)) {
      signals_.Update(readings);
      gap_25_.Update(std::array{checkpoint.gap_25});
    }
    for (size_t i = 0; i < readings.size(); ++i) {
      Show(SignalName(readings[i].signal), readings[i].value, signals_.value(i), line);
    }
    Show("gap_25", checkpoint.gap_25, gap_25_.value(), line);
  }

 private:
  static void Show(const std::string& name, double value, double evidence, nlohmann::json* line) {
    if (std::isfinite(value)) (*line)["read_" + name] = value;
    if (evidence > 0) (*line)["alone_" + name + "_log10"] = EvidenceLog10(evidence);
  }

  const Thresholds thresholds_;
  SignalEvidence signals_;
  Evidence gap_25_;
};

}  // namespace

int main(int argc, char** argv) {
  Thresholds thresholds;
  if (argc < 2 || argc > 3 ||
      (argc == 3 && (!absl::SimpleAtod(argv[2], &thresholds.false_alarm_interval) ||
                     !(thresholds.false_alarm_interval >= 1)))) {
    std::cerr << "bench_rejudge: expected HISTORY.jsonl [FALSE_ALARM_INTERVAL >= 1]\n";
    return 2;
  }
  const auto history = tandem::monitor::History::Open(argv[1]);
  if (!history.ok()) {
    std::cerr << "bench_rejudge: " << history.status().ToString() << "\n";
    return 1;
  }
  tandem::coadaptation::VerdictProcess process(thresholds);
  Alone alone(thresholds);
  for (const auto& entry : (*history)->Read(0, 0, tandem::monitor::History::kKept).checkpoints) {
    const Judgement judgement = process.Judge(entry.checkpoint);
    nlohmann::json line = {{"number", entry.checkpoint.number},
                           {"verdict", VerdictName(judgement.verdict)},
                           {"signal", judgement.signal},
                           {"early", judgement.early ? 1 : 0}};
    if (judgement.evidence > 0) line["evidence_log10"] = EvidenceLog10(judgement.evidence);
    if (judgement.evidence_early > 0) {
      line["evidence_early_log10"] = EvidenceLog10(judgement.evidence_early);
    }
    alone.Judge(entry.checkpoint, &line);
    std::cout << line.dump() << "\n";
  }
  return 0;
}
