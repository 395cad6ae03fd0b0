#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tandem/config/v1/config.pb.h"

// The commands of `tandem`. Each prints its result to standard output and errors, one line each, to
// standard error, and returns the exit code of the process.
namespace tandem::cli {

inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;
inline constexpr int kUsage = 2;  ///< Wrong command line or configuration.
inline constexpr int kInterrupted = 130;

/// The whole command: parses the command line and runs what it names.
int Main(int argc, char** argv);

struct TrainOptions {
  std::string recipe;
  std::vector<std::string> overrides;
  bool json = false;
  std::string run_dir;   ///< The run's folder; empty: runs/<run.name>.
  int cores = 0;         ///< 0: all that this process may use.
  std::string on_exist;  ///< "new" or "fail"; empty: fail where run_dir says which folder.
  std::string command;   ///< The command line, for command.txt.
};
/// Trains to the end: starts the services, supervises them, reports. Call before any thread exists.
int Train(const TrainOptions& options);

/// Shows a run: `run` is a path, a name in `parent`, or empty for the newest. json: one object.
int ShowStatus(const std::string& parent, const std::string& run, bool json);

/// Writes the report of a run, found as for ShowStatus, from its files: of one that was killed, or
/// of one that goes on, the figures so far.
int WriteReport(const std::string& parent, const std::string& run);

struct KnobOptions {
  std::string parent = "runs";
  std::string run;              ///< As for ShowStatus.
  std::string knob;             ///< "rollout_horizon", ...; empty: list them.
  std::optional<double> value;  ///< Absent: give the knob back to the controller.
  std::string reason;
  std::string token_file;  ///< Empty: the one that the run's config names.
};
/// Lists the knobs of a run that trains, or turns one by hand.
int TurnKnob(const KnobOptions& options);

int PrintConfig(const std::string& recipe, const std::vector<std::string>& overrides);
int ValidateConfigs(const std::vector<std::string>& recipes);
int PrintConfigDocs();

/// Checks what a run needs on this machine.
int Doctor();

/// 0 if the service at `address` answers that it is serving.
int CheckHealth(const std::string& address);

/// Prints "tandem: MESSAGE" and returns `code`.
int Fail(const absl::Status& status, int code = kFailed);

/// Loads a recipe and also checks what the schema cannot: that the environment exists, that it
/// publishes its termination where model.termination asks for it, and that addresses are ones.
absl::StatusOr<config::v1::RunConfig> LoadForTraining(const std::string& recipe,
                                                      const std::vector<std::string>& overrides);

/// The folder of this binary, where the services' binaries are too.
std::string BinaryFolder();

}  // namespace tandem::cli
