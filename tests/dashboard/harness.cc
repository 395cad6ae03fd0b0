// The dashboard over a real judge, for the tests of the page: reads one command a line from
// standard input and answers each with a line. Time stands still but for "advance".
//   checkpoint {"number": 1, "index": 0.3, ...}   judges it; null or absent: not known
//   report {"env_steps": 500, ...}                  what moves between two checkpoints
//   end {"outcome": "done", "reason": "...", "report": "..."}   the run is over
//   advance SECONDS                               time passes
// Arguments: address of the dashboard, folder for the history, file with the token or "".
#include <iostream>
#include <string>

#include <nlohmann/json.hpp>

#include "services/monitor/web/dashboard.h"

namespace tandem::monitor {
namespace {

using Json = nlohmann::json;

double Number(const Json& json, const char* name) {
  const auto found = json.find(name);
  return found != json.end() && found->is_number() ? found->get<double>() : coadaptation::kUnknown;
}

coadaptation::Checkpoint CheckpointFrom(const Json& json) {
  coadaptation::Checkpoint checkpoint;
  for (const coadaptation::CheckpointField& field : coadaptation::CheckpointFields()) {
    checkpoint.*field.member = Number(json, field.name);
  }
  return checkpoint;
}

/// Serves the dashboard of one judge. Thread-safe for the dashboard's threads.
class Harness {
 public:
  absl::Status Start(const std::string& address, const std::string& folder,
                     const std::string& token_file) {
    JudgeOptions options;
    options.history_path = folder + "/history.jsonl";
    options.token_file = token_file;
    auto judge = Judge::Create(options, &clock_, &registry_);
    if (!judge.ok()) return judge.status();
    judge_ = *std::move(judge);
    auto served = ServeDashboard({address, folder, Facts()}, Source(), &clock_);
    if (!served.ok()) return served.status();
    served_ = *std::move(served);
    return absl::OkStatus();
  }

  std::string address() const { return served_.address(); }

  void Do(const std::string& line) {
    const std::string command = line.substr(0, line.find(' '));
    const std::string rest = line.substr(std::min(line.size(), command.size() + 1));
    if (command == "checkpoint") judge_->OnCheckpoint(CheckpointFrom(Json::parse(rest)));
    if (command == "advance") clock_.Advance(absl::Seconds(std::stod(rest)));
    if (command == "end") {
      const Json json = Json::parse(rest);
      served_.dashboard->End({json["outcome"], json["reason"], json["report"]});
    }
    if (command == "report") {
      const Json json = Json::parse(rest);
      MutexLock lock(mu_);
      report_.env_steps = json.value("env_steps", int64_t{0});
      report_.fresh_steps_scored = json.value("fresh_steps_scored", int64_t{0});
      report_.model_version = json.value("model_version", uint64_t{0});
      report_.policy_version = json.value("policy_version", uint64_t{0});
      report_.training_return = Number(json, "training_return");
    }
    judge_->Beat();
  }

 private:
  static RunFacts Facts() {
    RunFacts facts;
    facts.name = "pendulum-s0";
    facts.environment = "pendulum";
    facts.max_env_steps = 5000;
    facts.tolerance = 0.2;
    facts.warning = 0.1;
    facts.false_alarm_interval = 200;
    facts.control = "advise";
    facts.recipe = {{coadaptation::Knob::kRealShare, 0.05}};
    return facts;
  }

  DashboardSource Source() {
    DashboardSource source = SourceOf(judge_.get());
    source.report = [this] {
      MutexLock lock(mu_);
      return report_;
    };
    return source;
  }

  FakeClock clock_;
  metrics::Registry registry_;
  std::unique_ptr<Judge> judge_;
  Mutex mu_;
  Report report_ ABSL_GUARDED_BY(mu_);
  ServedDashboard served_;
};

int Main(int argc, char** argv) {
  if (argc != 4) return 2;
  Harness harness;
  const absl::Status status = harness.Start(argv[1], argv[2], argv[3]);
  if (!status.ok()) {
    std::cerr << status << "\n";
    return 1;
  }
  std::cout << harness.address() << std::endl;
  std::string line;
  while (std::getline(std::cin, line)) {
    harness.Do(line);
    std::cout << "done" << std::endl;
  }
  return 0;
}

}  // namespace
}  // namespace tandem::monitor

int main(int argc, char** argv) { return tandem::monitor::Main(argc, argv); }
