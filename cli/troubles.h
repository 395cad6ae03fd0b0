#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace tandem::cli {

/// What keeps members of a run from their work, in words, by member; who is not in it works.
using TroubleMap = std::map<std::string, std::string>;

/// "actor-0: environment 0 failed 5 times, last: RuntimeError: no motor (logs/actor-0.log)". Pure.
std::string TroubleLine(const std::string& member, const std::string& trouble);

/// Tells people of the troubles of a run: of each when it begins, again every half a minute while
/// it lasts, and when it is over. Not thread-safe.
class TroubleTeller {
 public:
  /// Something to tell.
  struct News {
    std::string member;
    std::string trouble;  ///< Empty: its trouble is over.
    bool begins = false;  ///< Not told before.
    std::string line;     ///< For people.
  };
  /// What there is to tell of the troubles at `elapsed` since the start.
  std::vector<News> Tell(const TroubleMap& troubles, absl::Duration elapsed);

 private:
  std::map<std::string, absl::Duration> told_;  // who is in trouble, and when that was last told
};

}  // namespace tandem::cli
