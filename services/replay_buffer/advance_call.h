#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>

#include "absl/status/status.h"
#include "common/base/executor.h"
#include "common/base/mutex.h"
#include "common/rpc/live_calls.h"
#include "services/replay_buffer/core/replay_buffer.h"
#include "tandem/replay/v1/replay.pb.h"

namespace tandem {

/// The server's side of one Advance: while it waits for a grant it holds no thread. Keeps itself
/// until gRPC is done with it. The buffer, the executor and the set outlive the server.
class AdvanceCall : public grpc::ServerUnaryReactor, private rpc::LiveCall {
 public:
  static grpc::ServerUnaryReactor* Start(ReplayBuffer& buffer, Executor& executor,
                                         rpc::LiveCallSet& live,
                                         const replay::v1::AdvanceRequest* request,
                                         replay::v1::AdvanceResponse* response);

 private:
  AdvanceCall(ReplayBuffer& buffer, rpc::LiveCallSet& live,
              const replay::v1::AdvanceRequest* request, replay::v1::AdvanceResponse* response);

  void Run();
  /// Finishes now where the call waits; else Run() or the answer that is on its way does.
  void EndWith(const absl::Status& status);
  void FinishOnce(const absl::Status& status);

  void Cancel() override;
  void OnCancel() override;
  void OnDone() override;

  ReplayBuffer& buffer_;
  rpc::LiveCallSet& live_;
  const replay::v1::AdvanceRequest* const request_;
  replay::v1::AdvanceResponse* const response_;
  const Ticket ticket_;
  std::shared_ptr<AdvanceCall> self_;  ///< Until OnDone(): tasks and answers hold it, too.
  Mutex mu_;
  absl::Status end_ ABSL_GUARDED_BY(mu_);  ///< Why to end without an answer; OK: no reason.
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace tandem
