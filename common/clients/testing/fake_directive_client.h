#pragma once

#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/clients/directive_client.h"
#include "common/clients/directive_slot.h"

namespace tandem {

/// A monitor for tests: holds the directive that a test gives it, and records what is acknowledged.
/// Thread-safe; the clock outlives it.
///   FakeDirectiveClient directives;
///   directives.Set(1, {{.knob = Knob::kRealShare, .value = 0.5, .safe_value = 0.3}});
class FakeDirectiveClient : public DirectiveClient {
 public:
  explicit FakeDirectiveClient(Clock& clock = *Clock::Real()) : slot_(clock) {}

  /// As if a directive had come.
  void Set(int64_t version, std::vector<coadaptation::Setting> settings,
           absl::Duration ttl = absl::Hours(1)) {
    slot_.Put({.version = version, .settings = std::move(settings)}, ttl);
  }
  std::vector<Acknowledgement> acknowledged() const {
    MutexLock lock(mu_);
    return acknowledged_;
  }

  HeldDirective Held() override { return slot_.Held(); }
  bool WaitFor(int64_t version, absl::Duration timeout) override {
    return slot_.WaitFor(version, timeout);
  }
  void Acknowledge(const Acknowledgement& acknowledgement) override {
    MutexLock lock(mu_);
    acknowledged_.push_back(acknowledgement);
  }
  void Stop() override { slot_.Stop(); }

 private:
  clients::DirectiveSlot slot_;
  mutable Mutex mu_;
  std::vector<Acknowledgement> acknowledged_ ABSL_GUARDED_BY(mu_);
};

}  // namespace tandem
