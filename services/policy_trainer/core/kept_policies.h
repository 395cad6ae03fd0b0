#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "absl/status/status.h"
#include "common/nn/safetensors.h"
#include "common/policy/sac_learner.h"

namespace tandem::policy_trainer {

/// The learner's states of the last published policies, one for each refit, so that training can go
/// back to one of them. In memory: they do not outlive the process. Not thread-safe.
class KeptPolicies {
 public:
  /// most >= 1 states, and no more than `most_bytes` of tensors in all, but at least one.
  explicit KeptPolicies(size_t most = 16, int64_t most_bytes = int64_t{256} << 20)
      : most_(most), most_bytes_(most_bytes) {}

  /// Keeps the state of `learner`, whose policy of that many updates is published; the oldest give
  /// way. A state of as many updates is replaced.
  void Keep(const policy::SacLearner& learner);

  /// Puts weights, moments and random streams of the newest state of at most `updates` updates into
  /// `learner`; its count of updates goes on, for the pace counts them. NOT_FOUND, which tells what
  /// is kept, where all are newer.
  absl::Status Restore(uint64_t updates, policy::SacLearner& learner) const;

 private:
  struct Kept {
    uint64_t updates = 0;
    int64_t bytes = 0;
    nn::TensorFile state;
  };

  const size_t most_;
  const int64_t most_bytes_;
  std::deque<Kept> kept_;  // oldest first
  int64_t bytes_ = 0;
};

}  // namespace tandem::policy_trainer
