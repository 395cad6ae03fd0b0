#include "services/actor/own_loop/loop_environment.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace tandem::actor {

LoopEnvironment::LoopEnvironment(EnvironmentSpec spec) : VectorEnvironment(std::move(spec), 1) {}

absl::Status LoopEnvironment::CheckObservation(std::span<const float> observation) const {
  const size_t expected = static_cast<size_t>(spec_.observation.dim());
  if (observation.size() != expected) {
    return absl::InvalidArgumentError(absl::StrCat(spec_.name, ": expected ", expected,
                                                   " numbers in the observation, got ",
                                                   observation.size()));
  }
  for (size_t i = 0; i < expected; ++i) {
    if (std::isfinite(observation[i])) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        spec_.name, ": expected finite observations, got ", observation[i], " in element ", i));
  }
  return absl::OkStatus();
}

template <typename Ready>
absl::Status LoopEnvironment::Await(Ready ready) {
  while (!stopped_ && !ready()) changed_.Wait(mu_);
  return stopped_ ? absl::CancelledError("the actor has stopped") : absl::OkStatus();
}

absl::Status LoopEnvironment::Begin(std::span<const float> observation) {
  TANDEM_RETURN_IF_ERROR(CheckObservation(observation));
  MutexLock lock(mu_);
  if (stopped_) return absl::CancelledError("the actor has stopped");
  left_ = left_ || turn_ != Turn::kBegin;
  now_.assign(observation.begin(), observation.end());
  turn_ = Turn::kChoose;
  changed_.NotifyAll();
  return absl::OkStatus();
}

absl::StatusOr<std::span<const float>> LoopEnvironment::Act() {
  MutexLock lock(mu_);
  if (turn_ == Turn::kBegin) return absl::FailedPreconditionError("expected Begin before Act");
  if (turn_ == Turn::kRecord) return absl::FailedPreconditionError("expected Record before Act");
  TANDEM_RETURN_IF_ERROR(
      Await([this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return turn_ == Turn::kAct; }));
  taken_ = action_;
  turn_ = Turn::kRecord;
  return std::span<const float>(taken_);
}

absl::Status LoopEnvironment::Record(float reward, std::span<const float> observation,
                                     bool terminated, bool truncated) {
  TANDEM_RETURN_IF_ERROR(CheckObservation(observation));
  if (!std::isfinite(reward)) {
    return absl::InvalidArgumentError(
        absl::StrCat(spec_.name, ": expected a finite reward, got ", reward));
  }
  MutexLock lock(mu_);
  if (stopped_) return absl::CancelledError("the actor has stopped");
  if (turn_ != Turn::kRecord) return absl::FailedPreconditionError("expected Act before Record");
  result_ = {.reward = reward, .terminated = terminated, .truncated = truncated && !terminated};
  after_.assign(observation.begin(), observation.end());
  now_ = after_;
  recorded_ = true;
  turn_ = terminated || truncated ? Turn::kBegin : Turn::kChoose;
  changed_.NotifyAll();
  return absl::OkStatus();
}

void LoopEnvironment::Start() {
  left_ = false;
  std::copy(now_.begin(), now_.end(), observation(0).begin());
  outcomes_[0] = Outcome::kStarted;
}

absl::Status LoopEnvironment::ResetAll(std::optional<uint64_t>) {
  MutexLock lock(mu_);
  TANDEM_RETURN_IF_ERROR(
      Await([this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return turn_ == Turn::kChoose; }));
  Start();
  return absl::OkStatus();
}

absl::Status LoopEnvironment::Step(std::span<const float> actions) {
  TANDEM_RETURN_IF_ERROR(CheckActions(actions));
  MutexLock lock(mu_);
  const bool ended = results_[0].ended();
  if (outcomes_[0] == Outcome::kLost || (outcomes_[0] == Outcome::kStepped && ended)) {
    TANDEM_RETURN_IF_ERROR(
        Await([this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return turn_ == Turn::kChoose; }));
    Start();
    return absl::OkStatus();
  }
  if (!left_) {
    action_.assign(actions.begin(), actions.end());
    turn_ = Turn::kAct;
    changed_.NotifyAll();
    TANDEM_RETURN_IF_ERROR(
        Await([this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return recorded_ || left_; }));
  }
  if (!recorded_) {
    outcomes_[0] = Outcome::kLost;
    return absl::OkStatus();
  }
  recorded_ = false;
  results_[0] = result_;
  outcomes_[0] = Outcome::kStepped;
  std::copy(after_.begin(), after_.end(), observation(0).begin());
  std::copy(after_.begin(), after_.end(), final_observation(0).begin());
  return absl::OkStatus();
}

void LoopEnvironment::Stop() {
  MutexLock lock(mu_);
  stopped_ = true;
  changed_.NotifyAll();
}

}  // namespace tandem::actor
