#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/nn/actor_critic.h"
#include "common/nn/gaussian_ensemble.h"
#include "common/nn/layout.h"
#include "common/nn/normal_stream.h"

namespace tandem::nn {

/// Bounds of the log standard deviation of the actor's Gaussian before tanh.
inline constexpr float kMinLogStd = -20;
inline constexpr float kMaxLogStd = 2;

/// The learned logarithm of the temperature with its own Adam.
struct Temperature {
  double log_value = 0;
  double first = 0;
  double second = 0;

  /// One step on -log_value * (mean log probability + target entropy). step: 1 for the first.
  void Update(double mean_log_prob, const SacOptions& options, int64_t step);
};

/// What the implementations of ActorCritic share: layouts, temperature, noise, import and export of
/// flat buffers. An implementation keeps the buffers, padding included, wherever it computes.
class FlatActorCritic : public ActorCritic {
 public:
  const ActorCriticSpec& spec() const override { return spec_; }
  double temperature() const override;
  void ExportParameters(TensorFile* file) const override;
  absl::Status ImportParameters(const TensorFile& file) override;
  absl::Status ImportActor(const TensorFile& file) override;
  void ExportLearnerState(TensorFile* file) const override;
  absl::Status ImportLearnerState(const TensorFile& file) override;

 protected:
  enum class Buffer {
    kActor,       ///< [1, actor layout size]
    kActorFirst,  ///< Adam's moments
    kActorSecond,
    kCritic,  ///< [2, critic layout size]
    kCriticFirst,
    kCriticSecond,
    kTarget,  ///< [2, critic layout size]
  };

  FlatActorCritic(const ActorCriticSpec& spec, const SacOptions& options, int64_t align,
                  std::optional<uint64_t> seed);

  virtual std::vector<float> Read(Buffer buffer) const = 0;
  virtual void Write(Buffer buffer, std::span<const float> flat) = 0;

  /// Draws initial parameters, the same ones for each implementation; zeros without a seed.
  void InitialiseFrom(std::optional<uint64_t> seed);
  absl::Status CheckBatch(const SacBatch& batch) const;
  absl::Status CheckAct(std::span<const float> observations, std::span<const float> noise,
                        std::span<float> actions, std::span<float> log_probs) const;
  absl::Status CheckValue(std::span<const float> observations, std::span<const float> actions,
                          std::span<float> values) const;
  AdamOptions Adam() const { return {.lr = options_.lr}; }

  const ActorCriticSpec spec_;
  const SacOptions options_;
  const ParameterLayout actor_layout_;   ///< Last layer: means, log standard deviations.
  const ParameterLayout critic_layout_;  ///< Inputs: observation, action.
  Temperature temperature_;
  int64_t updates_ = 0;
  NormalStream noise_;

 private:
  const ParameterLayout& LayoutOf(Buffer buffer) const;
  int64_t NetworksOf(Buffer buffer) const;
  std::vector<float> ReadCompact(Buffer buffer) const;
  void WriteCompact(Buffer buffer, std::span<const float> compact);

  bool has_critics_ = false;
};

/// ATen with autograd: any device; the reference.
std::unique_ptr<ActorCritic> MakeAutogradActorCritic(const ActorCriticSpec& spec,
                                                     const SacOptions& options,
                                                     const std::string& device,
                                                     std::optional<uint64_t> seed);
/// Explicit and fused: the CPU's. Same numbers as the reference but for rounding.
std::unique_ptr<ActorCritic> MakeExplicitActorCritic(const ActorCriticSpec& spec,
                                                     const SacOptions& options,
                                                     std::optional<uint64_t> seed);

}  // namespace tandem::nn
