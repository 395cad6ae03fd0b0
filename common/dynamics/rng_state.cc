#include "common/dynamics/rng_state.h"

#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/status_macros.h"

namespace tandem::dynamics {

void SaveRng(const std::string& key, const Rng& rng, nn::TensorFile* file) {
  file->metadata[key] = absl::StrJoin(rng.Save(), ",");
}

absl::StatusOr<Rng> LoadRng(const std::string& key, const nn::TensorFile& file) {
  TANDEM_ASSIGN_OR_RETURN(const std::string text, nn::FindText(file, key));
  const std::vector<std::string> parts = absl::StrSplit(text, ',');
  Rng::State words{};
  bool good = parts.size() == words.size();
  for (size_t i = 0; good && i < words.size(); ++i) good = absl::SimpleAtoi(parts[i], &words[i]);
  if (!good) {
    return absl::InvalidArgumentError(absl::StrCat("metadata \"", key, "\": bad random stream"));
  }
  Rng rng(0);
  rng.Restore(words);
  return rng;
}

}  // namespace tandem::dynamics
