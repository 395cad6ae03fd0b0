#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/clients/dm_env_rpc_messages.h"
#include "common/clients/dm_env_rpc_settings.h"
#include "common/clients/environments.h"
#include "common/clients/exchange_stream.h"
#include "common/env/vector_environment.h"
#include "common/rpc/call_scope.h"
#include "dm_env_rpc/v1/dm_env_rpc.grpc.pb.h"

namespace tandem::clients {

/// A server of dm_env_rpc as all connections of one provider share it. Immutable, thread-safe.
struct DmEnvRpcServer {
  /// INVALID_ARGUMENT for arguments that cannot be settings.
  static absl::StatusOr<std::shared_ptr<const DmEnvRpcServer>> Create(
      const EnvironmentSource& source);

  EnvironmentSource source;
  std::string address;
  std::string peer;           ///< For messages.
  DmEnvRpcSettings settings;  ///< Of every world.
  std::unique_ptr<dm_env_rpc::v1::Environment::Stub> stub;
};

/// One stream to a server, joined to a world of its own: one environment. Not thread-safe, but
/// calls->Stop() ends a wait from any thread.
///
/// A world is created with the settings and, where the server takes it, a "seed"; else
/// reset_world is asked to take the seed; else the world is not reproducible, which is logged once
/// for each process. A server that creates no worlds is joined as it is.
class DmEnvRpcConnection {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  /// Opens a stream, destroys the world `lost` (empty: none), creates a world and joins it. Blocks
  /// up to reset_timeout. The server's error; UNAVAILABLE where none answers; DEADLINE_EXCEEDED;
  /// INVALID_ARGUMENT for specs that cannot be carried.
  static absl::StatusOr<std::unique_ptr<DmEnvRpcConnection>> Open(
      std::shared_ptr<const DmEnvRpcServer> server, std::shared_ptr<rpc::CallSet> calls,
      uint64_t seed, const std::string& lost);

  const DmEnvRpcSpecs& specs() const { return *specs_; }
  /// To be destroyed at the end; empty: it is not ours.
  const std::string& world() const { return world_; }
  /// Whether the last error is the server's answer: the stream still stands.
  bool refused() const { return refused_; }

  /// Each Begin sends a request and waits for nothing; End waits for the answer.
  /// columns: of SpaceLayout::Unflatten, of which row `row` is this environment's.
  absl::Status BeginStep(const std::vector<std::string>& columns, size_t row, TimePoint deadline);
  /// Begins an episode.
  absl::Status BeginFirstStep(TimePoint deadline);
  absl::Status BeginReset(TimePoint deadline);
  absl::Status End(TimePoint deadline);
  /// Leaves the world and joins it again: a reset for servers that have none. Blocks.
  absl::Status Rejoin(TimePoint deadline);
  /// Leaves the world, so that it can be destroyed. Blocks until the deadline at most.
  absl::Status Leave(TimePoint deadline);

  /// Of a step that was answered: writes the observation, [obs_dim]. INVALID_ARGUMENT for what does
  /// not fit the specs.
  absl::StatusOr<StepResult> TakeStep(std::span<float> observation);

 private:
  DmEnvRpcConnection(std::shared_ptr<const DmEnvRpcServer> server,
                     std::shared_ptr<rpc::CallSet> calls);

  absl::Status CreateWorld(uint64_t seed, TimePoint deadline);
  absl::Status Join(TimePoint deadline);
  absl::Status Begin(TimePoint deadline);
  /// Sends request_ and waits.
  absl::Status Exchange(TimePoint deadline);
  void RequestObservations(dm_env_rpc::v1::StepRequest* step);
  absl::StatusOr<float> TakeNumber(const DmEnvRpcNumber& number);

  const std::shared_ptr<const DmEnvRpcServer> server_;
  ExchangeStream<dm_env_rpc::v1::EnvironmentRequest, dm_env_rpc::v1::EnvironmentResponse> stream_;
  std::string world_;
  std::optional<DmEnvRpcSpecs> specs_;
  bool refused_ = false;
  dm_env_rpc::v1::EnvironmentRequest request_;
  dm_env_rpc::v1::EnvironmentResponse response_;
  std::vector<std::string> rows_;  // one for each leaf of the observation
  std::vector<std::string_view> views_;
};

/// Destroys worlds whose agents are gone, over a stream of its own; blocks 1 s at most. Errors are
/// passed over, for the server may have destroyed them itself.
void DestroyWorlds(const DmEnvRpcServer& server, const std::vector<std::string>& worlds);

}  // namespace tandem::clients
