#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/env_server/dm_env_rpc_world.h"
#include "common/env_server/environment_host.h"
#include "common/rpc/live_calls.h"
#include "dm_env_rpc/v1/dm_env_rpc.grpc.pb.h"

namespace tandem::env_server {

/// dm_env_rpc v1 for the environments of a host: each world is one environment and takes one agent.
/// Thread-safe; each stream has a thread of its own.
///
/// create_world takes the settings "seed" and "max_episode_steps", reset_world "seed". Worlds
/// outlive the stream that created them; one that no agent was in for idle_timeout is destroyed
/// when its place is asked for. Errors are in-band and change nothing. reset_world tells an agent
/// on another stream with its next step, INTERRUPTED, and does not wait for that.
class DmEnvRpcService : public dm_env_rpc::v1::Environment::Service {
 public:
  struct Options {
    absl::Duration idle_timeout = absl::Seconds(60);
    Clock* clock = Clock::Real();
  };
  /// host outlives this.
  DmEnvRpcService(EnvironmentHost& host, Options options) : host_(host), options_(options) {}

  rpc::LiveCalls* live_calls() { return &live_; }

 private:
  struct World {
    World(const EnvironmentHost& host, HostedEnvironments env, std::optional<uint64_t> seed)
        : world(host, std::move(env), seed) {}

    // Of the service's lock.
    bool joined = false;
    absl::Duration idle_since;

    Mutex mu;
    DmEnvRpcWorld world ABSL_GUARDED_BY(mu);
  };
  using Worlds = std::map<std::string, std::shared_ptr<World>>;

  grpc::Status Process(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<dm_env_rpc::v1::EnvironmentResponse,
                               dm_env_rpc::v1::EnvironmentRequest>* stream) override;
  /// joined: the world of this stream, or null.
  absl::Status Answer(std::shared_ptr<World>& joined,
                      const dm_env_rpc::v1::EnvironmentRequest& request,
                      dm_env_rpc::v1::EnvironmentResponse* response);
  absl::Status Create(const dm_env_rpc::v1::CreateWorldRequest& request,
                      dm_env_rpc::v1::CreateWorldResponse* response);
  absl::Status Join(std::shared_ptr<World>& joined, const dm_env_rpc::v1::JoinWorldRequest& request,
                    dm_env_rpc::v1::JoinWorldResponse* response);
  absl::Status ResetWorld(const std::shared_ptr<World>& joined,
                          const dm_env_rpc::v1::ResetWorldRequest& request);
  absl::Status Destroy(const std::string& name);
  void Leave(std::shared_ptr<World>& joined);
  absl::StatusOr<Worlds::iterator> Find(const std::string& name) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void DestroyIdle();

  EnvironmentHost& host_;
  const Options options_;
  rpc::LiveCallSet live_;
  Mutex mu_;
  uint64_t created_ ABSL_GUARDED_BY(mu_) = 0;
  Worlds worlds_ ABSL_GUARDED_BY(mu_);
};

}  // namespace tandem::env_server
