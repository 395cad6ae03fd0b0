#include "services/actor/core/wait_log.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"

namespace tandem::actor {
namespace {

constexpr absl::Duration kEach = absl::Seconds(5);

}  // namespace

WaitLog::WaitLog(Clock& clock) : clock_(clock) { Reset(); }

void WaitLog::Reset() {
  begin_ = clock_.Monotonic();
  next_line_ = begin_ + kEach;
}

void WaitLog::Tick(std::string_view what) {
  const absl::Duration now = clock_.Monotonic();
  if (now < next_line_) return;
  next_line_ = now + kEach;
  LogInfo(absl::StrCat("waiting for ", std::string(what), ", ", absl::ToInt64Seconds(now - begin_),
                       " s"));
}

}  // namespace tandem::actor
