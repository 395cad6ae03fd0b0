#include "services/monitor/core/episode_log.h"

#include <algorithm>
#include <numeric>

namespace tandem::monitor {
namespace {

constexpr size_t kUnfinishedEvaluations = 4;  // an evaluation cut short must not stay for ever

double Mean(const std::vector<Episode>& episodes) {
  double sum = 0;
  for (const Episode& episode : episodes) sum += episode.episode_return;
  return sum / static_cast<double>(episodes.size());
}

}  // namespace

void EpisodeLog::Add(const Episode& episode) {
  if (episode.purpose == Purpose::kEvaluation) {
    AddEvaluation(episode);
  } else {
    AddTraining(episode);
  }
}

void EpisodeLog::AddTraining(const Episode& episode) {
  training_return_ = episode.episode_return;
  scale_.AddEpisode(episode.episode_return);
  recent_.push_back(episode.episode_return);
  if (recent_.size() > kTrainingGroup) recent_.pop_front();
  scale_.AddMean(std::accumulate(recent_.begin(), recent_.end(), 0.0) /
                 static_cast<double>(recent_.size()));
  if (episode.policy_version == 0 || newest_.evaluation) return;
  training_group_.push_back(episode);
  if (training_group_.size() < kTrainingGroup) return;
  MakeGroup(training_group_, /*evaluation=*/false);
  training_group_.clear();
}

void EpisodeLog::AddEvaluation(const Episode& episode) {
  std::vector<Episode>& episodes = evaluations_[episode.evaluation_id];
  episodes.push_back(episode);
  if (static_cast<int64_t>(episodes.size()) >= episode.evaluation_size) {
    evaluation_return_ = Mean(episodes);
    scale_.AddMean(evaluation_return_);
    MakeGroup(episodes, /*evaluation=*/true);
    evaluations_.erase(episode.evaluation_id);
  }
  while (evaluations_.size() > kUnfinishedEvaluations) evaluations_.erase(evaluations_.begin());
}

void EpisodeLog::MakeGroup(const std::vector<Episode>& episodes, bool evaluation) {
  RealReturns group;
  group.number = newest_.number + 1;
  group.evaluation = evaluation;
  group.obs_dim = static_cast<int64_t>(episodes[0].initial_observation.size());
  for (const Episode& episode : episodes) {
    group.policy_updates +=
        static_cast<double>(episode.policy_updates) / static_cast<double>(episodes.size());
    group.start_states.insert(group.start_states.end(), episode.initial_observation.begin(),
                              episode.initial_observation.end());
    group.returns.push_back(episode.episode_return);
    group.longest = std::max(group.longest, episode.length);
  }
  newest_ = std::move(group);
}

}  // namespace tandem::monitor
