#include "services/policy_trainer/core/kept_policies.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"

namespace tandem::policy_trainer {

void KeptPolicies::Keep(const policy::SacLearner& learner) {
  Kept next{.updates = learner.updates(), .state = learner.SaveState()};
  for (const auto& [name, tensor] : next.state.tensors) {
    next.bytes += static_cast<int64_t>(tensor.data.size() * sizeof(float));
  }
  // After a restart from an older checkpoint the count may have gone back.
  while (!kept_.empty() && kept_.back().updates >= next.updates) {
    bytes_ -= kept_.back().bytes;
    kept_.pop_back();
  }
  bytes_ += next.bytes;
  kept_.push_back(std::move(next));
  while (kept_.size() > 1 && (kept_.size() > most_ || bytes_ > most_bytes_)) {
    bytes_ -= kept_.front().bytes;
    kept_.pop_front();
  }
}

absl::Status KeptPolicies::Restore(uint64_t updates, policy::SacLearner& learner) const {
  for (auto kept = kept_.rbegin(); kept != kept_.rend(); ++kept) {
    if (kept->updates > updates) continue;
    const absl::Status status = learner.RestoreWeights(kept->state);
    if (status.ok()) {
      LogWarning(absl::StrCat("after ", learner.updates(), " updates: back to the policy of ",
                              kept->updates));
    }
    return status;
  }
  const std::string range = kept_.empty() ? "none is"
                                          : absl::StrCat("those of ", kept_.front().updates, " to ",
                                                         kept_.back().updates, " are");
  return absl::NotFoundError(
      absl::StrCat("the policy of ", updates, " updates is not kept, ", range));
}

}  // namespace tandem::policy_trainer
