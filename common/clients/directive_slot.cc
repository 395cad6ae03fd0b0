#include "common/clients/directive_slot.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace tandem::clients {

void DirectiveSlot::Put(coadaptation::Directive directive, absl::Duration ttl) {
  const absl::Duration now = clock_.Monotonic();
  {
    MutexLock lock(mu_);
    if (directive.version != directive_.version) arrived_ = now;
    directive_ = std::move(directive);
    expires_ = now + ttl;
  }
  changed_.NotifyAll();
}

HeldDirective DirectiveSlot::Held() {
  const absl::Duration now = clock_.Monotonic();
  MutexLock lock(mu_);
  HeldDirective held{.directive = directive_, .arrived = arrived_};
  held.expired = directive_.version != 0 && now >= expires_;
  if (held.expired) {
    for (coadaptation::Setting& setting : held.directive.settings) {
      setting.value = setting.safe_value;
    }
  }
  return held;
}

bool DirectiveSlot::WaitFor(int64_t version, absl::Duration timeout) {
  const auto wait = absl::ToChronoMicroseconds(std::min(timeout, absl::Hours(1000)));
  const auto deadline = std::chrono::steady_clock::now() + wait;
  MutexLock lock(mu_);
  for (bool in_time = true; directive_.version < version && in_time && !stopped_;) {
    in_time = changed_.WaitUntil(mu_, deadline);
  }
  return directive_.version >= version;
}

void DirectiveSlot::Stop() {
  {
    MutexLock lock(mu_);
    stopped_ = true;
  }
  changed_.NotifyAll();
}

}  // namespace tandem::clients
