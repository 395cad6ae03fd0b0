#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/clients/environments.h"

// What `tandem env check` looks at: tables of named checks. Each works on its own, with a
// connection of its own.
namespace tandem::cli {

/// What came of one check.
struct Finding {
  enum class Result : uint8_t { kOk, kFailed, kSkipped };

  std::string name;
  Result result = Result::kOk;
  std::string detail;  ///< What was expected and what came; why it was skipped; figures.
};

/// One check: OK; Skip(); or what was expected and what came.
struct NamedCheck {
  const char* name;
  std::function<absl::Status()> run;
};
/// The status of a check that has nothing to look at.
absl::Status Skip(const std::string& why);
/// "expected ..., got ..."
template <typename... Parts>
absl::Status Unexpected(const Parts&... parts) {
  return absl::FailedPreconditionError(absl::StrCat("expected ", parts...));
}
std::vector<Finding> RunChecks(const std::vector<NamedCheck>& checks);

/// How a source's environments behave, whatever serves them: numbers are finite and within their
/// bounds, a seed repeats everything, episodes end and begin as they should; and how long a step
/// takes. Blocks for seconds.
std::vector<Finding> CheckBehaviour(EnvironmentProvider& provider);

/// What a server of tandem.env.v1 must answer. address: "host:port" or "unix:/path".
std::vector<Finding> CheckVectorProtocol(const std::string& address, const std::string& arguments);

/// What a server of dm_env_rpc v1 must answer: creating, joining, stepping, resetting, leaving.
std::vector<Finding> CheckDmEnvRpc(const std::string& address, const std::string& arguments);

}  // namespace tandem::cli
