#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/data/batch.h"
#include "common/dynamics/dynamics_model.h"
#include "common/policy/policy.h"
#include "services/monitor/core/snapshot_history.h"

namespace tandem::monitor::testing {

/// What is wrong with a fake model. The true world has one observation element that goes up by 1 at
/// each step, reward 0, and no end; an action has one element, ignored.
struct Fault {
  double reward = 0;        ///< Added to each reward.
  double shift = 0;         ///< Added to each next observation.
  bool terminates = false;  ///< Every step ends the episode.
  double noise = 0;         ///< Alternating error of the next observation, with mean 0.
};

/// The true world with a fault planted.
class FakeModel : public dynamics::DynamicsModel {
 public:
  explicit FakeModel(const Fault& fault) : fault_(fault) {}
  int64_t obs_dim() const override { return 1; }
  int64_t action_dim() const override { return 1; }
  const std::vector<int>& elites() const override { return elites_; }

  absl::Status Step(std::span<const float> observations, std::span<const float>, Rng&,
                    dynamics::ModelStep* step) override {
    const size_t rows = observations.size();
    step->next_observations.resize(rows);
    for (size_t i = 0; i < rows; ++i) step->next_observations[i] = Next(observations[i], i);
    step->rewards.assign(rows, static_cast<float>(fault_.reward));
    step->terminated.assign(rows, fault_.terminates ? 1 : 0);
    return absl::OkStatus();
  }

  absl::Status Predict(int, std::span<const float> observations, std::span<const float>,
                       dynamics::MemberPrediction* prediction) override {
    const size_t rows = observations.size();
    prediction->next_means.resize(rows);
    for (size_t i = 0; i < rows; ++i) prediction->next_means[i] = Next(observations[i], i);
    prediction->next_stds.assign(rows, 0);
    prediction->reward_means.assign(rows, static_cast<float>(fault_.reward));
    prediction->reward_stds.assign(rows, 0);
    prediction->termination_probs.assign(rows, fault_.terminates ? 1.0f : 0.0f);
    return absl::OkStatus();
  }

 private:
  float Next(float observation, size_t row) const {
    const double noise = row % 2 == 0 ? fault_.noise : -fault_.noise;
    return observation + static_cast<float>(1 + fault_.shift + noise);
  }
  const Fault fault_;
  const std::vector<int> elites_ = {1, 0};
};

class FakePolicy : public policy::Policy {
 public:
  absl::Status Act(std::span<const float>, Rng*, std::span<float> actions,
                   std::span<float>) override {
    std::fill(actions.begin(), actions.end(), 0.0f);
    return absl::OkStatus();
  }
};

/// V(s) = offset + slope * s.
class FakeCritic : public policy::Critic {
 public:
  FakeCritic(double offset, double slope) : offset_(offset), slope_(slope) {}
  absl::Status Value(std::span<const float> observations, std::span<const float>,
                     std::span<float> values) override {
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<float>(offset_ + slope_ * observations[i]);
    }
    return absl::OkStatus();
  }

 private:
  const double offset_;
  const double slope_;
};

inline nn::TensorFile ModelFile(int64_t through_index, const Fault& fault = {}) {
  nn::TensorFile file;
  file.metadata = {{snapshot::kThroughIndexKey, absl::StrCat(through_index)},
                   {snapshot::kEnvStepsKey, absl::StrCat(through_index)},
                   {"reward", absl::StrCat(fault.reward)},
                   {"shift", absl::StrCat(fault.shift)},
                   {"noise", absl::StrCat(fault.noise)},
                   {"terminates", fault.terminates ? "1" : "0"}};
  return file;
}

inline absl::StatusOr<std::unique_ptr<dynamics::DynamicsModel>> LoadFakeModel(
    const nn::TensorFile& file, const EnvironmentSpec&) {
  Fault fault;
  TANDEM_ASSIGN_OR_RETURN(fault.reward, nn::FindDouble(file, "reward"));
  TANDEM_ASSIGN_OR_RETURN(fault.shift, nn::FindDouble(file, "shift"));
  TANDEM_ASSIGN_OR_RETURN(fault.noise, nn::FindDouble(file, "noise"));
  TANDEM_ASSIGN_OR_RETURN(const int64_t terminates, nn::FindInt(file, "terminates"));
  fault.terminates = terminates != 0;
  return std::make_unique<FakeModel>(fault);
}

inline nn::TensorFile PolicyFile(int64_t updates, double offset = 0, double slope = 0) {
  nn::TensorFile file;
  file.metadata = {{snapshot::kPolicyUpdatesKey, absl::StrCat(updates)},
                   {"offset", absl::StrCat(offset)},
                   {"slope", absl::StrCat(slope)}};
  return file;
}

inline absl::StatusOr<policy::LoadedPolicy> LoadFakePolicy(const nn::TensorFile& file,
                                                           const EnvironmentSpec&) {
  TANDEM_ASSIGN_OR_RETURN(const int64_t updates, nn::FindInt(file, snapshot::kPolicyUpdatesKey));
  TANDEM_ASSIGN_OR_RETURN(const double offset, nn::FindDouble(file, "offset"));
  TANDEM_ASSIGN_OR_RETURN(const double slope, nn::FindDouble(file, "slope"));
  policy::LoadedPolicy loaded;
  loaded.policy = std::make_shared<FakePolicy>();
  loaded.critic = std::make_shared<FakeCritic>(offset, slope);
  loaded.policy_updates = static_cast<uint64_t>(updates);
  loaded.discount = 0.99;
  return loaded;
}

/// One publisher after another: what a watcher sees where a trainer starts anew. Not owned.
class SwitchedSource : public snapshot::SnapshotSource {
 public:
  explicit SwitchedSource(snapshot::SnapshotSource* source) : source_(source) {}
  void SwitchTo(snapshot::SnapshotSource* source) { source_ = source; }
  std::shared_ptr<const snapshot::Snapshot> Latest() override { return source_->Latest(); }
  std::vector<std::shared_ptr<const snapshot::Snapshot>> Since(snapshot::Version have,
                                                               uint64_t stride) override {
    return source_->Since(have, stride);
  }
  std::shared_ptr<const snapshot::Snapshot> WaitNewer(snapshot::Version have,
                                                      absl::Duration timeout) override {
    return source_->WaitNewer(have, timeout);
  }
  void Stop() override { source_->Stop(); }

 private:
  snapshot::SnapshotSource* source_;
};

/// `count` steps of the true world from observation 0, in one episode.
inline TransitionBatch WorldSteps(int64_t count, Split split = Split::kTrain,
                                  int64_t policy_version = 1) {
  TransitionBatch steps;
  steps.obs_dim = 1;
  steps.action_dim = 1;
  for (int64_t t = 0; t < count; ++t) {
    steps.observations.push_back(static_cast<float>(t));
    steps.next_observations.push_back(static_cast<float>(t + 1));
    steps.indices.push_back(t);
    steps.times.push_back(t);
  }
  steps.actions.assign(count, 0);
  steps.rewards.assign(count, 0);
  steps.terminated.assign(count, 0);
  steps.truncated.assign(count, 0);
  steps.episodes.assign(count, 0);
  steps.policy_versions.assign(count, policy_version);
  steps.splits.assign(count, static_cast<uint8_t>(split));
  return steps;
}

inline EnvironmentSpec WorldSpec(int64_t max_episode_steps) {
  EnvironmentSpec spec;
  spec.name = "counter";
  spec.observation = {{-1e9f}, {1e9f}};
  spec.action = {{-1}, {1}};
  spec.max_episode_steps = max_episode_steps;
  return spec;
}

inline Episode TrainingEpisode(double episode_return) {
  Episode episode;
  episode.purpose = Purpose::kTraining;
  episode.episode_return = episode_return;
  episode.length = 10;
  episode.initial_observation = {0};
  return episode;
}

inline Episode EvaluationEpisode(uint64_t evaluation, int64_t size, double episode_return,
                                 uint64_t policy_updates) {
  Episode episode = TrainingEpisode(episode_return);
  episode.purpose = Purpose::kEvaluation;
  episode.evaluation_id = evaluation;
  episode.evaluation_size = size;
  episode.policy_updates = policy_updates;
  episode.policy_version = 1;
  return episode;
}

}  // namespace tandem::monitor::testing
