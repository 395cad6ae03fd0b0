#include "cli/run_folder.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <sstream>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"

namespace tandem::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxSocketPath = 90;  // the system's limit is 107; ".sock" and temporary names fit
constexpr size_t kLongestMember = 20;
constexpr int kMostSuffixes = 10000;
constexpr char kLockFile[] = "/lock";

int OpenLock(const std::string& run_path, int flags) {
  return open((run_path + kLockFile).c_str(), flags | O_CLOEXEC, 0644);
}

/// The names of the run folders in `parent`, newest first.
std::vector<std::string> RunsIn(const std::string& parent) {
  std::vector<std::pair<fs::file_time_type, std::string>> found;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(parent, error)) {
    if (!fs::exists(entry.path() / "run.json", error)) continue;
    found.emplace_back(fs::last_write_time(entry.path() / "run.json", error),
                       entry.path().filename().string());
  }
  std::sort(found.rbegin(), found.rend());
  std::vector<std::string> names;
  names.reserve(found.size());
  for (auto& [time, name] : found) names.push_back(std::move(name));
  return names;
}

}  // namespace

absl::StatusOr<std::unique_ptr<RunFolder>> RunFolder::Create(const std::string& path,
                                                             OnExist on_exist) {
  std::error_code error;
  fs::path wanted = fs::absolute(path, error).lexically_normal();
  if (!wanted.has_filename()) wanted = wanted.parent_path();  // "runs/x/"
  if (const absl::Status made = MakeDirs(wanted.parent_path().string()); !made.ok()) {
    return absl::Status(made.code(),
                        absl::StrCat("cannot make a run folder there: ", made.message()));
  }
  std::string chosen = wanted.string();
  for (int suffix = 2; mkdir(chosen.c_str(), 0755) != 0; ++suffix) {
    if (errno != EEXIST) {
      return ErrnoStatus(errno, absl::StrCat("cannot make the run folder ", chosen));
    }
    if (on_exist == OnExist::kFail && fs::is_empty(wanted, error) && fs::is_directory(wanted))
      break;
    if (on_exist == OnExist::kFail || suffix > kMostSuffixes) {
      return absl::AlreadyExistsError(absl::StrCat(
          chosen,
          " exists, and a run cannot be continued: give another run.name or --run-dir, or "
          "--on-exist new for the next free name"));
    }
    chosen = absl::StrCat(wanted.string(), "-", suffix);
  }
  const std::string name = fs::path(chosen).filename().string();
  std::unique_ptr<RunFolder> folder(
      new RunFolder(chosen, name, chosen == wanted.string() ? "" : wanted.string()));
  TANDEM_RETURN_IF_ERROR(folder->Prepare());
  return folder;
}

absl::Status RunFolder::Prepare() {
  lock_ = OpenLock(path_, O_RDWR | O_CREAT);
  if (lock_ < 0 || flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    return ErrnoStatus(errno, absl::StrCat("lock ", path_));
  }
  TANDEM_RETURN_IF_ERROR(MakeDirs(File("logs")));
  TANDEM_RETURN_IF_ERROR(MakeDirs(File("state")));
  sockets_ = File("sock");
  if (sockets_.size() + kLongestMember <= kMaxSocketPath) return MakeDirs(sockets_);
  std::error_code error;
  std::string pattern = (fs::temp_directory_path(error) / "tandem-XXXXXX").string();
  if (error || pattern.size() + kLongestMember > kMaxSocketPath) pattern = "/tmp/tandem-XXXXXX";
  if (mkdtemp(pattern.data()) == nullptr) {
    return ErrnoStatus(errno, absl::StrCat("make a folder for sockets, ", pattern));
  }
  sockets_ = pattern;
  return absl::OkStatus();
}

RunFolder::~RunFolder() {
  std::error_code error;
  if (!sockets_.empty()) fs::remove_all(sockets_, error);
  if (lock_ >= 0) close(lock_);
}

std::string RunFolder::AddressOf(const std::string& member) const {
  return absl::StrCat("unix:", sockets_, "/", member, ".sock");
}

absl::Status RunFolder::Write(const std::string& name, const std::string& contents) const {
  return WriteFileAtomically(File(name), contents);
}

absl::Status RunFolder::WriteJson(const std::string& name, const nlohmann::json& value) const {
  return Write(name, value.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

absl::Status RunFolder::AppendLine(const std::string& name, const nlohmann::json& object) const {
  using Json = nlohmann::json;
  return AppendToFile(File(name),
                      object.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
}

std::string PolicyOf(const std::string& run_path) {
  const std::string path = run_path + "/state/policy_trainer/checkpoint.safetensors";
  std::error_code error;
  return fs::exists(path, error) ? path : "";
}

bool RunIsAlive(const std::string& run_path) {
  const int fd = OpenLock(run_path, O_RDONLY);
  if (fd < 0) return false;
  const bool alive = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  close(fd);
  return alive;
}

absl::StatusOr<std::string> FindRun(const std::string& parent, const std::string& run) {
  const std::vector<std::string> names = RunsIn(parent);
  std::error_code error;
  for (const std::string& path : {run, absl::StrCat(parent, "/", run)}) {
    if (run.empty() || !fs::exists(path + "/run.json", error)) continue;
    return fs::canonical(path, error).string();
  }
  if (run.empty() && !names.empty()) {
    return fs::canonical(absl::StrCat(parent, "/", names[0]), error).string();
  }
  std::string text = run.empty() ? absl::StrCat("there is no run in ", parent)
                                 : absl::StrCat("there is no run \"", run, "\"");
  if (!names.empty()) absl::StrAppend(&text, "; in ", parent, " are ", absl::StrJoin(names, ", "));
  return absl::NotFoundError(text);
}

std::vector<nlohmann::json> ReadJsonLines(const std::string& path) {
  std::vector<nlohmann::json> objects;
  const absl::StatusOr<std::string> text = ReadFile(path);
  if (!text.ok()) return objects;
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    nlohmann::json object = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (object.is_object()) objects.push_back(std::move(object));
  }
  return objects;
}

nlohmann::json ReadJsonFile(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadFile(path);
  if (!text.ok()) return nullptr;
  nlohmann::json value = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
  return value.is_discarded() ? nlohmann::json() : value;
}

std::string AddressIn(const nlohmann::json& run, const std::string& member) {
  if (!run.is_object()) return "";
  for (const nlohmann::json& one : run.value("members", nlohmann::json::array())) {
    if (one.value("name", "") == member) return one.value("address", "");
  }
  return "";
}

std::string TimeText() {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::Now(), absl::UTCTimeZone());
}

}  // namespace tandem::cli
