#include "common/training/start_epoch.h"

#include "absl/time/clock.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"

namespace tandem::training {

absl::StatusOr<uint64_t> StartEpoch(const std::string& state_dir) {
  if (state_dir.empty()) return static_cast<uint64_t>(absl::ToUnixMicros(absl::Now()));
  TANDEM_RETURN_IF_ERROR(MakeDirs(state_dir));
  return IncrementCounterFile(state_dir + "/epoch");
}

}  // namespace tandem::training
