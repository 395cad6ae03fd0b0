#pragma once

#include <deque>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/mutex.h"
#include "common/rpc/pull_stream.h"
#include "services/replay_buffer/core/replay_buffer.h"
#include "services/replay_buffer/wakeup.h"
#include "tandem/replay/v1/replay.pb.h"

namespace tandem {

/// The server's side of one Sample: cuts a batch only against credit and only when the message
/// before has left, so a slow reader costs one batch of memory. Sleeps while the steps for a batch
/// have not come. After the client's last message it sends what it owes and ends with OK. Owns
/// itself; see PullStream. The buffer outlives the server.
class SampleCall
    : public rpc::PullStream<
          replay::v1::SampleResponse,
          grpc::ServerBidiReactor<replay::v1::SampleRequest, replay::v1::SampleResponse>> {
 public:
  SampleCall(ReplayBuffer& buffer, Executor& executor, rpc::LiveCallSet& live);
  ~SampleCall() override;

 private:
  void OnReadDone(bool ok) override;
  absl::Status Take(const replay::v1::SampleRequest& request) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::StatusOr<rpc::Pull> Next(replay::v1::SampleResponse& message) override;
  /// The next batch is in sampled_; or false, and Wake() comes when it may be there.
  absl::StatusOr<bool> Cut(const SampleSpec& spec, int64_t through_index);

  ReplayBuffer& buffer_;
  replay::v1::SampleRequest request_;  ///< Of the read in flight.
  Mutex mu_;
  std::optional<SampleSpec> spec_ ABSL_GUARDED_BY(mu_);
  std::deque<int64_t> credit_ ABSL_GUARDED_BY(mu_);  ///< The bound of each batch owed.
  absl::Status bad_request_ ABSL_GUARDED_BY(mu_);
  bool reads_done_ ABSL_GUARDED_BY(mu_) = false;
  // Of Next() alone.
  std::optional<SampledBatch> sampled_;
  int64_t batch_ = 0;
  int64_t next_row_ = 0;
  Ticket ticket_ = 0;
  Wakeup wakeup_{[this] { Wake(); }};
};

}  // namespace tandem
