#include "services/monitor/core/snapshot_history.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "common/base/status_macros.h"

namespace tandem::monitor {
namespace {

constexpr size_t kVersionsRemembered = 1024;
constexpr double kSpacingOfAge = 0.25;  // most between two old policies, over how old they are

}  // namespace

absl::StatusOr<HeldModel> ModelHistory::Load(const snapshot::Snapshot& snapshot,
                                             const EnvironmentSpec& spec) {
  TANDEM_ASSIGN_OR_RETURN(const nn::TensorFile file, snapshot.Parse());
  HeldModel held;
  held.version = snapshot.version;
  TANDEM_ASSIGN_OR_RETURN(held.through_index, nn::FindInt(file, snapshot::kThroughIndexKey));
  TANDEM_ASSIGN_OR_RETURN(held.env_steps, nn::FindInt(file, snapshot::kEnvStepsKey));
  TANDEM_ASSIGN_OR_RETURN(held.model, factory_(file, spec));
  if (objective::TransitionClassifier::IsIn(file)) {
    TANDEM_ASSIGN_OR_RETURN(held.classifier,
                            objective::TransitionClassifier::Load(file, spec, "cpu"));
  }
  return held;
}

absl::StatusOr<bool> ModelHistory::Poll(const EnvironmentSpec& spec) {
  const std::shared_ptr<const snapshot::Snapshot> latest = source_->Latest();
  if (latest == nullptr || !snapshot::IsNewer(latest->version, seen_)) return false;
  seen_ = latest->version;
  TANDEM_ASSIGN_OR_RETURN(HeldModel held, Load(*latest, spec));
  held_.push_back(std::move(held));
  if (held_.size() > capacity_) held_.pop_front();
  return true;
}

const HeldModel* ModelHistory::NewestBefore(int64_t env_steps) const {
  for (auto held = held_.rbegin(); held != held_.rend(); ++held) {
    if (held->env_steps < env_steps) return &*held;
  }
  return nullptr;
}

absl::StatusOr<HeldPolicy> PolicyHistory::Load(const snapshot::Snapshot& snapshot,
                                               const EnvironmentSpec& spec) {
  TANDEM_ASSIGN_OR_RETURN(const nn::TensorFile file, snapshot.Parse());
  HeldPolicy held = {.version = snapshot.version};
  TANDEM_ASSIGN_OR_RETURN(held.policy, factory_(file, spec));
  held.model_version = nn::FindInt(file, snapshot::kModelVersionKey).value_or(-1);
  held.env_steps = nn::FindInt(file, snapshot::kEnvStepsKey).value_or(-1);
  const auto figure = [&file](const char* key) {
    return nn::FindDouble(file, key).value_or(std::numeric_limits<double>::quiet_NaN());
  };
  held.horizon = figure(snapshot::kHorizonKey);
  held.real_share = figure(snapshot::kRealShareKey);
  held.pessimism = figure(snapshot::kPessimismKey);
  held.truncated_share = figure(snapshot::kTruncatedShareKey);
  const absl::StatusOr<objective::JointTerms> joint = objective::JointTerms::Import(file);
  if (joint.ok()) {
    held.joint = *joint;
  } else if (!absl::IsNotFound(joint.status())) {
    return joint.status();
  }
  return held;
}

absl::StatusOr<bool> PolicyHistory::Poll(const EnvironmentSpec& spec) {
  const auto newer = source_->Since(seen_, stride_);
  for (const std::shared_ptr<const snapshot::Snapshot>& snapshot : newer) {
    if (snapshot->version.epoch != seen_.epoch) updates_.clear();
    seen_ = snapshot->version;
    TANDEM_ASSIGN_OR_RETURN(HeldPolicy held, Load(*snapshot, spec));
    Hold(std::move(held));
  }
  return !newer.empty();
}

void PolicyHistory::Hold(HeldPolicy held) {
  updates_[static_cast<int64_t>(held.version.version)] =
      static_cast<double>(held.policy.policy_updates);
  if (updates_.size() > kVersionsRemembered) updates_.erase(updates_.begin());
  const auto updates = [this](size_t back) {
    return static_cast<double>(held_[held_.size() - back].policy.policy_updates);
  };
  if (held_.size() >= 2 && std::abs(updates(1) - updates(2)) < spacing_) held_.pop_back();
  held_.push_back(std::move(held));
  if (held_.size() > capacity_) Thin();
}

void PolicyHistory::Thin() {
  const auto updates = [this](size_t i) {
    return static_cast<double>(held_[i].policy.policy_updates);
  };
  for (size_t i = 1; i + capacity_ / 2 < held_.size(); ++i) {
    const double age = updates(held_.size() - 1) - updates(i);
    if (updates(i + 1) - updates(i - 1) > kSpacingOfAge * age) continue;
    held_.erase(held_.begin() + static_cast<int64_t>(i));
    return;
  }
  held_.pop_front();
}

const HeldPolicy* PolicyHistory::TrainedIn(uint64_t model_version) const {
  for (auto held = held_.rbegin(); held != held_.rend(); ++held) {
    if (held->model_version < 0) break;
    if (static_cast<uint64_t>(held->model_version) <= model_version) return &*held;
  }
  return newest();
}

const HeldPolicy* PolicyHistory::Nearest(double policy_updates) const {
  const HeldPolicy* nearest = nullptr;
  double smallest = std::numeric_limits<double>::infinity();
  for (const HeldPolicy& held : held_) {
    const double distance =
        std::abs(static_cast<double>(held.policy.policy_updates) - policy_updates);
    if (distance <= smallest) {
      smallest = distance;
      nearest = &held;
    }
  }
  return nearest;
}

double PolicyHistory::UpdatesAt(int64_t version) const {
  if (updates_.empty()) return std::numeric_limits<double>::quiet_NaN();
  const auto above = updates_.lower_bound(version);
  if (above == updates_.end()) return updates_.rbegin()->second;
  if (above->first == version) return above->second;
  if (above == updates_.begin()) return std::numeric_limits<double>::quiet_NaN();
  const auto below = std::prev(above);
  const double share = static_cast<double>(version - below->first) /
                       static_cast<double>(above->first - below->first);
  return below->second + share * (above->second - below->second);
}

}  // namespace tandem::monitor
