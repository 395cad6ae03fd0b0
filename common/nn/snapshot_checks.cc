#include "common/nn/snapshot_checks.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace tandem::nn {
namespace {

constexpr int kMaxWidth = 65536;
constexpr size_t kMaxLayers = 64;

}  // namespace

absl::Status SnapshotChecks::Expected(std::string_view what, std::string_view expected,
                                      std::string_view got) const {
  return absl::InvalidArgumentError(absl::StrCat(whose_, "'s ", std::string(what), ": expected ",
                                                 std::string(expected), ", got ",
                                                 std::string(got)));
}

absl::Status SnapshotChecks::Text(const TensorFile& file, const std::string& key,
                                  std::string_view expected) const {
  TANDEM_ASSIGN_OR_RETURN(const std::string got, FindText(file, key));
  return got == expected ? absl::OkStatus() : Expected(key, expected, got);
}

absl::Status SnapshotChecks::Int(const TensorFile& file, const std::string& key,
                                 int64_t expected) const {
  TANDEM_ASSIGN_OR_RETURN(const int64_t got, FindInt(file, key));
  if (got == expected) return absl::OkStatus();
  return Expected(key, absl::StrCat(expected), absl::StrCat(got));
}

absl::StatusOr<std::vector<int>> SnapshotChecks::Hidden(const TensorFile& file,
                                                        const std::string& key) const {
  TANDEM_ASSIGN_OR_RETURN(std::vector<int> sizes, FindInts(file, key));
  const bool in_range = std::all_of(sizes.begin(), sizes.end(),
                                    [](int size) { return size >= 1 && size <= kMaxWidth; });
  if (in_range && !sizes.empty() && sizes.size() <= kMaxLayers) return sizes;
  return Expected(key, absl::StrCat("1 to ", kMaxLayers, " sizes from 1 to ", kMaxWidth),
                  JoinInts(sizes));
}

}  // namespace tandem::nn
