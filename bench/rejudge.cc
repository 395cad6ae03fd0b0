/// Judges the checkpoints of a monitor's history once more, by the rule of this build:
///
///   bench_rejudge HISTORY.jsonl [FALSE_ALARM_INTERVAL]
///
/// Prints one JSON object a checkpoint: number, verdict, signal, evidence_log10,
/// evidence_early_log10 and early (0 or 1); and for each gap alone, and for the index where it
/// counts, what it reads ("read_<name>") and its own evidence against the tolerance
/// ("alone_<name>_log10"). For studies: what the same run would have been told by another rule or
/// another interval. Only for runs without a controller, for actions begin the evidence anew.
#include <cmath>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "common/coadaptation/verdict_process.h"
#include "services/monitor/core/history.h"

namespace {

using tandem::coadaptation::Checkpoint;
using tandem::coadaptation::Evidence;
using tandem::coadaptation::EvidenceLog10;
using tandem::coadaptation::Judgement;
using tandem::coadaptation::Reading;
using tandem::coadaptation::Thresholds;

/// Each signal, and the gap over 25 steps that is none, on its own.
class Alone {
 public:
  explicit Alone(const Thresholds& thresholds) : thresholds_(thresholds) {}

  void Judge(const Checkpoint& checkpoint, nlohmann::json* line) {
    for (const Reading& reading : ReadSignals(checkpoint, thresholds_)) {
      Show(SignalName(reading.signal), reading.value, reading.parts, checkpoint.number, line);
    }
    Show("gap_25", checkpoint.gap_25, {checkpoint.gap_25}, checkpoint.number, line);
  }

 private:
  void Show(const std::string& name, double value, const std::vector<double>& parts, double number,
            nlohmann::json* line) {
    Evidence& evidence =
        evidence_.try_emplace(name, Evidence({thresholds_.tolerance, thresholds_.bound}))
            .first->second;
    if (number > static_cast<double>(thresholds_.warmup_refits)) evidence.Update(parts);
    if (std::isfinite(value)) (*line)["read_" + name] = value;
    if (evidence.value() > 0) {
      (*line)["alone_" + name + "_log10"] = EvidenceLog10(evidence.value());
    }
  }

  const Thresholds thresholds_;
  std::map<std::string, Evidence> evidence_;
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
