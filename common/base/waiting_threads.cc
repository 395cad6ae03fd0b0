#include "common/base/waiting_threads.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace tandem {

void SleepWhileWaiting(char** argv) {
  if (std::getenv(kWaitPolicy) != nullptr) return;
  setenv(kWaitPolicy, kWaitAsleep, /*replace=*/1);
  // Under its own name, which ps and perf show.
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (!error) execv(program.c_str(), argv);
}

}  // namespace tandem
