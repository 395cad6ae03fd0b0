#include "services/actor/core/wait_log.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"

namespace tandem::actor {

WaitLog::WaitLog(Clock& clock, absl::Duration every) : clock_(clock), every_(every) { Reset(); }

void WaitLog::Reset() {
  begin_ = clock_.Monotonic();
  next_line_ = begin_ + every_;
}

void WaitLog::Tick(std::string_view what) {
  const absl::Duration now = clock_.Monotonic();
  if (now < next_line_) return;
  next_line_ = now + every_;
  LogInfo(absl::StrCat("waiting for ", std::string(what), ", ", absl::ToInt64Seconds(now - begin_),
                       " s"));
}

}  // namespace tandem::actor
