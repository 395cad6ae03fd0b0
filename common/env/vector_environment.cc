#include "common/env/vector_environment.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/rng.h"

namespace tandem {

std::string_view FaultName(FaultKind kind) {
  switch (kind) {
    case FaultKind::kException:
      return "exception";
    case FaultKind::kCrashed:
      return "crashed";
    case FaultKind::kHung:
      return "hung";
    case FaultKind::kNotFinite:
      return "not_finite";
    case FaultKind::kWrongShape:
      return "wrong_shape";
    case FaultKind::kVanished:
      return "vanished";
  }
  return "unknown";
}

uint64_t EnvironmentSeed(uint64_t seed, int env) {
  return StreamSeed(seed, std::string("env/").append(std::to_string(env)));
}

VectorEnvironment::VectorEnvironment(EnvironmentSpec spec, int num_envs) : spec_(std::move(spec)) {
  const size_t n = static_cast<size_t>(num_envs);
  const size_t obs_dim = static_cast<size_t>(spec_.observation.dim());
  observations_.resize(n * obs_dim);
  final_observations_.resize(n * obs_dim);
  results_.resize(n);
  outcomes_.resize(n, Outcome::kAbsent);
}

absl::Status VectorEnvironment::WidenStart(double) { return NoStartRange(spec_); }

std::vector<EnvironmentFault> VectorEnvironment::TakeFaults() { return std::exchange(faults_, {}); }

absl::Status VectorEnvironment::CheckActions(std::span<const float> actions) const {
  const size_t expected = outcomes_.size() * static_cast<size_t>(spec_.action.dim());
  if (actions.size() == expected) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("expected ", expected, " numbers in the actions, got ", actions.size()));
}

std::span<float> VectorEnvironment::observation(int env) {
  const size_t obs_dim = static_cast<size_t>(spec_.observation.dim());
  return std::span(observations_).subspan(static_cast<size_t>(env) * obs_dim, obs_dim);
}

std::span<float> VectorEnvironment::final_observation(int env) {
  const size_t obs_dim = static_cast<size_t>(spec_.observation.dim());
  return std::span(final_observations_).subspan(static_cast<size_t>(env) * obs_dim, obs_dim);
}

}  // namespace tandem
