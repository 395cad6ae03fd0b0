/// Judges the checkpoints of a monitor's history once more, by the rule of this build:
///
///   bench_rejudge HISTORY.jsonl [FALSE_ALARM_INTERVAL]
///
/// Prints one JSON object a checkpoint: number, verdict, signal, evidence_log10. For studies: what
/// the same run would have been told by another rule or another interval. Only for runs without a
/// controller, for actions begin the evidence anew.
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/numbers.h"
#include "common/coadaptation/verdict_process.h"
#include "services/monitor/core/history.h"

int main(int argc, char** argv) {
  tandem::coadaptation::Thresholds thresholds;
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
  for (const auto& entry : (*history)->Read(0, 0, tandem::monitor::History::kKept).checkpoints) {
    const tandem::coadaptation::Judgement judgement = process.Judge(entry.checkpoint);
    nlohmann::json line = {{"number", entry.checkpoint.number},
                           {"verdict", VerdictName(judgement.verdict)},
                           {"signal", judgement.signal}};
    if (judgement.evidence > 0)
      line["evidence_log10"] = tandem::coadaptation::EvidenceLog10(judgement.evidence);
    std::cout << line.dump() << "\n";
  }
  return 0;
}
