#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/mutex.h"
#include "common/clients/replay_client.h"

namespace tandem {

/// A replay buffer for tests: holds what a test puts in, answers Advance from a script, records
/// what it was sent, and fails when told to. It keeps no pace and checks no data; the real buffer
/// in the same process (services/replay_buffer/core/testing/local_replay_client.h) does.
///
/// Thread-safe. Its streams may outlive it.
///   FakeReplayClient replay;
///   replay.AddGrant({.granted = 20, .through_index = 250});
///   replay.StopWhenOutOfGrants();
///   replay.FailNext(absl::UnavailableError("gone"), /*calls=*/2);
class FakeReplayClient : public ReplayClient {
 public:
  /// What one Append brought.
  struct Appended {
    std::string writer;
    uint64_t epoch = 0;
    uint64_t sequence = 0;
    std::vector<Segment> segments;
    std::vector<Episode> episodes;
  };

  FakeReplayClient();
  ~FakeReplayClient() override;

  /// The spec that GetStatus tells; OpenWriter sets it too.
  void SetSpec(const EnvironmentSpec& spec);
  /// Rows for Sample and Tail, all columns filled; indices are given anew, from 0 on.
  void AddSteps(TransitionBatch steps);
  /// An episode for Tail.
  void AddEpisode(const Episode& episode);
  /// The answer to one Advance, in order.
  void AddGrant(const Grant& grant);
  /// From now on an Advance without a scripted grant is answered with stop.
  void StopWhenOutOfGrants();
  /// The next `calls` calls of the interface, of any kind, fail with `status`.
  void FailNext(const absl::Status& status, int calls = 1);

  /// How often a method was called, such as "Append", failures included.
  int calls(const std::string& method) const;
  /// Every append accepted, in order, repeated sequence numbers left out.
  std::vector<Appended> appended() const;
  /// Every report that came with Advance, in order.
  std::vector<Progress> progress() const;

  absl::StatusOr<WriterSession> OpenWriter(const std::string& writer,
                                           const EnvironmentSpec& spec) override;
  absl::StatusOr<AppendResult> Append(const std::string& writer, uint64_t epoch, uint64_t sequence,
                                      const std::vector<Segment>& segments,
                                      const std::vector<Episode>& episodes) override;
  /// Waits for AddGrant where the script is empty; an empty grant when `wait` has passed.
  absl::StatusOr<Grant> Advance(const Progress& progress, absl::Duration wait) override;
  absl::StatusOr<ReplayStatus> GetStatus() override;
  absl::StatusOr<std::unique_ptr<SampleStream>> OpenSample(const SampleSpec& spec) override;
  absl::StatusOr<std::unique_ptr<TailStream>> OpenTail(const TailRequest& request) override;
  void Stop() override;

  struct State;

 private:
  absl::Status Enter(const char* method);
  std::shared_ptr<State> state_;
};

}  // namespace tandem
