#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/clients/replay_client.h"
#include "services/replay_buffer/core/pace.h"
#include "services/replay_buffer/core/replay_metrics.h"
#include "services/replay_buffer/core/training_index.h"

namespace tandem {

/// Names one waiting call, so that it can be cancelled. Never reused.
using Ticket = uint64_t;

/// What is to be called once the lock is released.
using Completions = std::vector<std::function<void()>>;

/// Where the sides of a run queue for the pace: keeps the Advance calls that wait, answers each as
/// soon as the pace grants it something or its time is up, and translates between training steps
/// and global indices. Answers are put on a list, for the caller to run without its lock.
///
/// Knows the time for the pace: a monitor that neither waits here nor has reported for
/// `monitor_silence` holds nobody up, and after `monitor_ttl` a pause that it wanted ends, which
/// nobody else would end. Its updates per step stay in force.
///
/// Not thread-safe; the time is an argument. `index` and `metrics` outlive it.
class PaceDesk {
 public:
  using Time = std::chrono::steady_clock::time_point;
  struct Patience {
    std::chrono::steady_clock::duration monitor_silence = std::chrono::seconds(10);
    std::chrono::steady_clock::duration monitor_ttl = std::chrono::seconds(120);
  };
  using Done = std::function<void(absl::StatusOr<Grant>)>;

  PaceDesk(const PaceOptions& options, const Patience& patience, const TrainingIndex& index,
           ReplayMetrics& metrics);

  /// Takes the report in; answers now or keeps the call until `deadline`. A call of the same role
  /// and member that still waits is answered with an empty grant. RESOURCE_EXHAUSTED for a member
  /// that is new where 1024 are known.
  void Advance(Ticket ticket, const Progress& progress, Time now, Time deadline, Done done,
               Completions* out);
  /// Drops a waiting call without answering it; false where there is none.
  bool Cancel(Ticket ticket);
  /// After anything changed, or time passed: answers every call that can be answered.
  void Reconsider(Time now, Completions* out);
  /// Answers every waiting call with `status`.
  void FailAll(const absl::Status& status, Completions* out);
  /// An actor was heard of; those not heard of for `timeout` are forgotten while there are others.
  void Heard(const std::string& actor, Time now);
  void ForgetSilent(Time now, std::chrono::steady_clock::duration timeout);

  PacePolicy& pace() { return pace_; }
  const PacePolicy& pace() const { return pace_; }
  /// When the first waiting call is due; Time::max() where none waits.
  Time NextDeadline() const;
  int64_t model_through_index() const { return model_through_index_; }
  /// What each role waits for; a role of which a member runs is absent.
  std::map<std::string, std::string> WaitingFor() const;

 private:
  struct Waiting {
    Ticket ticket;
    Progress progress;
    PaceAsk ask;
    Time since;
    Time deadline;
    Done done;
  };

  PaceAsk ToAsk(const Progress& progress) const;
  Grant ToGrant(const PaceGrant& grant) const;
  void Answer(Waiting waiting, Grant grant, Time now, Completions* out);
  void Supersede(const Progress& progress, Time now, Completions* out);
  /// After the monitor reported: it is there, and may have changed the rate of updates or paused
  /// them.
  void HearMonitor(const PaceAsk& ask, Time now);
  /// After time passed: is the monitor still there, and is what it asked for still in force?
  void LookForMonitor(Time now);
  void ShowRate();

  const Patience patience_;
  const TrainingIndex& index_;
  ReplayMetrics& metrics_;
  PacePolicy pace_;
  int64_t model_through_index_ = 0;
  std::vector<Waiting> waiting_;                                 ///< Oldest first.
  std::map<std::pair<Role, std::string>, std::string> reasons_;  ///< Empty: runs.
  std::map<std::string, Time> heard_;
  std::optional<Time> monitor_heard_;
  std::optional<Time> monitor_awaited_;  ///< Since when a fit waits for one never heard of.
};

}  // namespace tandem
