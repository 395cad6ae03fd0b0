#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/nn/actor_critic.h"
#include "common/nn/safetensors.h"

namespace tandem::nn {

/// The soft value of states under a tanh-Gaussian actor and twin critics, with its gradient:
///   V(s) = min_i Q_i(s, a) - temperature log pi(a | s),  a = tanh(mean(s) + std(s) noise),
/// Q_i the target critics. The gradient goes through the action too. What a model needs that is
/// trained to be useful to a policy; ATen with autograd on any device. Immutable; not thread-safe.
class StateValue {
 public:
  /// Reads "actor.*" and "target.*" as ActorCritic exports them. NOT_FOUND or INVALID_ARGUMENT name
  /// the tensor.
  static absl::StatusOr<std::unique_ptr<StateValue>> Load(const TensorFile& file,
                                                          const ActorCriticSpec& spec,
                                                          double temperature,
                                                          const std::string& device);
  virtual ~StateValue() = default;

  /// observations: [B, obs_dim]; noise: [B, action_dim] standard normals; values: [B]; gradients:
  /// [B, obs_dim], each row's value by its own observation. INVALID_ARGUMENT on a shape.
  virtual absl::Status ValueGradients(std::span<const float> observations,
                                      std::span<const float> noise, std::span<float> values,
                                      std::span<float> gradients) = 0;
};

}  // namespace tandem::nn
