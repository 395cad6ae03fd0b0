#pragma once

#include <cstdint>
#include <string>

#include "services/replay_buffer/core/pace.h"

namespace tandem::testing_support {

/// What the sides of a run say to the pace.
inline PaceAsk Actor(const std::string& name = "a", int64_t wanted = 1000) {
  return {.role = Role::kActor, .member = name, .wanted = wanted};
}
inline PaceAsk Model(int64_t steps, int64_t fitted = 0) {
  return {.role = Role::kModelTrainer, .member = "m", .model_steps = steps, .fitted_steps = fitted};
}
inline PaceAsk Policy(int64_t updates, int64_t wanted = 1000) {
  return {.role = Role::kPolicyTrainer, .member = "p", .wanted = wanted, .policy_updates = updates};
}

/// Reports, then asks.
inline PaceGrant Ask(PacePolicy& pace, const PaceAsk& ask) {
  pace.Report(ask);
  return pace.Grant(ask);
}

/// An episode of an evaluation of `size` episodes.
inline Episode Evaluated(int64_t id, int64_t size, double value) {
  Episode e;
  e.purpose = Purpose::kEvaluation;
  e.episode_return = value;
  e.length = 1;
  e.evaluation_id = static_cast<uint64_t>(id);
  e.evaluation_size = size;
  return e;
}

}  // namespace tandem::testing_support
