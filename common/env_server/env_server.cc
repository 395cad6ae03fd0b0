#include "common/env_server/env_server.h"

#include <utility>

#include "common/base/status_macros.h"
#include "common/clients/env_messages.h"

namespace tandem::env_server {

absl::StatusOr<std::unique_ptr<EnvServer>> EnvServer::Start(EnvironmentHost::Maker maker,
                                                            const Options& options) {
  TANDEM_ASSIGN_OR_RETURN(std::unique_ptr<EnvironmentHost> host,
                          EnvironmentHost::Create(std::move(maker), options.capacity));
  std::unique_ptr<EnvServer> server(new EnvServer(std::move(host), options));
  TANDEM_ASSIGN_OR_RETURN(server->runner_,
                          rpc::ServerRunner::Start(
                              {.role = "env",
                               .address = options.address,
                               .services = {&server->vector_service_, &server->dm_env_rpc_service_},
                               .live_calls = {server->vector_service_.live_calls(),
                                              server->dm_env_rpc_service_.live_calls()},
                               .max_message_bytes = clients::kMaxEnvMessageBytes}));
  server->runner_->SetServing(true);
  return server;
}

EnvServer::EnvServer(std::unique_ptr<EnvironmentHost> host, const Options& options)
    : host_(std::move(host)),
      vector_service_(*host_, {.idle_timeout = options.idle_timeout, .server = options.server}),
      dm_env_rpc_service_(*host_, {.idle_timeout = options.idle_timeout}) {}

EnvironmentHost::Maker MakerOf(const std::string& name) {
  return [name](const EnvironmentOptions& options) { return MakeEnvironment(name, options); };
}

}  // namespace tandem::env_server
