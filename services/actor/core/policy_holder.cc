#include "services/actor/core/policy_holder.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "services/actor/core/wait_log.h"

namespace tandem::actor {

PolicyHolder::PolicyHolder(snapshot::SnapshotSource& source, PolicyLoader loader, std::string peer,
                           Clock& clock, StopSignal& stop, ActorMetrics& metrics)
    : source_(source),
      loader_(std::move(loader)),
      peer_(std::move(peer)),
      clock_(clock),
      stop_(stop),
      metrics_(metrics) {}

void PolicyHolder::Refresh() {
  const std::shared_ptr<const snapshot::Snapshot> newest = source_.Latest();
  if (newest != nullptr && snapshot::IsNewer(newest->version, seen_)) {
    seen_ = newest->version;
    absl::StatusOr<policy::LoadedPolicy> loaded = loader_(*newest);
    if (loaded.ok()) {
      loaded_ = *std::move(loaded);
      version_ = newest->version;
      loaded_at_ = clock_.Monotonic();
      metrics_.policy_updates.Set(static_cast<double>(loaded_.policy_updates));
    } else {
      metrics_.policies_refused.Increment();
      LogError(absl::StrCat("policy ", newest->version.version, " of ", peer_,
                            " is skipped: ", loaded.status().ToString()));
    }
  }
  if (has_policy()) {
    metrics_.policy_age_seconds.Set(absl::ToDoubleSeconds(clock_.Monotonic() - loaded_at_));
  }
}

bool PolicyHolder::Satisfies(int64_t updates) const {
  return has_policy() && (updates < 0 || this->updates() >= updates);
}

bool PolicyHolder::WaitFor(int64_t updates, absl::Duration timeout) {
  WaitLog log(clock_);
  const absl::Duration deadline = clock_.Monotonic() + timeout;
  for (;;) {
    Refresh();
    if (Satisfies(updates)) {
      if (updates >= 0 && this->updates() > updates) {
        LogWarning(absl::StrCat("acting with a policy of ", this->updates(),
                                " updates where one of ", updates, " was asked for"));
      }
      return true;
    }
    const absl::Duration left = deadline - clock_.Monotonic();
    if (stop_.stopped() || left <= absl::ZeroDuration()) return false;
    log.Tick(absl::StrCat(
        updates < 0 ? std::string("a policy") : absl::StrCat("the policy of ", updates, " updates"),
        " from policy_trainer at ", peer_,
        " (held: ", has_policy() ? absl::StrCat(this->updates(), " updates") : "none", ")"));
    source_.WaitNewer(seen_, std::min(left, absl::Seconds(1)));
  }
}

}  // namespace tandem::actor
