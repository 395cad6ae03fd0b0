#include <algorithm>
#include <iostream>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "cli/commands.h"
#include "cli/env_checks.h"
#include "cli/env_commands.h"

namespace tandem::cli {
namespace {

constexpr const char* kDmEnvRpc = "dm_env_rpc:";

/// Prints them; returns how many failed.
int Print(const std::vector<Finding>& findings) {
  int failed = 0;
  for (const Finding& finding : findings) {
    const bool bad = finding.result == Finding::Result::kFailed;
    const char* word = bad                                           ? "FAILED"
                       : finding.result == Finding::Result::kSkipped ? "skipped"
                                                                     : "ok";
    failed += bad ? 1 : 0;
    std::cout << absl::StreamFormat("%-8s%s%s%s\n", word, finding.name,
                                    finding.detail.empty() ? "" : ": ", finding.detail)
              << std::flush;
  }
  return failed;
}

}  // namespace

int CheckEnvironment(const EnvTarget& target) {
  const absl::StatusOr<EnvironmentSource> source = SourceOf(target);
  if (!source.ok()) return Fail(source.status(), kUsage);
  // Waits until it is there, and refuses what is no server.
  const auto provider = EnvironmentProvider::Create(*source);
  if (!provider.ok()) return Fail(provider.status());
  int failed = 0;
  if (absl::StartsWith(source->server, kDmEnvRpc)) {
    const std::string address(absl::StripPrefix(source->server, kDmEnvRpc));
    failed += Print(CheckDmEnvRpc(address, source->arguments));
  } else if (const std::string address = (*provider)->address(); !address.empty()) {
    failed += Print(CheckVectorProtocol(address, source->arguments));
  }
  failed += Print(CheckBehaviour(**provider));
  if (failed > 0) std::cout << failed << " failed\n";
  return failed > 0 ? kFailed : kDone;
}

}  // namespace tandem::cli
