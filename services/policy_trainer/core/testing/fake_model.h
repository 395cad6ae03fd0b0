#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/dynamics/dynamics_model.h"
#include "common/nn/safetensors.h"
#include "common/snapshot/snapshot.h"

namespace tandem::policy_trainer {

/// A world that pays the model's number for each step, moves each observation by the action, and
/// never ends.
class FakeModel : public dynamics::DynamicsModel {
 public:
  explicit FakeModel(float number) : number_(number) {}
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
  absl::Status Predict(int, std::span<const float>, std::span<const float>,
                       dynamics::MemberPrediction*) override {
    return absl::UnimplementedError("FakeModel samples only");
  }

 private:
  const float number_;
  const std::vector<int> elites_ = {0};
};

/// The snapshot of such a model.
inline nn::TensorFile FakeModelFile(float number, int64_t through_index) {
  nn::TensorFile file;
  file.tensors["number"] = {.shape = {1}, .data = {number}};
  file.metadata[snapshot::kThroughIndexKey] = absl::StrCat(through_index);
  file.metadata[snapshot::kEnvStepsKey] = absl::StrCat(through_index);
  return file;
}

/// Loads it; INVALID_ARGUMENT for any other file.
inline absl::StatusOr<std::unique_ptr<dynamics::DynamicsModel>> LoadFakeModel(
    const nn::TensorFile& file) {
  const auto number = nn::FindTensor(file, "number", {1});
  if (!number.ok()) return absl::InvalidArgumentError("another kind of model");
  return std::make_unique<FakeModel>((*number)->data[0]);
}

}  // namespace tandem::policy_trainer
