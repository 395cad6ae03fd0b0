#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/coadaptation/knob.h"
#include "common/metrics/registry.h"

namespace tandem {

/// The newest directive of the monitor, as its receiver holds it.
struct HeldDirective {
  /// Version 0: none came yet. Where it has expired each setting's value is its safe value.
  coadaptation::Directive directive;
  bool expired = false;
  absl::Duration arrived;  ///< Clock::Monotonic() when this version came first.
};

/// What became of a directive. In the order of tandem.monitor.v1.Outcome.
enum class DirectiveOutcome { kApplied = 1, kRefused = 2, kExpired = 3 };

struct Acknowledgement {
  int64_t version = 0;
  DirectiveOutcome outcome = DirectiveOutcome::kApplied;
  std::string message;                      ///< Why it was refused.
  double apply_seconds = 0;                 ///< From arrival to effect [s].
  std::vector<coadaptation::Knob> refused;  ///< Which knobs were.
};

/// The monitor as a receiver of its directives sees it: the gRPC implementation, or
/// FakeDirectiveClient. It follows the directives in the background, and nothing here waits longer
/// than it is told to: a monitor that is away costs nobody anything but its directives, which
/// expire to their safe values. Thread-safe.
class DirectiveClient {
 public:
  virtual ~DirectiveClient() = default;
  /// What is in force. Does not wait.
  virtual HeldDirective Held() = 0;
  /// Waits until one of at least `version` is held; false when `timeout` has passed or after
  /// Stop().
  virtual bool WaitFor(int64_t version, absl::Duration timeout) = 0;
  /// Tells the monitor what became of a directive, in the background and until it has heard it; the
  /// same twice in a row is told once. Of more than 16 that wait to be told the oldest are dropped.
  virtual void Acknowledge(const Acknowledgement& acknowledgement) = 0;
  /// Ends the following and every wait. Idempotent.
  virtual void Stop() = 0;
};

/// Follows the directives of the monitor at `address` for one receiver, `member` by name, and goes
/// on after breaks: 0.1 to 2 s between tries. A monitor that is connected and says nothing for
/// `timeout`, or later for the time to live, is asked again. The registry outlives it. nullptr for
/// an empty address: there is no monitor.
std::unique_ptr<DirectiveClient> WatchDirectives(const std::string& address,
                                                 coadaptation::Receiver receiver,
                                                 const std::string& member,
                                                 metrics::Registry& registry,
                                                 absl::Duration timeout = absl::Seconds(5));

}  // namespace tandem
