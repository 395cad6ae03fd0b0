#include "cli/troubles.h"

#include "absl/strings/str_cat.h"

namespace tandem::cli {
namespace {

constexpr absl::Duration kAgain = absl::Seconds(30);

}  // namespace

std::string TroubleLine(const std::string& member, const std::string& trouble) {
  return absl::StrCat(member, ": ", trouble, " (logs/", member, ".log)");
}

std::vector<TroubleTeller::News> TroubleTeller::Tell(const TroubleMap& troubles,
                                                     absl::Duration elapsed) {
  std::vector<News> news;
  for (auto member = told_.begin(); member != told_.end();) {
    if (troubles.count(member->first) > 0) {
      ++member;
      continue;
    }
    news.push_back({member->first, "", false, absl::StrCat(member->first, ": works again")});
    member = told_.erase(member);
  }
  for (const auto& [member, trouble] : troubles) {
    const auto found = told_.find(member);
    if (found != told_.end() && elapsed - found->second < kAgain) continue;
    news.push_back({member, trouble, found == told_.end(), TroubleLine(member, trouble)});
    told_[member] = elapsed;
  }
  return news;
}

}  // namespace tandem::cli
