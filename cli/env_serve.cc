#include <cstdlib>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "cli/env_commands.h"
#include "common/base/log.h"
#include "common/env_server/env_server.h"

namespace tandem::cli {
namespace {

constexpr absl::Duration kDrain = absl::Seconds(2);

/// What was asked for; else where the client that started this program wants it; else a free port.
std::string Address(const EnvServeOptions& options) {
  if (!options.listen.empty()) return options.listen;
  const char* wanted = std::getenv("TANDEM_ENV_LISTEN");
  return wanted != nullptr ? wanted : "127.0.0.1:0";
}

}  // namespace

int ServeEnvironment(const EnvServeOptions& options) {
  rpc::BlockSignals();
  InitLog("env");
  const auto server = env_server::EnvServer::Start(
      env_server::MakerOf(options.name), {.address = Address(options),
                                          .capacity = options.num_envs,
                                          .server = absl::StrCat("tandem ", TANDEM_VERSION)});
  if (!server.ok()) {
    return Fail(server.status(), absl::IsUnavailable(server.status()) ? kFailed : kUsage);
  }
  std::cout << "serving " << options.name << " at " << (*server)->address() << std::endl;
  (*server)->runner().WaitForSignal();
  (*server)->runner().Drain(kDrain);
  return kDone;
}

}  // namespace tandem::cli
