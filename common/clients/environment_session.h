#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/clients/exchange_stream.h"
#include "common/clients/frame_stream.h"
#include "common/rpc/call_scope.h"
#include "tandem/env/v1/env.grpc.pb.h"

namespace tandem::clients {

/// One Step stream of tandem.env.v1.
using StepStream = ExchangeStream<env::v1::StepRequest, env::v1::StepResponse>;

/// A session with a server of environments, over one stream after the other: a request whose stream
/// broke is sent again on a new one, with the same step_id, so it never steps twice. Each stream is
/// one of frames where the server takes them and can be reached there, else one of gRPC. Not
/// thread-safe, but calls->Stop() ends a wait from any thread.
class EnvironmentSession {
 public:
  /// Opens one; the environments are not reset yet. frames: the path of the server's socket for
  /// frames; empty: it has none. The server's error.
  static absl::StatusOr<std::unique_ptr<EnvironmentSession>> Open(
      env::v1::VectorEnvService::Stub& stub, std::shared_ptr<rpc::CallSet> calls,
      const env::v1::OpenRequest& request, std::string frames, absl::Duration timeout);

  const std::string& id() const { return id_; }

  /// Sends a request, of which this sets session and step_id, and waits for its response, over as
  /// many streams as it takes. DEADLINE_EXCEEDED where a server that is connected does not answer
  /// in time; UNAVAILABLE where none is for kReconnect, or as soon as `gone` says that it does not
  /// come back; DATA_LOSS for the answer to another step, and one that cannot be read; NOT_FOUND
  /// where the server has no such session; CANCELLED after Stop. After an error the session is of
  /// no more use.
  absl::Status Exchange(env::v1::StepRequest& request, env::v1::StepResponse* response,
                        absl::Duration timeout, const std::function<bool()>& gone);

  /// Gives the environments of a session back, if the server still has it. Blocks 1 s at most.
  static void Close(env::v1::VectorEnvService::Stub& stub, const std::string& id);

 private:
  EnvironmentSession(env::v1::VectorEnvService::Stub& stub, std::shared_ptr<rpc::CallSet> calls,
                     std::string id, std::string frames_path)
      : stub_(stub),
        calls_(std::move(calls)),
        id_(std::move(id)),
        frames_path_(std::move(frames_path)) {}

  /// One try, on the stream that there is or a new one. After an error there is none.
  absl::Status Try(const env::v1::StepRequest& request, env::v1::StepResponse* response,
                   FrameStream::TimePoint deadline);
  void Connect(FrameStream::TimePoint deadline);
  void Disconnect();

  env::v1::VectorEnvService::Stub& stub_;
  const std::shared_ptr<rpc::CallSet> calls_;
  const std::string id_;
  const std::string frames_path_;
  uint64_t step_id_ = 0;
  // At most one is set.
  std::unique_ptr<FrameStream> frames_;
  std::unique_ptr<StepStream> stream_;
};

}  // namespace tandem::clients
