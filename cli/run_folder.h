#pragma once

#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace tandem::cli {

/// What to do when a run of this name exists.
enum class OnExist {
  kNew,   ///< Take the next free path: x-2, x-3, ...
  kFail,  ///< ALREADY_EXISTS, unless the folder is empty.
};

/// The folder of a run that this process trains:
///   config.yaml command.txt versions.json   what was run
///   run.json                                 who runs: written by DescribeRun
///   metrics.jsonl events.jsonl               what happened, a JSON object a line
///   logs/<member>.log state/<member>/        of each process
///   report.html result.json                  at the end
/// Holds a lock on the folder while it lives, by which others see that the run is alive. Also owns
/// the folder of the Unix sockets, which lies elsewhere where the path would be too long for a
/// socket. Not thread-safe.
class RunFolder {
 public:
  /// Makes the folder `path` and its parents. ALREADY_EXISTS, or the system's error.
  static absl::StatusOr<std::unique_ptr<RunFolder>> Create(const std::string& path,
                                                           OnExist on_exist);
  /// Removes the sockets; gives the lock back.
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  const std::string& path() const { return path_; }  ///< Absolute.
  const std::string& name() const { return name_; }  ///< The last part of the path.
  /// The path that was wanted, where another had to be taken; empty: it was free.
  const std::string& taken() const { return taken_; }
  std::string File(const std::string& name) const { return path_ + "/" + name; }
  std::string LogOf(const std::string& member) const { return File("logs/" + member + ".log"); }
  std::string StateOf(const std::string& member) const { return File("state/" + member); }
  /// "unix:/..." of a member; at most 100 characters.
  std::string AddressOf(const std::string& member) const;

  /// Writes a whole file. A full disk is RESOURCE_EXHAUSTED and names the file.
  absl::Status Write(const std::string& name, const std::string& contents) const;
  /// Writes a whole .json file for people too. What is no UTF-8 is replaced.
  absl::Status WriteJson(const std::string& name, const nlohmann::json& value) const;
  /// Adds one line to a .jsonl file. A number that is not finite becomes null.
  absl::Status AppendLine(const std::string& name, const nlohmann::json& object) const;

 private:
  RunFolder(std::string path, std::string name, std::string taken)
      : path_(std::move(path)), name_(std::move(name)), taken_(std::move(taken)) {}
  absl::Status Prepare();

  const std::string path_;
  const std::string name_;
  const std::string taken_;
  std::string sockets_;
  int lock_ = -1;
};

/// The file with the newest policy of the run in `run_path`; empty where none was saved.
std::string PolicyOf(const std::string& run_path);

/// Whether a process trains in this run folder now.
bool RunIsAlive(const std::string& run_path);

/// The run folder that a user means: a path, a name in `parent`, or, where `run` is empty, the
/// newest in `parent`. NOT_FOUND lists what there is.
absl::StatusOr<std::string> FindRun(const std::string& parent, const std::string& run);

/// The objects of a .jsonl file; an unfinished last line is left out. Empty where there is none.
std::vector<nlohmann::json> ReadJsonLines(const std::string& path);

/// A JSON file, or a null value where it is absent or broken.
nlohmann::json ReadJsonFile(const std::string& path);

/// The address of a member as run.json has it; empty where that names none.
std::string AddressIn(const nlohmann::json& run, const std::string& member);

/// "2026-01-31T12:00:00Z", for display.
std::string TimeText();

}  // namespace tandem::cli
