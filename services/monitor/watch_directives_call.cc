#include "services/monitor/watch_directives_call.h"

#include <optional>

#include "common/base/status_macros.h"
#include "services/monitor/wire.h"

namespace tandem::monitor {
namespace {

absl::StatusOr<int64_t> Watch(DirectiveDesk& desk, const v1::WatchDirectivesRequest& request,
                              std::function<void()> wake) {
  TANDEM_ASSIGN_OR_RETURN(const coadaptation::Receiver receiver, Decode(request.receiver()));
  return desk.Watch(receiver, request.member(), std::move(wake));
}

}  // namespace

WatchDirectivesCall::WatchDirectivesCall(DirectiveDesk& desk, Executor& executor,
                                         rpc::LiveCallSet& live,
                                         const v1::WatchDirectivesRequest& request)
    : PullStream(executor, live), desk_(desk), watcher_(Watch(desk, request, [this] { Wake(); })) {}

WatchDirectivesCall::~WatchDirectivesCall() {
  if (watcher_.ok()) desk_.Unwatch(*watcher_);
}

absl::StatusOr<rpc::Pull> WatchDirectivesCall::Next(v1::Directive& message) {
  TANDEM_RETURN_IF_ERROR(watcher_.status());
  const std::optional<coadaptation::Directive> directive = desk_.Next(*watcher_);
  if (!directive) return rpc::Pull::kWait;
  Encode(*directive, absl::ToDoubleSeconds(desk_.ttl()), &message);
  return rpc::Pull::kSend;
}

}  // namespace tandem::monitor
