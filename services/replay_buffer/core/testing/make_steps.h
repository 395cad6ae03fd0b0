#pragma once

#include <string>

#include "common/data/batch.h"
#include "common/data/spec.h"

namespace tandem::testing_support {

/// An environment with 2 numbers observed and 1 done.
inline EnvironmentSpec MakeSpec() {
  EnvironmentSpec spec;
  spec.name = "toy";
  spec.observation = {{-1e6f, -1e6f}, {1e6f, 1e6f}};
  spec.action = {{-1}, {1}};
  spec.max_episode_steps = 1000;
  return spec;
}

/// What is observed before step t of an episode: every number tells where it comes from.
inline float Observed(uint64_t episode, int64_t t) {
  return static_cast<float>(episode) * 1000 + static_cast<float>(t);
}

/// Steps [first_t, first_t + n) of an episode of the environment above.
inline Segment MakeSegment(uint64_t episode, int64_t first_t, int64_t n, bool terminated = false,
                           bool truncated = false) {
  Segment s;
  s.episode_id = episode;
  s.first_t = first_t;
  for (int64_t t = first_t; t <= first_t + n; ++t) {
    s.observations.push_back(Observed(episode, t));
    s.observations.push_back(-Observed(episode, t));
  }
  for (int64_t t = first_t; t < first_t + n; ++t) {
    s.actions.push_back(static_cast<float>(t % 3) / 3);
    s.rewards.push_back(static_cast<float>(t));
    s.log_probs.push_back(0);
  }
  s.terminated = terminated;
  s.truncated = truncated;
  s.policy_version = 7;
  return s;
}

inline Episode MakeEpisode(uint64_t episode, int64_t length, bool terminated = true) {
  Episode e;
  e.episode_id = episode;
  e.length = length;
  e.episode_return = static_cast<double>(length * (length - 1) / 2);
  e.terminated = terminated;
  e.policy_version = 7;
  e.initial_observation = {Observed(episode, 0), -Observed(episode, 0)};
  return e;
}

inline Episode MakeEvaluation(uint64_t id, int64_t size, double value) {
  Episode e = MakeEpisode(1000 + id, 5);
  e.purpose = Purpose::kEvaluation;
  e.episode_return = value;
  e.evaluation_id = id;
  e.evaluation_size = size;
  return e;
}

}  // namespace tandem::testing_support
