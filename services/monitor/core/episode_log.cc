#include "services/monitor/core/episode_log.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace tandem::monitor {
namespace {

constexpr size_t kMostUnfinished = 4;  // an evaluation cut short must not stay for ever

double Mean(const Evaluation& episodes) {
  double sum = 0;
  for (const Episode& episode : episodes) sum += episode.episode_return;
  return sum / static_cast<double>(episodes.size());
}

bool PoliciesAlone(const Episode& episode) {
  return episode.policy_version > 0 &&
         std::all_of(episode.policies.begin(), episode.policies.end(),
                     [](const ActingPolicy& policy) { return policy.policy_version > 0; });
}

}  // namespace

void EpisodeLog::Add(const Episode& episode) {
  if (!std::isfinite(episode.episode_return)) return;
  if (episode.purpose == Purpose::kEvaluation) {
    AddEvaluation(episode);
  } else {
    AddTraining(episode);
  }
}

void EpisodeLog::AddTraining(const Episode& episode) {
  if (!episode.failure.empty()) return;
  training_return_ = episode.episode_return;
  recent_.push_back(episode.episode_return);
  if (recent_.size() > kMeanOver) recent_.pop_front();
  if (IsNewToScale(episode.env_steps)) {
    scale_.AddEpisode(episode.episode_return);
    scale_.AddMean(std::accumulate(recent_.begin(), recent_.end(), 0.0) /
                   static_cast<double>(recent_.size()));
  }
  if (!PoliciesAlone(episode)) return;
  training_.push_back(episode);
  if (training_.size() > kMostTraining) training_.pop_front();
}

void EpisodeLog::AddEvaluation(const Episode& episode) {
  auto& [episodes, failed] = unfinished_[episode.evaluation_id];
  if (episode.failure.empty()) {
    episodes.push_back(episode);
  } else {
    ++failed;
  }
  if (static_cast<int64_t>(episodes.size()) + failed >= episode.evaluation_size) {
    if (!episodes.empty()) {
      evaluation_return_ = Mean(episodes);
      if (IsNewToScale(episode.env_steps)) scale_.AddMean(evaluation_return_);
      evaluations_.push_back(std::move(episodes));
      if (evaluations_.size() > kMostEvaluations) evaluations_.pop_front();
    }
    unfinished_.erase(episode.evaluation_id);
  }
  while (unfinished_.size() > kMostUnfinished) unfinished_.erase(unfinished_.begin());
}

bool EpisodeLog::IsNewToScale(int64_t env_steps) {
  if (env_steps <= restored_through_) return false;
  through_env_steps_ = std::max(through_env_steps_, env_steps);
  return true;
}

void EpisodeLog::Restore(const ReturnMemory& memory) {
  scale_.Restore(memory.scale);
  through_env_steps_ = restored_through_ = memory.through_env_steps;
}

std::vector<Episode> EpisodeLog::TakeTraining(int64_t env_steps) {
  std::vector<Episode> taken;
  while (!training_.empty() && training_.front().env_steps <= env_steps) {
    taken.push_back(std::move(training_.front()));
    training_.pop_front();
  }
  return taken;
}

std::vector<Evaluation> EpisodeLog::TakeEvaluations() {
  std::vector<Evaluation> taken(std::make_move_iterator(evaluations_.begin()),
                                std::make_move_iterator(evaluations_.end()));
  evaluations_.clear();
  return taken;
}

}  // namespace tandem::monitor
