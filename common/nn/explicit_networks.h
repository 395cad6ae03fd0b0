#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "common/nn/flat_actor_critic.h"
#include "common/nn/relu_net.h"

namespace tandem::nn {

/// Parameters of networks of one layout with Adam's moments and gradients, which only a network
/// that is trained has: one that was loaded to act takes a quarter of the memory.
struct Trained {
  AlignedFloats p, m, v, gradient;
  explicit Trained(int64_t size = 0) : p(size) {}
  void ReserveForTraining() {
    for (AlignedFloats* buffer : {&m, &v, &gradient}) buffer->resize(p.size());
  }
};

/// A forward pass of the actor over rows, by columns: one array of rows for each action dimension.
struct ActorPass {
  LayerBuffers hidden;
  AlignedFloats output;                ///< [rows, head width] means, log standard deviations
  AlignedFloats mean, log_std, noise;  ///< [rows], one dimension at a time
  std::vector<AlignedFloats> action, scaled_noise, clamped;  ///< [action_dim][rows]
  AlignedFloats std, log_prob;                               ///< [rows]
};

/// A forward pass of both critics over the same rows.
struct CriticPass {
  std::array<LayerBuffers, 2> hidden;
  std::array<AlignedFloats, 2> values;  ///< [rows]
};

/// The networks of the explicit CPU path and their forward passes: what acts and is valued. What
/// trains them derives from it.
///
/// The const methods may be called by several threads at once while nobody trains or imports.
class ExplicitNetworks : public FlatActorCritic {
 public:
  ExplicitNetworks(const ActorCriticSpec& spec, const SacOptions& options,
                   std::optional<uint64_t> seed);

  absl::Status Act(std::span<const float> observations, std::span<const float> noise,
                   std::span<float> actions, std::span<float> log_probs) const override;
  absl::Status Distribution(std::span<const float> observations, std::span<float> means,
                            std::span<float> log_stds) const override;
  absl::Status Value(std::span<const float> observations, std::span<const float> actions,
                     bool target, std::span<float> values) const override;

 protected:
  std::vector<float> Read(Buffer buffer) const override;
  void Write(Buffer buffer, std::span<const float> flat) override;

  const LayoutEntry& ActorHead() const { return actor_layout_[2 * layers_]; }
  const LayoutEntry& CriticHead() const { return critic_layout_[2 * layers_]; }
  /// Floats in a row of the last hidden layer, of the actor and of the critics alike.
  int64_t LastWidth() const { return actor_layout_[2 * layers_ - 2].stride; }

  static float Smaller(const CriticPass& pass, int64_t row) {
    return std::min(pass.values[0][row], pass.values[1][row]);
  }

  /// inputs: [rows, obs_dim + action_dim], of observations and actions row by row.
  void Concatenate(const float* observations, const float* actions, int64_t rows,
                   float* inputs) const;
  /// noise: [rows, action_dim], or null for the mean.
  void RunActor(const float* observations, int64_t rows, const float* noise, ActorPass* pass) const;
  /// Writes the actions of rows [first, first + rows) to rows `ld` floats apart.
  void PutActions(const ActorPass& pass, int64_t first, int64_t rows, int64_t ld, float* out) const;
  /// Critic `c`. inputs: [rows, obs_dim + action_dim].
  void RunCritic(int c, const AlignedFloats& parameters, const float* inputs, int64_t rows,
                 CriticPass* pass) const;

  const Kernels& kernels_;
  const size_t layers_;  ///< Hidden ones.
  const int64_t input_dim_;
  Trained actor_;
  Trained critic_;        ///< Both, one after the other; empty where only an actor was imported.
  AlignedFloats target_;  ///< As critic_.

 private:
  const AlignedFloats& Select(Buffer buffer) const;
};

}  // namespace tandem::nn
