#include "common/env/vector_environment.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/rng.h"
#include "common/base/status_macros.h"

namespace tandem {

absl::StatusOr<std::unique_ptr<VectorEnvironment>> VectorEnvironment::Create(
    const std::string& name, int num_envs, uint64_t seed, const EnvironmentOptions& options) {
  std::vector<std::unique_ptr<Environment>> envs;
  for (int i = 0; i < num_envs; ++i) {
    TANDEM_ASSIGN_OR_RETURN(std::unique_ptr<Environment> env, MakeEnvironment(name, options));
    envs.push_back(std::move(env));
  }
  return Create(std::move(envs), seed);
}

absl::StatusOr<std::unique_ptr<VectorEnvironment>> VectorEnvironment::Create(
    std::vector<std::unique_ptr<Environment>> envs, uint64_t seed) {
  if (envs.empty()) return absl::InvalidArgumentError("expected at least 1 environment, got 0");
  for (const auto& env : envs) {
    if (env->spec() == envs[0]->spec()) continue;
    return absl::InvalidArgumentError(absl::StrCat("expected environments of one spec, got ",
                                                   envs[0]->spec().name, " and another ",
                                                   env->spec().name));
  }
  std::unique_ptr<VectorEnvironment> all(new VectorEnvironment);
  all->envs_ = std::move(envs);
  const size_t n = all->envs_.size();
  const size_t obs_dim = static_cast<size_t>(all->spec().observation.dim());
  all->observations_.resize(n * obs_dim);
  all->final_observations_.resize(n * obs_dim);
  all->results_.resize(n);
  all->diverged_.resize(n);
  TANDEM_RETURN_IF_ERROR(all->ResetAll(seed));
  return all;
}

const EnvironmentSpec& VectorEnvironment::spec() const { return envs_[0]->spec(); }

absl::Status VectorEnvironment::ResetAll(std::optional<uint64_t> seed) {
  const size_t obs_dim = static_cast<size_t>(spec().observation.dim());
  for (size_t i = 0; i < envs_.size(); ++i) {
    std::optional<uint64_t> own;
    if (seed.has_value()) own = StreamSeed(*seed, std::string("env/").append(std::to_string(i)));
    TANDEM_RETURN_IF_ERROR(
        envs_[i]->Reset(own, std::span(observations_).subspan(i * obs_dim, obs_dim)));
  }
  return absl::OkStatus();
}

absl::Status VectorEnvironment::WidenStart(double scale) {
  for (const auto& env : envs_) TANDEM_RETURN_IF_ERROR(env->WidenStart(scale));
  return absl::OkStatus();
}

absl::Status VectorEnvironment::Step(std::span<const float> actions) {
  const size_t obs_dim = static_cast<size_t>(spec().observation.dim());
  const size_t action_dim = static_cast<size_t>(spec().action.dim());
  if (actions.size() != envs_.size() * action_dim) {
    return absl::InvalidArgumentError(absl::StrCat(
        "expected ", envs_.size() * action_dim, " numbers in the actions, got ", actions.size()));
  }
  for (size_t i = 0; i < envs_.size(); ++i) {
    const std::span<float> now = std::span(observations_).subspan(i * obs_dim, obs_dim);
    const std::span<float> last = std::span(final_observations_).subspan(i * obs_dim, obs_dim);
    absl::StatusOr<StepResult> result =
        envs_[i]->Step(actions.subspan(i * action_dim, action_dim), last);
    diverged_[i] = absl::IsInternal(result.status()) ? 1 : 0;
    if (!result.ok() && !diverged_[i]) return result.status();
    results_[i] = result.ok() ? *result : StepResult{};
    if (diverged_[i] || results_[i].terminated || results_[i].truncated) {
      TANDEM_RETURN_IF_ERROR(envs_[i]->Reset(std::nullopt, now));
    } else {
      std::copy(last.begin(), last.end(), now.begin());
    }
  }
  return absl::OkStatus();
}

}  // namespace tandem
