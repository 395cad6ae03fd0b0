#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/dynamics/dynamics_model.h"
#include "common/nn/safetensors.h"
#include "common/objective/testing/constant_classifier.h"
#include "common/snapshot/snapshot.h"

namespace tandem::policy_trainer {

/// A world that pays the model's number for each step, moves each observation by the action, and
/// never ends. Its two elites predict rewards `spread` above and below that.
class FakeModel : public dynamics::DynamicsModel {
 public:
  explicit FakeModel(float number, float spread = 0) : number_(number), spread_(spread) {}
  int64_t obs_dim() const override { return 1; }
  int64_t action_dim() const override { return 1; }
  const std::vector<int>& elites() const override { return elites_; }
  absl::Status Step(std::span<const float> observations, std::span<const float> actions, Rng&,
                    dynamics::ModelStep* step) override {
    const size_t rows = observations.size();
    step->next_observations.resize(rows);
    for (size_t i = 0; i < rows; ++i) step->next_observations[i] = observations[i] + actions[i];
    step->rewards.assign(rows, number_);
    step->terminated.assign(rows, 0);
    return absl::OkStatus();
  }
  const std::vector<float>& target_stds() const override { return stds_; }
  absl::Status Predict(int member, std::span<const float> observations,
                       std::span<const float> actions,
                       dynamics::MemberPrediction* prediction) override {
    prediction->next_means.assign(observations.begin(), observations.end());
    for (size_t i = 0; i < actions.size(); ++i) prediction->next_means[i] += actions[i];
    prediction->reward_means.assign(observations.size(),
                                    number_ + (member == 0 ? 1 : -1) * spread_);
    return absl::OkStatus();
  }

 private:
  const float number_;
  const float spread_;
  const std::vector<int> elites_ = {0, 1};
  const std::vector<float> stds_ = {1, 1};
};

/// The snapshot of such a model.
inline nn::TensorFile FakeModelFile(float number, int64_t through_index, float spread = 0) {
  nn::TensorFile file;
  file.tensors["number"] = {.shape = {2}, .data = {number, spread}};
  file.metadata[snapshot::kThroughIndexKey] = absl::StrCat(through_index);
  file.metadata[snapshot::kEnvStepsKey] = absl::StrCat(through_index);
  return file;
}

/// Loads it; INVALID_ARGUMENT for any other file.
inline absl::StatusOr<std::unique_ptr<dynamics::DynamicsModel>> LoadFakeModel(
    const nn::TensorFile& file) {
  const auto number = nn::FindTensor(file, "number", {2});
  if (!number.ok()) return absl::InvalidArgumentError("another kind of model");
  return std::make_unique<FakeModel>((*number)->data[0], (*number)->data[1]);
}

/// The same with a classifier that gives each transition this logit.
inline nn::TensorFile JointModelFile(float number, int64_t through_index, float logit) {
  nn::TensorFile file = FakeModelFile(number, through_index);
  file.tensors["logit"] = {.shape = {1}, .data = {logit}};
  return file;
}

/// Loads that classifier; NOT_FOUND for any other file.
inline absl::StatusOr<std::unique_ptr<objective::TransitionClassifier>> LoadFakeClassifier(
    const nn::TensorFile& file) {
  const auto logit = nn::FindTensor(file, "logit", {1});
  if (!logit.ok()) return absl::NotFoundError("no classifier");
  return objective::ConstantClassifier(1, 1, (*logit)->data[0]);
}

}  // namespace tandem::policy_trainer
