#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/coadaptation/knob.h"
#include "common/metrics/registry.h"

namespace tandem::monitor {

struct DeskOptions {
  absl::Duration ttl = absl::Seconds(120);   ///< Of a directive; it is renewed each third of it.
  absl::Duration grace = absl::Seconds(30);  ///< For an acknowledgement, before it is overdue.
  size_t max_watchers = 256;
};

/// In the order of tandem.monitor.v1.Outcome.
enum class AckOutcome { kApplied = 1, kRefused = 2, kExpired = 3 };
const char* AckOutcomeName(AckOutcome outcome);

/// "policy_trainer", ...: labels and texts.
const char* ReceiverName(coadaptation::Receiver receiver);

/// What became of a directive.
struct Acknowledgement {
  coadaptation::Receiver receiver = coadaptation::Receiver::kPolicyTrainer;
  std::string member;
  int64_t version = 0;
  AckOutcome outcome = AckOutcome::kApplied;
  std::string message;                      ///< Why it was refused.
  double apply_seconds = 0;                 ///< From its arrival to its effect [s].
  std::vector<coadaptation::Knob> refused;  ///< Which knobs were.
};

/// A receiver that has had a directive, or should have had it, for longer than the grace.
struct Overdue {
  coadaptation::Receiver receiver = coadaptation::Receiver::kPolicyTrainer;
  std::string member;  ///< Empty: none of its kind watches.
  int64_t version = 0;
  double seconds = 0;  ///< Since it was sent or, where none watches, published.
};

/// Keeps the directive in force, who watches it, and who acknowledged it. The replay buffer does
/// not watch: the monitor's own calls tell it, so it owes an acknowledgement of each version that
/// changed a setting of it, from when that was published. Thread-safe; never blocks.
class DirectiveDesk {
 public:
  DirectiveDesk(const DeskOptions& options, Clock* clock, metrics::Registry* registry);

  /// Puts the settings in force. Where they differ from those before, the directive gets the
  /// version max(wall clock in ms, last + 1), the settings that changed get it too, and all
  /// watchers are woken. Returns the version in force.
  int64_t Publish(const std::map<coadaptation::Knob, coadaptation::Setting>& settings);
  /// After a restart: what was in force before.
  void Restore(const coadaptation::Directive& directive);
  coadaptation::Directive current() const;
  absl::Duration ttl() const { return options_.ttl; }

  /// Registers a watcher; `wake` is called, from any thread, when Next() has something to send.
  /// RESOURCE_EXHAUSTED above max_watchers, INVALID_ARGUMENT for a name of more than 128
  /// characters.
  absl::StatusOr<int64_t> Watch(coadaptation::Receiver receiver, const std::string& member,
                                std::function<void()> wake);
  /// Afterwards there are no more wakes. Nothing happens where it does not watch.
  void Unwatch(int64_t watcher);
  /// The directive, if this watcher has not had it, or not for a third of its time to live.
  std::optional<coadaptation::Directive> Next(int64_t watcher);

  /// INVALID_ARGUMENT where that version was never published, or the name is too long.
  absl::Status Acknowledge(const Acknowledgement& acknowledgement);
  /// Whether `version` brought the replay buffer what it has not acknowledged yet.
  bool ReplayBufferOwes(int64_t version) const;

  /// Wakes the watchers whose renewal is due, sets the gauges, and answers who has become overdue
  /// since the last call. Call once a second or so.
  std::vector<Overdue> Tick();

 private:
  struct Member {  // remembered when its stream breaks
    int64_t sent_version = 0;
    absl::Duration sent_at = absl::ZeroDuration();
    int64_t acknowledged = 0;
    int64_t reported = 0;  // version reported as overdue
    int watchers = 0;
  };
  struct Watcher {
    std::pair<coadaptation::Receiver, std::string> member;
    std::function<void()> wake;
    int64_t sent_version = -1;
    absl::Duration renewed_at = absl::ZeroDuration();
  };

  Member& MemberOf(coadaptation::Receiver receiver, const std::string& name)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  /// Puts a directive in force, and wakes who watches.
  void PutInForce(coadaptation::Directive directive) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool RenewalDue(const Watcher& watcher) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void WakeAll(bool due_only) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void CheckMember(const std::pair<coadaptation::Receiver, std::string>& key, Member& member,
                   std::vector<Overdue>* overdue, std::map<coadaptation::Receiver, double>* waiting)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const DeskOptions options_;
  Clock* const clock_;
  std::map<coadaptation::Receiver, metrics::Gauge*> unacknowledged_;
  std::map<std::pair<coadaptation::Receiver, AckOutcome>, metrics::Counter*> acks_;
  metrics::Histogram& apply_duration_;
  metrics::Gauge& watching_;

  mutable Mutex mu_;
  coadaptation::Directive directive_ ABSL_GUARDED_BY(mu_);
  absl::Duration published_at_ ABSL_GUARDED_BY(mu_) = absl::ZeroDuration();
  int64_t next_watcher_ ABSL_GUARDED_BY(mu_) = 1;
  std::map<int64_t, Watcher> watchers_ ABSL_GUARDED_BY(mu_);
  std::map<std::pair<coadaptation::Receiver, std::string>, Member> members_ ABSL_GUARDED_BY(mu_);
  std::map<coadaptation::Receiver, int64_t> absent_reported_ ABSL_GUARDED_BY(mu_);
};

}  // namespace tandem::monitor
