#include <iostream>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/commands.h"
#include "cli/monitor_client.h"
#include "cli/run_folder.h"
#include "cli/run_status.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"
#include "common/coadaptation/knob.h"
#include "common/config/config.h"

namespace tandem::cli {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(5);
constexpr size_t kMostTokenBytes = 4096;

/// The run's token: whoever may read the file may turn knobs.
absl::StatusOr<std::string> Token(const std::string& run_path, std::string file) {
  if (file.empty()) {
    TANDEM_ASSIGN_OR_RETURN(const config::v1::RunConfig config,
                            config::Load(run_path + "/config.yaml", {}));
    file = config.control().token_file();
  }
  if (file.empty()) {
    return absl::FailedPreconditionError(
        "the knobs of this run cannot be turned by hand: its recipe sets no control.token_file");
  }
  TANDEM_ASSIGN_OR_RETURN(const std::string token, ReadFile(file, kMostTokenBytes));
  return std::string(absl::StripAsciiWhitespace(token));
}

void PrintSettings(const monitor::v1::Directive& directive) {
  for (const coadaptation::KnobInfo& info : coadaptation::Knobs()) {
    std::string value = "the recipe's";
    for (const monitor::v1::Setting& setting : directive.settings()) {
      if (KnobText(setting.knob()) == info.name) {
        value = absl::StrFormat("%g, because: %s", setting.value(), setting.reason());
      }
    }
    std::cout << absl::StrFormat("%-17s %s\n                  %s, %g to %g\n", info.name, value,
                                 info.meaning, info.low, info.high);
  }
}

absl::Status Turn(const KnobOptions& options) {
  TANDEM_ASSIGN_OR_RETURN(const std::string path, FindRun(options.parent, options.run));
  if (!RunIsAlive(path)) {
    return absl::FailedPreconditionError(absl::StrCat(path, " does not train now"));
  }
  const std::string address = AddressIn(ReadJsonFile(path + "/run.json"), "monitor");
  if (address.empty()) return absl::NotFoundError(absl::StrCat(path, " has no monitor"));
  const auto monitor = ConnectMonitor(address);
  if (options.knob.empty()) {
    TANDEM_ASSIGN_OR_RETURN(const auto report, monitor->GetReport(kTimeout));
    PrintSettings(report.directive());
    return absl::OkStatus();
  }
  const auto knob = coadaptation::KnobFromName(options.knob);
  if (!knob.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("there is no knob \"", options.knob, "\"; `tandem knob list` names them"));
  }
  monitor::v1::SetOverrideRequest request;
  request.set_knob(static_cast<monitor::v1::Knob>(*knob));
  if (options.value.has_value()) request.set_value(*options.value);
  request.set_reason(options.reason);
  TANDEM_ASSIGN_OR_RETURN(*request.mutable_token(), Token(path, options.token_file));
  TANDEM_ASSIGN_OR_RETURN(const auto response, monitor->SetOverride(request, kTimeout));
  std::cout << options.knob
            << (options.value.has_value() ? absl::StrFormat(" is %g from now on", *options.value)
                                          : std::string(" is given back to the controller"))
            << ", directive " << response.directive().version() << "\n";
  return absl::OkStatus();
}

}  // namespace

int TurnKnob(const KnobOptions& options) {
  const absl::Status status = Turn(options);
  return status.ok() ? kDone : Fail(status);
}

}  // namespace tandem::cli
