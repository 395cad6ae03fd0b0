#include "common/dynamics/snapshot_checks.h"

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace tandem::dynamics {

absl::Status Expected(std::string_view what, std::string_view expected, std::string_view got) {
  return absl::InvalidArgumentError(absl::StrCat("model snapshot's ", std::string(what),
                                                 ": expected ", std::string(expected), ", got ",
                                                 std::string(got)));
}

absl::Status ExpectText(const nn::TensorFile& file, const std::string& key,
                        std::string_view expected) {
  TANDEM_ASSIGN_OR_RETURN(const std::string got, nn::FindText(file, key));
  return got == expected ? absl::OkStatus() : Expected(key, expected, got);
}

absl::Status ExpectInt(const nn::TensorFile& file, const std::string& key, int64_t expected) {
  TANDEM_ASSIGN_OR_RETURN(const int64_t got, nn::FindInt(file, key));
  if (got == expected) return absl::OkStatus();
  return Expected(key, absl::StrCat(expected), absl::StrCat(got));
}

}  // namespace tandem::dynamics
