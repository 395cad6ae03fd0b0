#include "cli/troubles.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

namespace tandem::cli {
namespace {

constexpr absl::Duration kAgain = absl::Seconds(30);
constexpr absl::Duration kCalm = absl::Seconds(30);

/// What stays the same while counts and details change: "environment ", "no checkpoint is written".
std::string BeginningOf(const std::string& trouble) {
  return trouble.substr(0, trouble.find_first_of("0123456789:"));
}

}  // namespace

std::string InOneLine(const std::string& troubles) {
  return absl::StrReplaceAll(troubles, {{"\n", "; "}});
}

std::string TroubleLine(const std::string& member, const std::string& troubles) {
  return absl::StrCat(member, ": ", InOneLine(troubles), " (logs/", member, ".log)");
}

std::vector<TroubleTeller::News> TroubleTeller::Tell(const TroubleMap& troubles,
                                                     absl::Duration elapsed) {
  std::map<Key, std::string> present;
  for (const auto& [member, texts] : troubles) {
    for (const absl::string_view line : absl::StrSplit(texts, '\n')) {
      const std::string text(line);
      present[{member, BeginningOf(text)}] = text;
    }
  }
  std::vector<News> news;
  for (auto one = told_.begin(); one != told_.end();) {
    if (present.count(one->first) > 0) one->second.seen = elapsed;
    if (elapsed - one->second.seen < kCalm) {
      ++one;
      continue;
    }
    const std::string member = one->first.first;
    one = told_.erase(one);
    const auto other = told_.lower_bound({member, ""});
    if (other != told_.end() && other->first.first == member) continue;
    news.push_back({member, "", false, absl::StrCat(member, ": works again")});
  }
  for (const auto& [key, text] : present) {
    const auto [told, begins] = told_.try_emplace(key);
    if (!begins && elapsed - told->second.told < kAgain) continue;
    told->second = {elapsed, elapsed};
    news.push_back({key.first, text, begins, TroubleLine(key.first, text)});
  }
  return news;
}

}  // namespace tandem::cli
