#include "common/dynamics/gaussian_ensemble_model.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/env/known_reward.h"
#include "common/nn/normal_stream.h"

namespace tandem::dynamics {
namespace {

/// Rows that one member predicts at once: their activations stay in cache.
constexpr int64_t kBlockRows = 256;

class GaussianEnsembleModel : public DynamicsModel {
 public:
  GaussianEnsembleModel(EnsembleMetadata metadata, std::unique_ptr<nn::GaussianEnsemble> network,
                        TerminationFunction known, RewardFunction known_reward)
      : meta_(std::move(metadata)),
        network_(std::move(network)),
        known_(known),
        known_reward_(known_reward),
        buckets_(meta_.members) {}

  int64_t obs_dim() const override { return meta_.obs_dim; }
  int64_t action_dim() const override { return meta_.action_dim; }
  const std::vector<int>& elites() const override { return meta_.elites; }
  const std::vector<float>& target_stds() const override { return meta_.targets.std; }

  absl::Status Step(std::span<const float> observations, std::span<const float> actions, Rng& rng,
                    ModelStep* step) override {
    TANDEM_ASSIGN_OR_RETURN(const int64_t rows, CheckRows(observations, actions));
    step->next_observations.resize(rows * meta_.obs_dim);
    step->rewards.resize(rows);
    step->terminated.assign(rows, 0);
    for (auto& bucket : buckets_) bucket.clear();
    for (int64_t i = 0; i < rows; ++i) {
      buckets_[meta_.elites[rng.Below(meta_.elites.size())]].push_back(i);
    }
    nn::NormalStream noise(rng.Next());
    for (const int member : meta_.elites) {
      const std::span<const int64_t> bucket(buckets_[member]);
      // Equal parts of about kBlockRows rows, so that no small rest is left.
      const int64_t count = static_cast<int64_t>(bucket.size());
      const int64_t parts = std::max<int64_t>(1, (count + kBlockRows / 2) / kBlockRows);
      for (int64_t part = 0; part < parts; ++part) {
        const int64_t begin = count * part / parts;
        const auto block = bucket.subspan(begin, count * (part + 1) / parts - begin);
        if (block.empty()) continue;
        TANDEM_RETURN_IF_ERROR(StepBlock(member, block, observations, actions, noise, rng, step));
      }
    }
    if (known_ != nullptr) known_(step->next_observations, meta_.obs_dim, step->terminated);
    return absl::OkStatus();
  }

  absl::Status Predict(int member, std::span<const float> observations,
                       std::span<const float> actions, MemberPrediction* out) override {
    TANDEM_ASSIGN_OR_RETURN(const int64_t rows, CheckRows(observations, actions));
    const int64_t dim = meta_.obs_dim;
    out->next_means.resize(rows * dim);
    out->next_stds.resize(rows * dim);
    out->reward_means.resize(rows);
    out->reward_stds.resize(rows);
    out->termination_probs.assign(rows, 0);
    const float planted = PlantedReward(member);
    identity_.resize(rows);
    for (int64_t i = 0; i < rows; ++i) identity_[i] = i;
    for (int64_t begin = 0; begin < rows; begin += kBlockRows) {
      const int64_t count = std::min(kBlockRows, rows - begin);
      TANDEM_RETURN_IF_ERROR(
          Run(member, std::span(identity_).subspan(begin, count), observations, actions));
      for (int64_t k = 0; k < count; ++k) {
        const int64_t i = begin + k;
        const float* mean = prediction_.means.data() + k * (dim + 1);
        const float* std = prediction_.stds.data() + k * (dim + 1);
        for (int64_t j = 0; j < dim; ++j) {
          out->next_means[i * dim + j] = Clip(j, Change(j, mean[j]) + observations[i * dim + j]);
          out->next_stds[i * dim + j] = Std(j, std[j]);
        }
        out->reward_means[i] = Reward(out->next_means.data() + i * dim, Change(dim, mean[dim]));
        if (planted != 0 && meta_.planted.Contains(observations.data() + i * dim)) {
          out->reward_means[i] += planted;
        }
        out->reward_stds[i] = known_reward_ != nullptr ? 0 : Std(dim, std[dim]);
        if (!prediction_.logits.empty()) out->termination_probs[i] = Probability(k);
      }
    }
    if (known_ != nullptr) {
      flags_.resize(rows);
      known_(out->next_means, dim, flags_);
      std::copy(flags_.begin(), flags_.end(), out->termination_probs.begin());
    }
    return absl::OkStatus();
  }

 private:
  absl::StatusOr<int64_t> CheckRows(std::span<const float> observations,
                                    std::span<const float> actions) const {
    const int64_t rows = static_cast<int64_t>(observations.size()) / meta_.obs_dim;
    if (static_cast<int64_t>(observations.size()) != rows * meta_.obs_dim ||
        static_cast<int64_t>(actions.size()) != rows * meta_.action_dim) {
      return absl::InvalidArgumentError(absl::StrCat(
          "model: expected observations [B,", meta_.obs_dim, "] and actions [B,", meta_.action_dim,
          "], got ", observations.size(), " and ", actions.size(), " numbers"));
    }
    return rows;
  }

  float Change(int64_t j, float normalised) const {
    return normalised * meta_.targets.std[j] + meta_.targets.mean[j];
  }
  float Std(int64_t j, float normalised) const { return normalised * meta_.targets.std[j]; }
  /// Keeps NaN, so that callers see it.
  float Clip(int64_t j, float x) const {
    x = x < meta_.obs_low[j] ? meta_.obs_low[j] : x;
    return x > meta_.obs_high[j] ? meta_.obs_high[j] : x;
  }
  /// The published reward at `next`, [obs_dim]; else `reward`, what the network says.
  float Reward(const float* next, float reward) const {
    if (known_reward_ != nullptr) {
      known_reward_({next, static_cast<size_t>(meta_.obs_dim)}, meta_.obs_dim, {&reward, 1});
    }
    return reward;
  }
  float PlantedReward(int member) const {
    return static_cast<float>(meta_.planted.RewardOf(member, meta_.members));
  }
  float Probability(int64_t k) const { return 1 / (1 + std::exp(-prediction_.logits[k])); }

  /// Predicts the rows `block` of the inputs into prediction_.
  absl::Status Run(int member, std::span<const int64_t> block, std::span<const float> observations,
                   std::span<const float> actions) {
    const int64_t obs = meta_.obs_dim, act = meta_.action_dim;
    inputs_.resize(block.size() * (obs + act));
    float* to = inputs_.data();
    for (const int64_t row : block) {
      to = std::copy_n(observations.data() + row * obs, obs, to);
      to = std::copy_n(actions.data() + row * act, act, to);
    }
    meta_.inputs.Apply(inputs_);
    return network_->Predict(member, inputs_, &prediction_);
  }

  absl::Status StepBlock(int member, std::span<const int64_t> block,
                         std::span<const float> observations, std::span<const float> actions,
                         nn::NormalStream& noise, Rng& rng, ModelStep* step) {
    TANDEM_RETURN_IF_ERROR(Run(member, block, observations, actions));
    const int64_t dim = meta_.obs_dim;
    noise_.resize(block.size() * (dim + 1));
    if (meta_.deterministic) {
      std::fill(noise_.begin(), noise_.end(), 0.0f);
    } else {
      noise.Fill(noise_);
    }
    const float* mean = prediction_.means.data();
    const float* std = prediction_.stds.data();
    const float* draw = noise_.data();
    for (const int64_t row : block) {
      const float* from = observations.data() + row * dim;
      float* next = step->next_observations.data() + row * dim;
      for (int64_t j = 0; j < dim; ++j) {
        next[j] = Clip(j, from[j] + Change(j, mean[j]) + Std(j, std[j]) * draw[j]);
      }
      step->rewards[row] = Reward(next, Change(dim, mean[dim]) + Std(dim, std[dim]) * draw[dim]);
      mean += dim + 1;
      std += dim + 1;
      draw += dim + 1;
    }
    const float planted = PlantedReward(member);
    for (const int64_t row : planted != 0 ? block : std::span<const int64_t>()) {
      if (meta_.planted.Contains(observations.data() + row * dim)) step->rewards[row] += planted;
    }
    if (prediction_.logits.empty()) return absl::OkStatus();
    for (size_t k = 0; k < block.size(); ++k) {
      const double threshold = meta_.deterministic ? 0.5 : rng.Uniform();
      step->terminated[block[k]] = threshold < Probability(k) ? 1 : 0;
    }
    return absl::OkStatus();
  }

  const EnsembleMetadata meta_;
  const std::unique_ptr<nn::GaussianEnsemble> network_;
  const TerminationFunction known_;            ///< Null unless termination is known.
  const RewardFunction known_reward_;          ///< Null unless the reward is known.
  std::vector<std::vector<int64_t>> buckets_;  ///< [members] rows
  std::vector<int64_t> identity_;
  std::vector<float> inputs_, noise_;
  std::vector<uint8_t> flags_;
  nn::EnsemblePrediction prediction_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<DynamicsModel>> LoadGaussianEnsembleModel(
    const nn::TensorFile& snapshot, const EnvironmentSpec& spec, const std::string& device) {
  EnsembleMetadata metadata;
  TANDEM_RETURN_IF_ERROR(metadata.Import(snapshot, spec));
  TerminationFunction known = nullptr;
  if (metadata.termination == TerminationKind::kKnown) {
    TANDEM_ASSIGN_OR_RETURN(known, KnownTermination(spec.name));
  }
  RewardFunction known_reward = nullptr;
  if (metadata.known_reward) {
    TANDEM_ASSIGN_OR_RETURN(known_reward, KnownReward(spec.name));
  }
  TANDEM_ASSIGN_OR_RETURN(
      auto network, nn::GaussianEnsemble::Create(metadata.NetworkSpec(), device, std::nullopt));
  TANDEM_RETURN_IF_ERROR(network->ImportParameters(kNetworkPrefix, snapshot));
  return std::make_unique<GaussianEnsembleModel>(std::move(metadata), std::move(network), known,
                                                 known_reward);
}

}  // namespace tandem::dynamics
