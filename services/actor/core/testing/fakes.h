#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/base/mutex.h"
#include "common/env/local_vector_environment.h"
#include "common/policy/policy.h"
#include "common/snapshot/snapshot.h"
#include "services/actor/core/policy_holder.h"

namespace tandem::actor {

/// Observes (episode of this environment, times the width of the start, step) and rewards with the
/// action; ends in a terminal state after `length` steps, or diverges at step `diverge_at` of its
/// first episode.
class CountingEnvironment : public Environment {
 public:
  explicit CountingEnvironment(int length, int diverge_at = -1)
      : length_(length), diverge_at_(diverge_at) {
    spec_.name = "counting";
    spec_.observation = {{0, 0}, {1000, 1000}};
    spec_.action = {{-2}, {2}};
  }
  const EnvironmentSpec& spec() const override { return spec_; }
  absl::Status Reset(std::optional<uint64_t> seed, std::span<float> observation) override {
    ++episode_;
    step_ = 0;
    Observe(observation);
    return absl::OkStatus();
  }
  absl::Status WidenStart(double scale) override {
    width_ = scale;
    return absl::OkStatus();
  }
  absl::StatusOr<StepResult> Step(std::span<const float> action,
                                  std::span<float> observation) override {
    ++step_;
    if (step_ == diverge_at_ && episode_ == 1) return absl::InternalError("diverged");
    Observe(observation);
    return StepResult{.reward = action[0], .terminated = step_ == length_};
  }

 private:
  void Observe(std::span<float> observation) const {
    observation[0] = static_cast<float>(width_ * episode_);
    observation[1] = static_cast<float>(step_);
  }
  EnvironmentSpec spec_;
  const int length_;
  const int diverge_at_;
  int episode_ = 0;
  double width_ = 1;
  int step_ = 0;
};

/// Environments that end after these lengths.
inline std::unique_ptr<VectorEnvironment> Counting(const std::vector<int>& lengths,
                                                   int diverge_at = -1) {
  std::vector<std::unique_ptr<Environment>> envs;
  for (const int length : lengths) {
    envs.push_back(std::make_unique<CountingEnvironment>(length, diverge_at));
  }
  return *LocalVectorEnvironment::Create(std::move(envs), /*threads=*/1, /*seed=*/0);
}

/// Holds the snapshot that a test gives it. Thread-safe.
class FakeSnapshotSource : public snapshot::SnapshotSource {
 public:
  /// Publishes a policy of so many updates; its snapshot's number is one more than the last.
  void Publish(int64_t updates) {
    auto snapshot = std::make_shared<snapshot::Snapshot>();
    snapshot->bytes = std::make_shared<std::string>(std::to_string(updates));
    MutexLock lock(mu_);
    snapshot->version = {.epoch = 1, .version = latest_ ? latest_->version.version + 1 : 1};
    latest_ = std::move(snapshot);
    changed_.NotifyAll();
  }
  std::shared_ptr<const snapshot::Snapshot> Latest() override {
    MutexLock lock(mu_);
    return latest_;
  }
  std::vector<std::shared_ptr<const snapshot::Snapshot>> Since(snapshot::Version have,
                                                               uint64_t /*stride*/) override {
    MutexLock lock(mu_);
    if (latest_ == nullptr || latest_->version <= have) return {};
    return {latest_};
  }
  std::shared_ptr<const snapshot::Snapshot> WaitNewer(snapshot::Version have,
                                                      absl::Duration timeout) override {
    const auto deadline = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(timeout);
    MutexLock lock(mu_);
    while (!stopped_ && (latest_ == nullptr || latest_->version <= have)) {
      if (!changed_.WaitUntil(mu_, deadline)) return nullptr;
    }
    return stopped_ ? nullptr : latest_;
  }
  void Stop() override {
    MutexLock lock(mu_);
    stopped_ = true;
    changed_.NotifyAll();
  }

 private:
  Mutex mu_;
  CondVar changed_;
  std::shared_ptr<const snapshot::Snapshot> latest_ ABSL_GUARDED_BY(mu_);
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
};

/// Answers its updates / 1000, plus noise where it may draw any; NaN where it observes NaN.
class FakePolicy : public policy::Policy {
 public:
  explicit FakePolicy(float action) : action_(action) {}
  absl::Status Act(std::span<const float> observations, Rng* rng, std::span<float> actions,
                   std::span<float> log_probs) override {
    const size_t ratio = observations.size() / actions.size();
    for (size_t i = 0; i < actions.size(); ++i) {
      const float noise = rng == nullptr ? 0.0f : static_cast<float>(rng->Uniform(0, 1e-3));
      actions[i] = action_ + noise + 0 * observations[i * ratio];
    }
    for (float& p : log_probs) p = -1;
    return absl::OkStatus();
  }

 private:
  const float action_;
};

/// Loads what FakeSnapshotSource publishes. 666 updates cannot be loaded; the policy of 999 updates
/// answers NaN.
inline absl::StatusOr<policy::LoadedPolicy> LoadFake(const snapshot::Snapshot& snapshot) {
  const uint64_t updates = std::stoull(*snapshot.bytes);
  if (updates == 666) return absl::InvalidArgumentError("a policy for another task");
  policy::LoadedPolicy loaded;
  loaded.policy_updates = updates;
  loaded.policy =
      std::make_shared<FakePolicy>(updates == 999 ? std::numeric_limits<float>::quiet_NaN()
                                                  : static_cast<float>(updates) / 1000);
  return loaded;
}

}  // namespace tandem::actor
