#include "services/actor/core/episode_recorder.h"

#include <algorithm>
#include <string>
#include <utility>

#include "common/base/log.h"

namespace tandem::actor {
namespace {

constexpr int64_t kMaxPendingSteps = 256;
constexpr int64_t kMaxPendingFloats = 64 << 10;

// The segment that goes on where `last` ended.
Segment Continue(const Segment& last, int64_t obs_dim) {
  Segment next;
  next.episode_id = last.episode_id;
  next.first_t = last.first_t + last.size();
  next.observations.assign(last.observations.end() - obs_dim, last.observations.end());
  next.purpose = last.purpose;
  return next;
}

// The kind of an environment's fault; of the first one where it has none, for one may be of all.
std::string FailureOf(int env, std::span<const EnvironmentFault> faults) {
  const auto own = std::find_if(faults.begin(), faults.end(),
                                [env](const EnvironmentFault& fault) { return fault.env == env; });
  if (own != faults.end()) return std::string(FaultName(own->kind));
  return faults.empty() ? "unknown" : std::string(FaultName(faults[0].kind));
}

}  // namespace

EpisodeRecorder::EpisodeRecorder(const EnvironmentSpec& spec, int num_envs, const Options& options,
                                 uint64_t* next_episode_id)
    : obs_dim_(spec.observation.dim()),
      action_dim_(spec.action.dim()),
      options_(options),
      next_episode_id_(next_episode_id),
      open_(static_cast<size_t>(num_envs)) {}

void EpisodeRecorder::StartAll(const VectorEnvironment& env) {
  const size_t obs_dim = static_cast<size_t>(obs_dim_);
  TANDEM_CHECK(env.outcomes().size() == open_.size());
  done_ = Recording();
  pending_steps_ = 0;
  steps_ = 0;
  episodes_ended_ = 0;
  return_sum_ = 0;
  recording_envs_ = static_cast<int>(open_.size());
  for (size_t i = 0; i < open_.size(); ++i) {
    open_[i] = Open();
    if (env.outcomes()[i] != Outcome::kStarted) continue;
    Begin(open_[i], env.observations().subspan(i * obs_dim, obs_dim));
  }
}

void EpisodeRecorder::SetPolicy(uint64_t version, uint64_t updates) {
  if (version == policy_version_ && updates == policy_updates_) return;
  for (Open& open : open_) CutSegment(open);
  policy_version_ = version;
  policy_updates_ = updates;
}

void EpisodeRecorder::Record(const VectorEnvironment& env, std::span<const float> actions,
                             std::span<const float> log_probs,
                             std::span<const EnvironmentFault> faults) {
  const size_t obs_dim = static_cast<size_t>(obs_dim_);
  const size_t action_dim = static_cast<size_t>(action_dim_);
  for (size_t i = 0; i < open_.size(); ++i) {
    Open& open = open_[i];
    if (!open.recording) continue;
    const Outcome outcome = env.outcomes()[i];
    if (outcome == Outcome::kStepped) {
      if (!open.begun) continue;
      const StepResult& result = env.results()[i];
      const bool ended = result.ended();
      Append(open, actions.subspan(i * action_dim, action_dim), log_probs[i], result,
             (ended ? env.final_observations() : env.observations()).subspan(i * obs_dim, obs_dim));
      if (!ended) continue;
      End(open, result.terminated);
      if (!open.recording) continue;
    } else {
      if (open.begun) {
        const bool again = options_.first_episode_only && ++open.losses < options_.max_losses;
        Lose(open, FailureOf(static_cast<int>(i), faults), /*counts=*/!again);
      }
      if (!open.recording || outcome != Outcome::kStarted) continue;
    }
    Begin(open, env.observations().subspan(i * obs_dim, obs_dim));
  }
}

void EpisodeRecorder::Begin(Open& open, std::span<const float> observation) {
  open.begun = true;
  open.least_turn = 1;
  open.segment = Segment();
  open.segment.episode_id = (*next_episode_id_)++;
  open.segment.purpose = options_.purpose;
  open.segment.observations.assign(observation.begin(), observation.end());
  open.episode = Episode();
  open.episode.episode_id = open.segment.episode_id;
  open.episode.purpose = options_.purpose;
  open.episode.initial_observation.assign(observation.begin(), observation.end());
  open.episode.evaluation_id = options_.evaluation_id;
  open.episode.evaluation_size = options_.evaluation_size;
}

void EpisodeRecorder::Append(Open& open, std::span<const float> action, float log_prob,
                             const StepResult& result, std::span<const float> after) {
  ++steps_;
  open.episode.policy_version = policy_version_;
  open.episode.policy_updates = policy_updates_;
  NotePolicy(open);
  open.episode.episode_return += static_cast<double>(result.reward);
  ++open.episode.length;
  if (!options_.keep_steps) return;
  Segment& segment = open.segment;
  segment.policy_version = policy_version_;
  segment.actions.insert(segment.actions.end(), action.begin(), action.end());
  segment.rewards.push_back(result.reward);
  segment.log_probs.push_back(log_prob);
  segment.observations.insert(segment.observations.end(), after.begin(), after.end());
  ++pending_steps_;
}

void EpisodeRecorder::NotePolicy(Open& open) {
  std::vector<ActingPolicy>& policies = open.episode.policies;
  const ActingPolicy now = {open.episode.length, policy_version_, policy_updates_};
  if (!policies.empty()) {
    const ActingPolicy& last = policies.back();
    if (last.policy_version == now.policy_version && last.policy_updates == now.policy_updates) {
      return;
    }
    if (now.first_t - last.first_t < open.least_turn) return;
  }
  if (policies.size() == Episode::kMostPolicies) {
    open.least_turn *= 2;
    for (size_t i = 0; 2 * i < policies.size(); ++i) policies[i] = policies[2 * i];
    policies.resize((policies.size() + 1) / 2);
  }
  policies.push_back(now);
}

void EpisodeRecorder::CutSegment(Open& open) {
  if (open.segment.size() == 0) return;
  Segment next = Continue(open.segment, obs_dim_);
  done_.segments.push_back(std::exchange(open.segment, std::move(next)));
}

void EpisodeRecorder::End(Open& open, bool terminated) {
  open.segment.terminated = terminated;
  open.segment.truncated = !terminated;
  CutSegment(open);
  open.episode.terminated = terminated;
  Finish(open);
}

void EpisodeRecorder::Finish(Open& open) {
  open.begun = false;
  if (open.episode.policies.size() == 1) open.episode.policies.clear();
  ++episodes_ended_;
  return_sum_ += open.episode.episode_return;
  done_.episodes.push_back(std::move(open.episode));
  if (options_.first_episode_only) {
    open.recording = false;
    --recording_envs_;
  }
}

void EpisodeRecorder::Lose(Open& open, const std::string& failure, bool counts) {
  open.begun = false;
  if (open.episode.length == 0) return;
  open.episode.failure = failure;
  // Where its last step was taken already, the summary alone closes the episode.
  const bool closed = open.segment.size() > 0 || !options_.keep_steps;
  open.segment.truncated = true;
  CutSegment(open);
  if (counts) {
    Finish(open);
  } else if (!closed) {
    open.episode.evaluation_id = 0;
    open.episode.evaluation_size = 0;
    done_.episodes.push_back(std::move(open.episode));
  }
}

Recording EpisodeRecorder::Take() {
  for (Open& open : open_) {
    if (open.recording) CutSegment(open);
  }
  pending_steps_ = 0;
  Recording taken = std::exchange(done_, Recording());
  if (options_.first_episode_only && recording_envs_ > 0) {
    done_.episodes = std::exchange(taken.episodes, {});
  }
  return taken;
}

void EpisodeRecorder::Cut(const std::string& why) {
  for (Open& open : open_) {
    if (open.begun) Lose(open, why, /*counts=*/true);
    open.recording = false;
  }
  recording_envs_ = 0;
}

void EpisodeRecorder::Abandon() {
  std::erase_if(done_.episodes, [](const Episode& episode) { return episode.evaluation_size > 0; });
  for (Open& open : open_) {
    if (open.recording && open.begun) Lose(open, "abandoned", /*counts=*/false);
    open.recording = false;
  }
  recording_envs_ = 0;
}

bool EpisodeRecorder::full() const {
  return pending_steps_ >= kMaxPendingSteps ||
         pending_steps_ * (obs_dim_ + action_dim_ + 2) >= kMaxPendingFloats;
}

}  // namespace tandem::actor
