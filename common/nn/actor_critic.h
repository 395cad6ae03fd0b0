#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/nn/safetensors.h"

namespace tandem::nn {

/// Sizes of a tanh-Gaussian actor and twin critics, ReLU between layers.
struct ActorCriticSpec {
  int64_t obs_dim = 0;
  int64_t action_dim = 0;  ///< Actions are in [-1, 1] here; common/policy scales them.
  std::vector<int> hidden = {256, 256};
};

struct SacOptions {
  double lr = 1e-3;              ///< Actor and critics.
  double temperature_lr = 3e-4;  ///< 0: the temperature stays.
  double initial_temperature = 0.1;
  double target_entropy = -1;  ///< [nats]
  double tau = 0.01;
  double discount = 0.99;
};

/// B transitions. All spans are host memory, row-major.
struct SacBatch {
  int64_t rows = 0;
  std::span<const float> observations;       ///< [B, obs_dim]
  std::span<const float> actions;            ///< [B, action_dim], in [-1, 1]
  std::span<const float> rewards;            ///< [B]
  std::span<const float> next_observations;  ///< [B, obs_dim]
  std::span<const float> terminated;         ///< [B], 1: no bootstrap
};

/// What one update saw. Means over the batch.
struct SacFigures {
  double critic_loss = 0;
  double actor_loss = 0;
  double temperature = 0;
  double entropy = 0;  ///< -log probability of the actor's own actions [nats]
  double q_mean = 0;
  double target_mean = 0;
};

/// Soft actor-critic over flat parameter buffers (Haarnoja et al. 2018b, arXiv 1812.05905): twin
/// critics with targets, squashed Gaussian actor, learned temperature.
///
/// Like GaussianEnsemble, an interface behind which implementations stand. Everything at the border
/// is host memory. Not thread-safe, but for Act and Value const calls on an object that nobody
/// updates. LibTorch's exceptions come out as INTERNAL.
class ActorCritic {
 public:
  /// device: "cpu" or "cuda". Weights are drawn from `seed` (Xavier's uniform), biases are 0;
  /// without a seed all is 0, for parameters that are imported next.
  static absl::StatusOr<std::unique_ptr<ActorCritic>> Create(const ActorCriticSpec& spec,
                                                             const SacOptions& options,
                                                             const std::string& device,
                                                             std::optional<uint64_t> seed);
  virtual ~ActorCritic() = default;

  virtual const ActorCriticSpec& spec() const = 0;

  /// One update: critics, then actor, then temperature, then target critics. Draws its noise from
  /// the object's own seeded stream. INTERNAL where a loss is not finite.
  virtual absl::StatusOr<SacFigures> Update(const SacBatch& batch) = 0;

  /// observations: [B, obs_dim]; noise: [B, action_dim] standard normals, or empty for the
  /// deterministic action tanh(mean); actions: [B, action_dim] in [-1, 1]; log_probs: [B] or empty.
  virtual absl::Status Act(std::span<const float> observations, std::span<const float> noise,
                           std::span<float> actions, std::span<float> log_probs) const = 0;

  /// The Gaussian behind the action, before tanh. observations: [B, obs_dim]; means, log_stds: [B,
  /// action_dim].
  virtual absl::Status Distribution(std::span<const float> observations, std::span<float> means,
                                    std::span<float> log_stds) const = 0;

  /// The smaller of the two critics (the target critics where `target`). values: [B].
  virtual absl::Status Value(std::span<const float> observations, std::span<const float> actions,
                             bool target, std::span<float> values) const = 0;

  virtual double temperature() const = 0;

  /// Parameters of actor ("actor.w0", "actor.b0", ...), critics ("critic.w0" with a leading
  /// dimension of 2, ...) and target critics ("target.w0", ...); weights are [in, out].
  virtual void ExportParameters(TensorFile* file) const = 0;
  virtual absl::Status ImportParameters(const TensorFile& file) = 0;
  /// The actor alone, for who only acts: Update and Value are FAILED_PRECONDITION where there never
  /// were critics.
  virtual absl::Status ImportActor(const TensorFile& file) = 0;
  /// Adam's moments, temperature and noise stream: with the parameters, all that an exact
  /// continuation needs.
  virtual void ExportLearnerState(TensorFile* file) const = 0;
  virtual absl::Status ImportLearnerState(const TensorFile& file) = 0;
};

}  // namespace tandem::nn
