#include "services/monitor/core/judge.h"

#include <utility>

#include "common/base/status_macros.h"

namespace tandem::monitor {

absl::StatusOr<std::unique_ptr<Judge>> Judge::Create(const JudgeOptions& options, Clock* clock,
                                                     metrics::Registry* registry) {
  TANDEM_ASSIGN_OR_RETURN(std::unique_ptr<History> history, History::Open(options.history_path));
  return std::unique_ptr<Judge>(new Judge(options, "", std::move(history), clock, registry));
}

Judge::Judge(const JudgeOptions& options, std::string token, std::unique_ptr<History> history,
             Clock* clock, metrics::Registry* registry)
    : options_(options),
      token_(std::move(token)),
      history_(std::move(history)),
      clock_(clock),
      desk_(options.desk, clock, registry) {}

Judge::~Judge() { Stop(); }
void Judge::Start() {}
void Judge::Stop() {}
void Judge::Beat() { desk_.Tick(); }

Ruling Judge::OnCheckpoint(const coadaptation::Checkpoint& checkpoint) {
  MutexLock lock(mu_);
  report_.checkpoint = checkpoint;
  judged_at_ = clock_->Monotonic();
  ++report_.checkpoints;
  history_->Append(HistoryCheckpoint{checkpoint, report_.judgement}).IgnoreError();
  return {desk_.current().version, -1};
}

void Judge::OnEvaluation(const HistoryEvaluation& evaluation) {
  history_->Append(evaluation).IgnoreError();
}

Ruling Judge::ruling() { return {desk_.current().version, -1}; }

JudgeReport Judge::Report() {
  MutexLock lock(mu_);
  return report_;
}

absl::StatusOr<coadaptation::Directive> Judge::SetOverride(coadaptation::Knob,
                                                           std::optional<double>,
                                                           const std::string&, const std::string&) {
  return absl::PermissionDeniedError("this run allows no overrides");
}

absl::Status Judge::Acknowledge(const Acknowledgement& acknowledgement) {
  return desk_.Acknowledge(acknowledgement);
}

}  // namespace tandem::monitor
