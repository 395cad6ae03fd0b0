#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "common/base/mutex.h"
#include "common/clients/testing/fake_directive_client.h"
#include "common/clients/testing/fake_replay_client.h"
#include "common/snapshot/snapshot_store.h"
#include "services/policy_trainer/core/policy_trainer.h"
#include "services/policy_trainer/core/testing/fake_model.h"

namespace tandem::policy_trainer {

inline constexpr float kRealReward = -1;

inline EnvironmentSpec Spec() {
  return {.name = "test",
          .observation = {.low = {-1}, .high = {1}},
          .action = {.low = {-1}, .high = {1}}};
}

/// Training steps whose reward is kRealReward.
inline TransitionBatch Steps(int64_t count) {
  TransitionBatch steps{.obs_dim = 1, .action_dim = 1};
  for (int64_t i = 0; i < count; ++i) {
    steps.observations.push_back(static_cast<float>(i));
    steps.actions.push_back(0);
    steps.rewards.push_back(kRealReward);
    steps.next_observations.push_back(static_cast<float>(i));
    steps.terminated.push_back(0);
    steps.splits.push_back(static_cast<uint8_t>(Split::kTrain));
  }
  return steps;
}

/// What the learners of a test saw.
class UpdateLog {
 public:
  void Add(const TransitionBatch& batch) {
    MutexLock lock(mu_);
    batches_.push_back(batch);
  }
  std::vector<TransitionBatch> batches() const {
    MutexLock lock(mu_);
    return batches_;
  }
  size_t count() const { return batches().size(); }
  std::atomic<int> failures_left{0};

 private:
  mutable Mutex mu_;
  std::vector<TransitionBatch> batches_ ABSL_GUARDED_BY(mu_);
};

/// "Learns" the number of its updates; acts by noise.
class FakeLearner : public policy::SacLearner {
 public:
  explicit FakeLearner(UpdateLog& log) : log_(log) {}
  absl::StatusOr<nn::SacFigures> Update(const TransitionBatch& batch) override {
    if (log_.failures_left > 0) {
      --log_.failures_left;
      return absl::InternalError("critic loss is not finite");
    }
    log_.Add(batch);
    ++updates_;
    return nn::SacFigures{.critic_loss = 2, .temperature = 0.1};
  }
  absl::Status Act(std::span<const float>, Rng* rng, std::span<float> actions) override {
    for (float& action : actions) action = static_cast<float>(rng->Uniform(-1, 1));
    return absl::OkStatus();
  }
  uint64_t updates() const override { return updates_; }
  nn::TensorFile ExportPolicy() const override { return SaveState(); }
  nn::TensorFile SaveState() const override {
    nn::TensorFile file;
    file.tensors["updates"] = {.shape = {1}, .data = {static_cast<float>(updates_)}};
    return file;
  }
  absl::Status LoadState(const nn::TensorFile& state) override {
    const auto found = nn::FindTensor(state, "updates", {1});
    if (!found.ok()) return found.status();
    updates_ = static_cast<uint64_t>((*found)->data[0]);
    return absl::OkStatus();
  }
  absl::Status RestoreWeights(const nn::TensorFile&) override { return absl::OkStatus(); }

 private:
  UpdateLog& log_;
  uint64_t updates_ = 0;
};

/// One life of the service, with its neighbours.
struct World {
  World() {
    replay.SetSpec(Spec());
    replay.AddSteps(Steps(300));
    options.batch_size = 20;
    options.real_share = 0.25;
    options.imagination.rollouts_per_refit = 50;
  }

  void Model(float number, int64_t through_index) {
    ASSERT_TRUE(models.Publish(FakeModelFile(number, through_index)).ok());
  }
  void AddGrant(int64_t updates, int64_t through_index, int64_t model_through_index) {
    replay.AddGrant({.granted = updates,
                     .through_index = through_index,
                     .model_through_index = model_through_index,
                     .env_steps = through_index});
  }
  void WaitFor(const std::function<bool()>& condition) {
    const absl::Time deadline = absl::Now() + absl::Seconds(20);
    while (!condition() && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(2));
    EXPECT_TRUE(condition());
  }
  PolicyTrainer::Deps Deps() {
    return {replay,
            models,
            policies,
            *Clock::Real(),
            metrics,
            [this](const EnvironmentSpec&) { return std::make_unique<FakeLearner>(log); },
            [](const nn::TensorFile& file, const EnvironmentSpec&) { return LoadFakeModel(file); },
            &directives,
            [](const nn::TensorFile& file, const EnvironmentSpec&) {
              return LoadFakeClassifier(file);
            }};
  }
  absl::Status Live(const std::function<void()>& during) { return Live(Deps(), during); }
  absl::Status Live(const PolicyTrainer::Deps& deps, const std::function<void()>& during) {
    PolicyTrainer trainer(options, deps);
    absl::Status status;
    std::thread thread([&] { status = trainer.Run(); });
    during();
    trainer.Stop();
    thread.join();
    return status;
  }
  std::string Metadata(const std::string& key) {
    return policies.Latest()->Parse()->metadata.at(key);
  }

  FakeReplayClient replay;
  snapshot::SnapshotStore models{snapshot::kModelSeries, 1};
  snapshot::SnapshotStore policies{snapshot::kPolicySeries, 1};
  metrics::Registry metrics;
  UpdateLog log;
  FakeDirectiveClient directives;
  PolicyTrainerOptions options;
};

}  // namespace tandem::policy_trainer
