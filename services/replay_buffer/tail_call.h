#pragma once

#include "absl/status/statusor.h"
#include "common/rpc/pull_stream.h"
#include "services/replay_buffer/core/replay_buffer.h"
#include "services/replay_buffer/wakeup.h"
#include "tandem/replay/v1/replay.pb.h"

namespace tandem {

/// The server's side of one Tail: reads on when the wire is free, sleeps until there is something
/// new, and ends with OK at through_index. Owns itself; see PullStream. The buffer outlives the
/// server.
class TailCall : public rpc::PullStream<replay::v1::TailResponse> {
 public:
  TailCall(ReplayBuffer& buffer, Executor& executor, rpc::LiveCallSet& live,
           const replay::v1::TailRequest& request);
  ~TailCall() override;

 private:
  absl::StatusOr<rpc::Pull> Next(replay::v1::TailResponse& message) override;

  ReplayBuffer& buffer_;
  const absl::StatusOr<TailRequest> request_;
  TailRequest cursor_;
  Ticket ticket_ = 0;
  Wakeup wakeup_{[this] { Wake(); }};
};

}  // namespace tandem
