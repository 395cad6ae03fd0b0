#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/env_server/environment_batch.h"
#include "common/env_server/environment_host.h"
#include "common/rpc/live_calls.h"
#include "tandem/env/v1/env.grpc.pb.h"

namespace tandem::env_server {

/// tandem.env.v1 for the environments of a host. Thread-safe; each stream has a thread of its own,
/// which steps its session's environments. Sessions that nobody uses are closed when next anybody
/// asks for one. Arguments are refused: the environments take none.
class VectorEnvService : public env::v1::VectorEnvService::Service {
 public:
  struct Options {
    absl::Duration idle_timeout = absl::Seconds(60);
    std::string server;  ///< Program and version.
    Clock* clock = Clock::Real();
  };
  /// host outlives this.
  VectorEnvService(EnvironmentHost& host, Options options)
      : host_(host), options_(std::move(options)) {}

  rpc::LiveCalls* live_calls() { return &live_; }

 private:
  struct Session {
    Session(const EnvironmentHost& host, HostedEnvironments envs,
            EnvironmentBatch::Timeouts timeouts)
        : batch(host, std::move(envs), timeouts) {}

    // Of the service's lock.
    int streams = 0;
    absl::Duration idle_since;

    Mutex mu;
    EnvironmentBatch batch ABSL_GUARDED_BY(mu);
    uint64_t step_id ABSL_GUARDED_BY(mu) = 0;
    std::shared_ptr<const env::v1::StepResponse> last ABSL_GUARDED_BY(mu);
    uint64_t owner ABSL_GUARDED_BY(mu) = 0;  // the stream that may step it
  };

  grpc::Status Describe(grpc::ServerContext*, const env::v1::DescribeRequest* request,
                        env::v1::DescribeResponse* response) override;
  grpc::Status Open(grpc::ServerContext*, const env::v1::OpenRequest* request,
                    env::v1::OpenResponse* response) override;
  grpc::Status Step(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<env::v1::StepResponse, env::v1::StepRequest>* stream) override;
  grpc::Status Close(grpc::ServerContext*, const env::v1::CloseRequest* request,
                     env::v1::CloseResponse*) override;

  absl::Status OpenSession(const env::v1::OpenRequest& request, env::v1::OpenResponse* response);
  /// A session, with one more stream.
  absl::StatusOr<std::shared_ptr<Session>> Attach(const std::string& id);
  void Detach(Session& session);
  absl::StatusOr<std::shared_ptr<const env::v1::StepResponse>> Answer(
      Session& session, bool takes_over, uint64_t stream, const env::v1::StepRequest& request);
  void CloseIdle();

  EnvironmentHost& host_;
  const Options options_;
  rpc::LiveCallSet live_;
  std::atomic<uint64_t> streams_{0};
  Mutex mu_;
  std::map<std::string, std::shared_ptr<Session>> sessions_ ABSL_GUARDED_BY(mu_);
};

}  // namespace tandem::env_server
