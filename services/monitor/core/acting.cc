#include "services/monitor/core/acting.h"

#include <algorithm>
#include <cmath>

#include "common/base/status_macros.h"
#include "services/monitor/core/rows.h"

namespace tandem::monitor {
namespace {

policy::Policy* PolicyAt(const Turns& turns, int64_t t) {
  const auto after = std::upper_bound(turns.begin(), turns.end(), t,
                                      [](int64_t t, const Turn& turn) { return t < turn.first_t; });
  return std::prev(after)->held->policy.policy.get();
}

/// Rows on which one policy acts.
struct Group {
  policy::Policy* policy = nullptr;
  std::vector<int64_t> rows;
};

/// In the order in which they come: the random numbers must not depend on where things lie.
std::vector<Group> GroupRows(std::span<const Turns> turns, int64_t t,
                             std::span<const int64_t> starts) {
  std::vector<Group> groups;
  for (size_t row = 0; row < starts.size(); ++row) {
    policy::Policy* const policy = PolicyAt(turns[starts[row]], t);
    auto group = std::find_if(groups.begin(), groups.end(),
                              [policy](const Group& group) { return group.policy == policy; });
    if (group == groups.end()) group = groups.insert(groups.end(), Group{policy, {}});
    group->rows.push_back(static_cast<int64_t>(row));
  }
  return groups;
}

}  // namespace

const HeldPolicy* FindActing(const PolicyHistory& policies, double updates, double tolerance,
                             double* distance) {
  const HeldPolicy* held = policies.Nearest(updates);
  if (held == nullptr) return nullptr;
  const double ahead = static_cast<double>(held->policy.policy_updates) - updates;
  if (distance != nullptr) *distance = ahead;
  return std::abs(ahead) <= tolerance ? held : nullptr;
}

std::vector<const HeldPolicy*> ActingAtRows(const TransitionBatch& rows,
                                            const PolicyHistory& policies, double tolerance) {
  std::vector<const HeldPolicy*> acting;
  for (int64_t i = 0; i < rows.size(); ++i) {
    const int64_t version = rows.policy_versions[i];
    if (i > 0 && version == rows.policy_versions[i - 1]) {
      acting.push_back(acting.back());
    } else {
      acting.push_back(FindActing(policies, policies.UpdatesAt(version), tolerance));
    }
  }
  return acting;
}

Turns TurnsOf(std::span<const HeldPolicy* const> acting) {
  Turns turns;
  for (size_t t = 0; t < acting.size(); ++t) {
    if (turns.empty() || turns.back().held != acting[t]) {
      turns.push_back({static_cast<int64_t>(t), acting[t]});
    }
  }
  return turns;
}

dynamics::ActAtFunction ActByTurns(std::span<const Turns> turns, Rng* noise) {
  return [turns, noise](int64_t t, std::span<const int64_t> starts,
                        std::span<const float> observations, std::span<float> actions) {
    const std::vector<Group> groups = GroupRows(turns, t, starts);
    if (groups.size() == 1) return groups[0].policy->Act(observations, noise, actions, {});
    const int64_t rows = static_cast<int64_t>(starts.size());
    const int64_t action_dim = static_cast<int64_t>(actions.size()) / rows;
    for (const Group& group : groups) {
      std::vector<float> chosen(group.rows.size() * action_dim);
      TANDEM_RETURN_IF_ERROR(group.policy->Act(
          Gather(observations, static_cast<int64_t>(observations.size()) / rows, group.rows), noise,
          chosen, {}));
      for (size_t i = 0; i < group.rows.size(); ++i) {
        std::copy_n(chosen.begin() + i * action_dim, action_dim,
                    actions.begin() + group.rows[i] * action_dim);
      }
    }
    return absl::OkStatus();
  };
}

}  // namespace tandem::monitor
