#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/env/environment.h"

namespace tandem {

/// N copies of one environment stepped as a batch. An environment whose episode ended is reset at
/// once: `observations` then holds the first observation of its next episode, and
/// `final_observations` the last one of the episode that ended.
///
/// Not thread-safe. Each environment has its own seeded stream, so results do not depend on N.
class VectorEnvironment {
 public:
  /// num_envs >= 1; starts an episode in each. NOT_FOUND for an unknown name.
  static absl::StatusOr<std::unique_ptr<VectorEnvironment>> Create(
      const std::string& name, int num_envs, uint64_t seed, const EnvironmentOptions& options);
  /// The same from given environments, at least one, all of one spec.
  static absl::StatusOr<std::unique_ptr<VectorEnvironment>> Create(
      std::vector<std::unique_ptr<Environment>> envs, uint64_t seed);

  const EnvironmentSpec& spec() const;
  int num_envs() const { return static_cast<int>(envs_.size()); }

  /// Starts a new episode in every environment. A seed restarts every random stream, so that what
  /// follows is a pure function of it.
  absl::Status ResetAll(std::optional<uint64_t> seed = std::nullopt);
  /// Environment::WidenStart of every environment.
  absl::Status WidenStart(double scale);
  /// actions: [num_envs, action_dim]. On an error no environment's episode is trustworthy:
  /// ResetAll. An environment that diverges is no error: see diverged().
  absl::Status Step(std::span<const float> actions);

  std::span<const float> observations() const { return observations_; }              ///< [N, obs]
  std::span<const float> final_observations() const { return final_observations_; }  ///< [N, obs]
  std::span<const StepResult> results() const { return results_; }                   ///< [N]
  /// [N] 1 where the simulation gave numbers that are not finite: that step does not count (its
  /// result and final observation mean nothing), and the environment was reset.
  std::span<const uint8_t> diverged() const { return diverged_; }

 private:
  VectorEnvironment() = default;

  std::vector<std::unique_ptr<Environment>> envs_;
  std::vector<float> observations_;
  std::vector<float> final_observations_;
  std::vector<StepResult> results_;
  std::vector<uint8_t> diverged_;
};

}  // namespace tandem
