#include "common/base/log.h"

#include <unistd.h>

#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace tandem {
namespace {

std::string& ProcessName() {
  static std::string* const name = new std::string("tandem");
  return *name;
}

}  // namespace

void InitLog(std::string_view process) { ProcessName() = std::string(process); }

void Log(LogLevel level, std::string_view message) {
  static constexpr char kLetters[] = {'I', 'W', 'E'};
  const std::string time =
      absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::Now(), absl::UTCTimeZone());
  std::string line;
  line.reserve(time.size() + ProcessName().size() + message.size() + 8);
  line.append(time).append(" ");
  line.push_back(kLetters[static_cast<int>(level)]);
  line.append(" ").append(ProcessName()).append(" ").append(message).append("\n");
  // One write() a line, so that lines of several threads and processes do not mix.
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, line.data(), line.size());
}

void CheckFailed(const char* file, int line, const char* condition) {
  LogError(absl::StrCat(file, ":", line, ": check failed: ", condition));
  std::abort();
}

}  // namespace tandem
