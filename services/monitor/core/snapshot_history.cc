#include "services/monitor/core/snapshot_history.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "common/base/status_macros.h"

namespace tandem::monitor {
namespace {

constexpr size_t kVersionsRemembered = 1024;  // of one epoch
constexpr size_t kEpochsRemembered = 8;
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
    seen_ = snapshot->version;
    TANDEM_ASSIGN_OR_RETURN(HeldPolicy held, Load(*snapshot, spec));
    Hold(std::move(held));
  }
  return !newer.empty();
}

void PolicyHistory::Hold(HeldPolicy held) {
  if (epochs_.empty() || epochs_.back().epoch != held.version.epoch) {
    epochs_.push_back({held.version.epoch, {}});
    if (epochs_.size() > kEpochsRemembered) epochs_.pop_front();
  }
  std::map<uint64_t, double>& seen = epochs_.back().updates;
  seen[held.version.version] = static_cast<double>(held.policy.policy_updates);
  if (seen.size() > kVersionsRemembered) seen.erase(seen.begin());
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
  const size_t young = std::max<size_t>(1, capacity_ / 2);  // the newest stays, whatever comes
  for (size_t i = 1; i + young < held_.size(); ++i) {
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

const PolicyHistory::Epoch* PolicyHistory::EpochOf(int64_t tag) const {
  if (epochs_.empty()) return nullptr;
  const uint64_t of = static_cast<uint64_t>(tag) & ~snapshot::Version::kTagVersions;
  if (of == 0) return &epochs_.back();
  const auto epoch = std::find_if(epochs_.rbegin(), epochs_.rend(), [of](const Epoch& epoch) {
    return snapshot::Version{epoch.epoch, 0}.Tag() == of;
  });
  return epoch == epochs_.rend() ? nullptr : &*epoch;
}

double PolicyHistory::UpdatesAt(int64_t tag) const {
  const Epoch* const epoch = EpochOf(tag);
  if (epoch == nullptr) return std::numeric_limits<double>::quiet_NaN();
  const std::map<uint64_t, double>& updates = epoch->updates;
  const uint64_t version = static_cast<uint64_t>(tag) & snapshot::Version::kTagVersions;
  const auto above = updates.lower_bound(version);
  if (above == updates.end()) return updates.rbegin()->second;
  if (above->first == version) return above->second;
  if (above == updates.begin()) return std::numeric_limits<double>::quiet_NaN();
  const auto below = std::prev(above);
  const double share = static_cast<double>(version - below->first) /
                       static_cast<double>(above->first - below->first);
  return below->second + share * (above->second - below->second);
}

double PolicyHistory::LagBehind(const HeldPolicy& of, int64_t tag) const {
  const Epoch* const epoch = EpochOf(tag);
  if (epoch == nullptr) return std::numeric_limits<double>::quiet_NaN();
  double then = UpdatesAt(tag);
  if (std::isnan(then)) then = epoch->updates.begin()->second;
  const double lag = static_cast<double>(of.policy.policy_updates) - then;
  return epoch->epoch == of.version.epoch ? std::max(0.0, lag) : std::abs(lag);
}

}  // namespace tandem::monitor
