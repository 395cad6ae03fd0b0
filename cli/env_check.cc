#include <algorithm>
#include <iostream>
#include <set>
#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "cli/commands.h"
#include "cli/env_checks.h"
#include "cli/env_commands.h"

namespace tandem::cli {
namespace {

constexpr const char* kDmEnvRpc = "dm_env_rpc:";

/// The detail; where what comes after its first line, a traceback, was told already, its last line.
std::string Once(const std::string& detail, std::set<std::string>& told) {
  const size_t end = detail.find('\n');
  if (end == std::string::npos || told.insert(detail.substr(end)).second) return detail;
  constexpr std::string_view kGot = ", got: ";
  const size_t got = detail.find(kGot);
  const std::string expected = got < end ? detail.substr(0, got + kGot.size()) : std::string();
  return absl::StrCat(expected, detail.substr(detail.rfind('\n') + 1), " (as above)");
}

/// Prints them; returns how many failed. told: what was printed already.
int Print(const std::vector<Finding>& findings, std::set<std::string>& told) {
  int failed = 0;
  for (const Finding& finding : findings) {
    const bool bad = finding.result == Finding::Result::kFailed;
    const char* word = bad                                           ? "FAILED"
                       : finding.result == Finding::Result::kSkipped ? "skipped"
                                                                     : "ok";
    failed += bad ? 1 : 0;
    std::cout << absl::StreamFormat("%-8s%s%s%s\n", word, finding.name,
                                    finding.detail.empty() ? "" : ": ", Once(finding.detail, told))
              << std::flush;
  }
  return failed;
}

}  // namespace

int CheckEnvironment(const EnvTarget& target) {
  absl::StatusOr<EnvironmentSource> source = SourceOf(target);
  if (!source.ok()) return Fail(source.status(), kUsage);
  source->log_output = false;  // what failed is told once, by the checks
  // Waits until it is there, and refuses what is no server.
  const auto provider = EnvironmentProvider::Create(*source);
  if (!provider.ok()) return Fail(provider.status());
  int failed = 0;
  std::set<std::string> told;
  if (absl::StartsWith(source->server, kDmEnvRpc)) {
    const std::string address(absl::StripPrefix(source->server, kDmEnvRpc));
    failed += Print(CheckDmEnvRpc(address, source->arguments), told);
  } else if (const std::string address = (*provider)->address(); !address.empty()) {
    failed += Print(CheckVectorProtocol(address, source->arguments), told);
  }
  failed += Print(CheckBehaviour(**provider), told);
  if (failed > 0) std::cout << failed << " failed\n";
  return failed > 0 ? kFailed : kDone;
}

}  // namespace tandem::cli
