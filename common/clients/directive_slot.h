#pragma once

#include <cstdint>

#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/clients/directive_client.h"

namespace tandem::clients {

/// Holds the newest directive until its time to live is over, and its safe values from then on.
/// Thread-safe; the clock outlives it.
class DirectiveSlot {
 public:
  explicit DirectiveSlot(Clock& clock) : clock_(clock) {}

  /// Takes the place of what is held, or renews it where the version is the same.
  void Put(coadaptation::Directive directive, absl::Duration ttl);
  HeldDirective Held();
  /// See DirectiveClient. `timeout` is real time.
  bool WaitFor(int64_t version, absl::Duration timeout);
  void Stop();

 private:
  Clock& clock_;
  Mutex mu_;
  CondVar changed_;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  coadaptation::Directive directive_ ABSL_GUARDED_BY(mu_);
  absl::Duration arrived_ ABSL_GUARDED_BY(mu_);
  absl::Duration expires_ ABSL_GUARDED_BY(mu_);
};

}  // namespace tandem::clients
