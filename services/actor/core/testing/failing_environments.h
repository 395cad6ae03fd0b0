#pragma once

#include <algorithm>
#include <atomic>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/env/vector_environment.h"
#include "services/actor/core/testing/fakes.h"

namespace tandem::actor {

/// Environments whose outcomes a test writes: one list of Step's, call by call, and after its end
/// all run. Episode and step are observed as with CountingEnvironment; every fault is a crash. The
/// final observation of a step that does not end its episode is NaN: nobody may read it.
class FailingEnvironments : public VectorEnvironment {
 public:
  using Script = std::vector<std::vector<Outcome>>;

  /// length: steps of an episode, which then ends in a terminal state.
  FailingEnvironments(int num_envs, int length, Script script)
      : VectorEnvironment(CountingEnvironment(length).spec(), num_envs),
        script_(std::move(script)),
        length_(length),
        episodes_(static_cast<size_t>(num_envs)),
        steps_(static_cast<size_t>(num_envs)) {
    StartAll();
  }

  absl::Status ResetAll(std::optional<uint64_t> seed) override {
    StartAll();
    return absl::OkStatus();
  }
  absl::Status WidenStart(double scale) override { return absl::OkStatus(); }
  absl::Status Step(std::span<const float> actions) override {
    if (stopped_) return absl::CancelledError("stopped");
    const size_t call = static_cast<size_t>(calls_++);
    for (int env = 0; env < num_envs(); ++env) {
      const size_t i = static_cast<size_t>(env);
      const bool runs = outcomes_[i] == Outcome::kStepped || outcomes_[i] == Outcome::kStarted;
      const Outcome without = runs ? Outcome::kStepped : Outcome::kStarted;
      Become(env, call < script_.size() ? script_[call][i] : without, actions[i]);
    }
    return absl::OkStatus();
  }
  void Stop() override { stopped_ = true; }

  int calls() const { return calls_; }

 private:
  void StartAll() {
    for (int env = 0; env < num_envs(); ++env) Become(env, Outcome::kStarted, 0);
  }
  void Become(int env, Outcome outcome, float action) {
    const size_t i = static_cast<size_t>(env);
    outcomes_[i] = outcome;
    if (outcome == Outcome::kLost) {
      faults_.push_back({env, FaultKind::kCrashed, "exit code 3\nTraceback: no memory\n"});
    }
    if (outcome == Outcome::kStarted) Begin(i);
    if (outcome == Outcome::kStepped) {
      ++steps_[i];
      results_[i] = {.reward = action, .terminated = steps_[i] == length_};
      const std::span<float> last = final_observation(env);
      if (results_[i].terminated) {
        Observe(i, last);
        Begin(i);
      } else {
        std::fill(last.begin(), last.end(), std::numeric_limits<float>::quiet_NaN());
      }
    }
    Observe(i, observation(env));
  }
  void Begin(size_t i) {
    ++episodes_[i];
    steps_[i] = 0;
  }
  void Observe(size_t i, std::span<float> observation) const {
    observation[0] = static_cast<float>(episodes_[i]);
    observation[1] = static_cast<float>(steps_[i]);
  }

  const Script script_;
  const int length_;
  std::vector<int> episodes_;
  std::vector<int> steps_;
  std::atomic<int> calls_{0};
  std::atomic<bool> stopped_{false};
};

}  // namespace tandem::actor
