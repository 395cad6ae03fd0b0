#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/env_server/dm_env_rpc_service.h"
#include "common/env_server/environment_host.h"
#include "common/env_server/vector_env_service.h"
#include "common/rpc/server_runner.h"

namespace tandem::env_server {

/// Serves the environments of one kind at one address, as tandem.env.v1 and as dm_env_rpc v1, with
/// health and reflection. Ends every stream when destroyed. Thread-safe but for Drain.
class EnvServer {
 public:
  struct Options {
    std::string address = "127.0.0.1:0";  ///< As in rpc::ServerOptions.
    int64_t capacity = 64;                ///< Environments open at a time; >= 1.
    absl::Duration idle_timeout = absl::Seconds(60);
    std::string server = "tandem";  ///< Program and version, for messages.
  };
  /// The maker's error; that of the address.
  static absl::StatusOr<std::unique_ptr<EnvServer>> Start(EnvironmentHost::Maker maker,
                                                          const Options& options);

  /// With the real port.
  std::string address() const { return runner_->address(); }
  const EnvironmentHost& host() const { return *host_; }
  rpc::ServerRunner& runner() { return *runner_; }

 private:
  EnvServer(std::unique_ptr<EnvironmentHost> host, const Options& options);

  const std::unique_ptr<EnvironmentHost> host_;
  VectorEnvService vector_service_;
  DmEnvRpcService dm_env_rpc_service_;
  std::unique_ptr<rpc::ServerRunner> runner_;
};

/// A maker of the environment that is registered under `name`.
EnvironmentHost::Maker MakerOf(const std::string& name);

}  // namespace tandem::env_server
