#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "services/replay_buffer/core/pace.h"

namespace tandem {
namespace {

constexpr size_t kMaxPartialEvaluations = 64;
constexpr int64_t kMostEvaluationEpisodes = 1 << 16;

}  // namespace

void PacePolicy::EvaluationEpisodeStored(const std::string& member, const Episode& episode) {
  if (static_cast<int64_t>(episode.evaluation_id) <= last_evaluated_ ||
      episode.evaluation_size > kMostEvaluationEpisodes) {
    return;
  }
  const auto key = std::make_pair(episode.evaluation_id, member);
  if (partial_.size() >= kMaxPartialEvaluations && !partial_.contains(key)) {
    partial_.erase(partial_.begin());
  }
  PartialEvaluation& partial = partial_[key];
  if (partial.episodes.empty()) partial.env_steps = stored_;
  partial.episodes.push_back(episode);
  partial.episodes.back().initial_observation.clear();  // only returns are needed
  if (static_cast<int64_t>(partial.episodes.size()) < episode.evaluation_size) return;
  FinishEvaluation(episode.evaluation_id, partial);
}

void PacePolicy::FinishEvaluation(uint64_t id, const PartialEvaluation& partial) {
  EvaluationResult result;
  result.env_steps = partial.env_steps;
  result.episodes = static_cast<int64_t>(partial.episodes.size());
  result.policy_updates = static_cast<int64_t>(partial.episodes.front().policy_updates);
  for (const Episode& episode : partial.episodes) result.mean_return += episode.episode_return;
  result.mean_return /= static_cast<double>(result.episodes);
  evaluations_.push_back(result);
  if (evaluations_.size() > static_cast<size_t>(kMaxEvaluations)) {
    evaluations_.erase(evaluations_.begin());
  }
  last_evaluated_ = static_cast<int64_t>(id);
  if (pending_ && pending_->id <= last_evaluated_) pending_.reset();
  std::erase_if(partial_, [id](const auto& entry) { return entry.first.first <= id; });

  const auto in_a_row = static_cast<size_t>(options_.evaluations_in_a_row);
  if (!stopped() && options_.return_at_least && evaluations_.size() >= in_a_row &&
      std::all_of(evaluations_.end() - static_cast<std::ptrdiff_t>(in_a_row), evaluations_.end(),
                  [this](const auto& e) { return e.mean_return >= *options_.return_at_least; })) {
    stop_reason_ =
        absl::StrFormat("goal reached: mean return at least %g in %d evaluations in a row",
                        *options_.return_at_least, options_.evaluations_in_a_row);
  }
  CheckStop();
}

}  // namespace tandem
