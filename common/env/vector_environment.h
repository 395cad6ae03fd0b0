#pragma once

#include <cstdint>
#include <memory>
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
  /// num_envs >= 1. NOT_FOUND for an unknown name.
  static absl::StatusOr<std::unique_ptr<VectorEnvironment>> Create(const std::string& name,
                                                                   int num_envs, uint64_t seed,
                                                                   const EnvironmentOptions& options);

  const EnvironmentSpec& spec() const;
  int num_envs() const { return static_cast<int>(envs_.size()); }

  /// Starts a new episode in every environment.
  absl::Status ResetAll();
  /// actions: [num_envs, action_dim]. On an error no environment's episode is trustworthy: ResetAll.
  absl::Status Step(std::span<const float> actions);

  std::span<const float> observations() const { return observations_; }              ///< [N, obs]
  std::span<const float> final_observations() const { return final_observations_; }  ///< [N, obs]
  std::span<const StepResult> results() const { return results_; }                   ///< [N]

 private:
  VectorEnvironment() = default;

  std::vector<std::unique_ptr<Environment>> envs_;
  std::vector<float> observations_;
  std::vector<float> final_observations_;
  std::vector<StepResult> results_;
};

}  // namespace tandem
