#include "common/env/simulation.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace tandem {
namespace {

absl::Status ExpectSize(const std::string& env, const char* what, int64_t expected, size_t got) {
  if (static_cast<size_t>(expected) == got) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(env, ": expected ", expected, " numbers in the ", what, ", got ", got));
}

}  // namespace

Simulation::Simulation(EnvironmentSpec spec, const EnvironmentOptions& options)
    : spec_(std::move(spec)), clipped_(spec_.action.low.size()) {
  if (options.max_episode_steps > 0) spec_.max_episode_steps = options.max_episode_steps;
}

absl::Status Simulation::Reset(std::optional<uint64_t> seed, std::span<float> observation) {
  if (seed.has_value()) rng_ = Rng(*seed);
  start_.resize(state_dim());
  DrawState(rng_, start_scale_, start_);
  return SetState(start_, observation);
}

absl::Status Simulation::SetState(std::span<const double> state, std::span<float> observation) {
  TANDEM_RETURN_IF_ERROR(
      ExpectSize(spec_.name, "state", static_cast<int64_t>(state_dim()), state.size()));
  TANDEM_RETURN_IF_ERROR(
      ExpectSize(spec_.name, "observation", spec_.observation.dim(), observation.size()));
  Enter(state);
  steps_ = 0;
  running_ = true;
  Observe(observation);
  return absl::OkStatus();
}

absl::Status Simulation::SetObservation(std::span<const float> observation) {
  TANDEM_RETURN_IF_ERROR(
      ExpectSize(spec_.name, "observation", spec_.observation.dim(), observation.size()));
  start_.resize(state_dim());
  TANDEM_RETURN_IF_ERROR(StateFrom(observation, start_));
  Enter(start_);
  steps_ = 0;
  running_ = true;
  return absl::OkStatus();
}

absl::Status Simulation::StateFrom(std::span<const float>, std::span<double>) const {
  return absl::FailedPreconditionError(
      absl::StrCat(spec_.name, ": an observation does not determine the state"));
}

absl::Status Simulation::WidenStart(double scale) {
  if (!HasStartRange()) return Environment::WidenStart(scale);
  if (!(scale > 0) || std::isinf(scale)) {
    return absl::InvalidArgumentError(
        absl::StrCat(spec_.name, ": expected a finite scale of the start > 0, got ", scale));
  }
  start_scale_ = scale;
  return absl::OkStatus();
}

absl::StatusOr<StepResult> Simulation::Step(std::span<const float> action,
                                            std::span<float> observation) {
  if (!running_) {
    return absl::FailedPreconditionError(
        absl::StrCat(spec_.name, ": the episode has ended; expected Reset before Step"));
  }
  TANDEM_RETURN_IF_ERROR(ExpectSize(spec_.name, "action", spec_.action.dim(), action.size()));
  TANDEM_RETURN_IF_ERROR(
      ExpectSize(spec_.name, "observation", spec_.observation.dim(), observation.size()));
  for (size_t i = 0; i < action.size(); ++i) {
    if (!std::isfinite(action[i])) {
      return absl::InvalidArgumentError(absl::StrCat(spec_.name, ": expected finite actions, got ",
                                                     action[i], " in element ", i));
    }
    clipped_[i] = std::clamp(action[i], spec_.action.low[i], spec_.action.high[i]);
  }
  absl::StatusOr<StepResult> result = Advance(clipped_);
  ++steps_;
  if (!result.ok()) {
    running_ = false;
    return result.status();
  }
  Observe(observation);
  for (size_t i = 0; i < observation.size(); ++i) {
    if (!std::isfinite(observation[i]) || !std::isfinite(result->reward)) {
      running_ = false;
      return absl::InternalError(absl::StrCat(spec_.name, ": the simulation diverged at step ",
                                              steps_, ": observation ", i, " is ", observation[i],
                                              ", the reward is ", result->reward));
    }
  }
  result->truncated = !result->terminated && steps_ == spec_.max_episode_steps;
  running_ = !result->terminated && !result->truncated;
  return result;
}

void NeverTerminal(std::span<const float>, int64_t, std::span<uint8_t> out) {
  std::fill(out.begin(), out.end(), uint8_t{0});
}

}  // namespace tandem
