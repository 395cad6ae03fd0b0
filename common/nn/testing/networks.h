#pragma once

// What the tests of the networks share: random rows, makers of both implementations, distances.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "common/base/rng.h"
#include "common/nn/flat_actor_critic.h"
#include "common/nn/flat_ensemble.h"
#include "gtest/gtest.h"

namespace tandem::nn::testing {

struct EnsembleData {
  int64_t rows;
  std::vector<float> inputs, targets, binary;
  EnsembleRows Rows() const { return {rows, inputs, targets, binary}; }
};

inline EnsembleData RandomData(const GaussianEnsembleSpec& spec, int64_t rows, uint64_t seed) {
  Rng rng(seed);
  EnsembleData data{rows, std::vector<float>(spec.members * rows * spec.input_dim),
                    std::vector<float>(spec.members * rows * spec.output_dim),
                    std::vector<float>(spec.members * rows * spec.binary_dim)};
  rng.FillNormal(data.inputs);
  rng.FillNormal(data.targets);
  for (float& x : data.binary) x = rng.Uniform() < 0.3 ? 1.0f : 0.0f;
  return data;
}

struct SacData {
  int64_t rows;
  std::vector<float> observations, actions, rewards, next, terminated;
  SacBatch Batch() const { return {rows, observations, actions, rewards, next, terminated}; }
};

inline SacData RandomData(const ActorCriticSpec& spec, int64_t rows, uint64_t seed) {
  Rng rng(seed);
  SacData data{rows,
               std::vector<float>(rows * spec.obs_dim),
               std::vector<float>(rows * spec.action_dim),
               std::vector<float>(rows),
               std::vector<float>(rows * spec.obs_dim),
               std::vector<float>(rows)};
  rng.FillNormal(data.observations);
  rng.FillNormal(data.next);
  rng.FillNormal(data.rewards);
  for (float& x : data.actions) x = static_cast<float>(rng.Uniform(-1, 1));
  for (float& x : data.terminated) x = rng.Uniform() < 0.3 ? 1.0f : 0.0f;
  return data;
}

inline std::unique_ptr<GaussianEnsemble> Autograd(const GaussianEnsembleSpec& spec,
                                                  std::optional<uint64_t> seed) {
  return MakeAutogradEnsemble(spec, "cpu", seed);
}

inline std::unique_ptr<ActorCritic> Autograd(const ActorCriticSpec& spec, const SacOptions& options,
                                             std::optional<uint64_t> seed) {
  return MakeAutogradActorCritic(spec, options, "cpu", seed);
}

/// Largest difference over the largest magnitude.
inline double RelativeDifference(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double difference = 0, magnitude = 1e-30;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    difference = std::max<double>(difference, std::abs(a[i] - b[i]));
    magnitude = std::max<double>(magnitude, std::abs(b[i]));
  }
  return difference / magnitude;
}

}  // namespace tandem::nn::testing
