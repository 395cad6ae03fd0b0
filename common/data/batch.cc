#include "common/data/batch.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"

namespace tandem {
namespace {

constexpr size_t kMaxFailureBytes = 64;

// Appends rows [begin, end) of a column `width` wide; a column that was left out stays empty.
template <typename T>
void AppendRows(std::vector<T>& to, const std::vector<T>& from, int64_t width, int64_t begin,
                int64_t end) {
  if (from.empty()) return;
  to.insert(to.end(), from.begin() + begin * width, from.begin() + end * width);
}

absl::Status ValidateSize(const char* where, const char* column, int64_t expected, size_t got) {
  if (static_cast<size_t>(expected) == got) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(where, ": expected ", expected, " numbers in ", column, ", got ", got));
}

absl::Status ValidateFinite(const char* where, const char* column, const std::vector<float>& values,
                            int64_t width) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i])) continue;
    const int64_t index = static_cast<int64_t>(i);
    return absl::InvalidArgumentError(
        absl::StrCat(where, ": expected finite numbers, got ",
                     std::isnan(values[i]) ? "nan" : (values[i] > 0 ? "inf" : "-inf"), " in ",
                     column, ", row ", index / width, ", column ", index % width));
  }
  return absl::OkStatus();
}

absl::Status ValidateFailure(const Episode& episode) {
  if (episode.failure.size() > kMaxFailureBytes) {
    return absl::InvalidArgumentError(absl::StrCat("episode: expected failure of at most ",
                                                   kMaxFailureBytes, " bytes, got ",
                                                   episode.failure.size()));
  }
  if (episode.terminated && !episode.failure.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("episode: expected terminated or a failure, got both, ", episode.failure));
  }
  return absl::OkStatus();
}

absl::Status ValidatePolicies(const Episode& episode) {
  const std::vector<ActingPolicy>& policies = episode.policies;
  if (policies.size() > Episode::kMostPolicies) {
    return absl::InvalidArgumentError(absl::StrCat(
        "episode: expected at most ", Episode::kMostPolicies, " policies, got ", policies.size()));
  }
  for (size_t i = 0; i < policies.size(); ++i) {
    const int64_t t = policies[i].first_t;
    if (i == 0 ? t == 0 : t > policies[i - 1].first_t && t < episode.length) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("episode: expected policies from step 0 on, each later than the last and "
                     "before step ",
                     episode.length, ", got first_t ", t));
  }
  return absl::OkStatus();
}

}  // namespace

void TransitionBatch::Append(const TransitionBatch& other, int64_t begin, int64_t end) {
  TANDEM_CHECK(0 <= begin && begin <= end && end <= other.size());
  if (size() == 0) {
    obs_dim = other.obs_dim;
    action_dim = other.action_dim;
  }
  TANDEM_CHECK(obs_dim == other.obs_dim && action_dim == other.action_dim);
  AppendRows(observations, other.observations, obs_dim, begin, end);
  AppendRows(actions, other.actions, action_dim, begin, end);
  AppendRows(rewards, other.rewards, 1, begin, end);
  AppendRows(next_observations, other.next_observations, obs_dim, begin, end);
  AppendRows(terminated, other.terminated, 1, begin, end);
  AppendRows(truncated, other.truncated, 1, begin, end);
  AppendRows(indices, other.indices, 1, begin, end);
  AppendRows(episodes, other.episodes, 1, begin, end);
  AppendRows(times, other.times, 1, begin, end);
  AppendRows(policy_versions, other.policy_versions, 1, begin, end);
  AppendRows(splits, other.splits, 1, begin, end);
}

absl::Status Validate(const Segment& segment, const EnvironmentSpec& spec) {
  constexpr char kWhere[] = "segment";
  const int64_t n = segment.size();
  const int64_t obs_dim = spec.observation.dim();
  const int64_t action_dim = spec.action.dim();
  if (n < 1) return absl::InvalidArgumentError("segment: expected at least 1 step, got 0 rewards");
  if (segment.first_t < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("segment: expected first_t >= 0, got ", segment.first_t));
  }
  TANDEM_RETURN_IF_ERROR(
      ValidateSize(kWhere, "observations", (n + 1) * obs_dim, segment.observations.size()));
  TANDEM_RETURN_IF_ERROR(ValidateSize(kWhere, "actions", n * action_dim, segment.actions.size()));
  TANDEM_RETURN_IF_ERROR(ValidateSize(kWhere, "log_probs", n, segment.log_probs.size()));
  TANDEM_RETURN_IF_ERROR(ValidateFinite(kWhere, "observations", segment.observations, obs_dim));
  TANDEM_RETURN_IF_ERROR(ValidateFinite(kWhere, "actions", segment.actions, action_dim));
  TANDEM_RETURN_IF_ERROR(ValidateFinite(kWhere, "rewards", segment.rewards, 1));
  TANDEM_RETURN_IF_ERROR(ValidateFinite(kWhere, "log_probs", segment.log_probs, 1));
  if (segment.terminated && segment.truncated) {
    return absl::InvalidArgumentError(
        "segment: expected terminated or truncated or neither, got both");
  }
  if (segment.purpose != Purpose::kTraining && segment.purpose != Purpose::kEvaluation) {
    return absl::InvalidArgumentError(
        absl::StrCat("segment: expected purpose training (1) or evaluation (2), got ",
                     static_cast<int>(segment.purpose)));
  }
  return absl::OkStatus();
}

absl::Status Validate(const Episode& episode, const EnvironmentSpec& spec) {
  constexpr char kWhere[] = "episode";
  if (episode.length < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("episode: expected length >= 1, got ", episode.length));
  }
  if (!std::isfinite(episode.episode_return)) {
    return absl::InvalidArgumentError(
        absl::StrCat("episode: expected a finite return, got ", episode.episode_return));
  }
  TANDEM_RETURN_IF_ERROR(ValidateFailure(episode));
  TANDEM_RETURN_IF_ERROR(ValidatePolicies(episode));
  TANDEM_RETURN_IF_ERROR(ValidateSize(kWhere, "initial_observation", spec.observation.dim(),
                                      episode.initial_observation.size()));
  TANDEM_RETURN_IF_ERROR(ValidateFinite(kWhere, "initial_observation", episode.initial_observation,
                                        spec.observation.dim()));
  switch (episode.purpose) {
    case Purpose::kTraining:
      if (episode.evaluation_id != 0 || episode.evaluation_size != 0) {
        return absl::InvalidArgumentError(absl::StrCat(
            "episode: expected no evaluation for a training episode, got evaluation_id ",
            episode.evaluation_id, ", evaluation_size ", episode.evaluation_size));
      }
      return absl::OkStatus();
    case Purpose::kEvaluation:
      if (!episode.failure.empty() && episode.evaluation_id == 0 && episode.evaluation_size == 0) {
        return absl::OkStatus();
      }
      if (episode.evaluation_id == 0 || episode.evaluation_size < 1) {
        return absl::InvalidArgumentError(
            absl::StrCat("episode: expected evaluation_id and evaluation_size >= 1 for an "
                         "evaluation episode, got ",
                         episode.evaluation_id, " and ", episode.evaluation_size));
      }
      return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("episode: expected purpose training (1) or evaluation (2), got ",
                   static_cast<int>(episode.purpose)));
}

}  // namespace tandem
