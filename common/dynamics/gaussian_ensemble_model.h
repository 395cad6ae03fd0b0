#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/data/spec.h"
#include "common/dynamics/dynamics_model.h"
#include "common/dynamics/normaliser.h"
#include "common/dynamics/planted_error.h"
#include "common/env/environment.h"
#include "common/nn/gaussian_ensemble.h"

namespace tandem::dynamics {

inline constexpr std::string_view kGaussianEnsembleKind = "gaussian_ensemble";

/// "known", "learned" or "never", and back (INVALID_ARGUMENT).
std::string_view Name(TerminationKind kind);
absl::StatusOr<TerminationKind> ParseTerminationKind(std::string_view name);

/// Everything of a Gaussian ensemble but its weights: how numbers go in and come out. Inputs are
/// (observation, action); outputs are (change of observation, reward), and the logit of termination
/// where that is learned.
struct EnsembleMetadata {
  std::string environment;
  int64_t obs_dim = 0;
  int64_t action_dim = 0;
  int members = 0;
  std::vector<int> hidden;
  std::vector<int> elites;  ///< best first
  TerminationKind termination = TerminationKind::kKnown;
  bool deterministic = false;  ///< Step() gives the mean, without noise.
  /// Rewards are those that the environment publishes for the predicted next observation; what the
  /// network says of them is left aside, but for its spread.
  bool known_reward = false;
  Normaliser inputs;           ///< [obs_dim + action_dim]
  Normaliser targets;          ///< [obs_dim + 1]
  std::vector<float> obs_low;  ///< [obs_dim] predictions are clipped to these
  std::vector<float> obs_high;
  PlantedError planted;  ///< Export leaves it to the model trainer, which decides from when on.

  nn::GaussianEnsembleSpec NetworkSpec() const;
  void Export(nn::TensorFile* file) const;
  /// Checks kind, spec and every size. INVALID_ARGUMENT says what was expected and what came.
  absl::Status Import(const nn::TensorFile& file, const EnvironmentSpec& spec);
};

/// Name prefix of the network's tensors in a snapshot.
inline constexpr char kNetworkPrefix[] = "model.";

/// The kind "gaussian_ensemble" of LoadDynamicsModel.
absl::StatusOr<std::unique_ptr<DynamicsModel>> LoadGaussianEnsembleModel(
    const nn::TensorFile& snapshot, const EnvironmentSpec& spec, const std::string& device);

}  // namespace tandem::dynamics
