#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"

namespace tandem::cli {

/// What keeps members of a run from their work, in words, one trouble a line, by member; who is not
/// in it works.
using TroubleMap = std::map<std::string, std::string>;

/// Troubles of a member as one line. Pure.
std::string InOneLine(const std::string& troubles);

/// "actor-0: environment 0 failed 5 times, last: RuntimeError: no motor (logs/actor-0.log)". Pure.
std::string TroubleLine(const std::string& member, const std::string& troubles);

/// Tells people of the troubles of a run: of each when it begins, again every half a minute while
/// it lasts or comes back, and when a member has had none for half a minute. Troubles of a member
/// whose texts begin alike, up to the first number or colon, are one. Not thread-safe.
class TroubleTeller {
 public:
  /// Something to tell.
  struct News {
    std::string member;
    std::string trouble;  ///< Empty: its troubles are over.
    bool begins = false;  ///< Not told before.
    std::string line;     ///< For people.
  };
  /// What there is to tell of the troubles at `elapsed` since the start.
  std::vector<News> Tell(const TroubleMap& troubles, absl::Duration elapsed);

 private:
  using Key = std::pair<std::string, std::string>;  // member, beginning of the trouble
  struct Times {
    absl::Duration told, seen;  // when it last was
  };
  std::map<Key, Times> told_;
};

}  // namespace tandem::cli
