#include "common/training/start_epoch.h"

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"

namespace tandem::training {

absl::StatusOr<uint64_t> StartEpoch(const std::string& state_dir) {
  const auto now = static_cast<uint64_t>(absl::ToUnixMicros(absl::Now()));
  if (state_dir.empty()) return now;
  TANDEM_RETURN_IF_ERROR(MakeDirs(state_dir));
  const std::string path = state_dir + "/epoch";
  if (!absl::IsNotFound(ReadFile(path).status())) return IncrementCounterFile(path);
  TANDEM_RETURN_IF_ERROR(WriteFileAtomically(path, absl::StrCat(now, "\n")));
  return now;
}

}  // namespace tandem::training
