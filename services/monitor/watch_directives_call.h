#pragma once

#include "absl/status/statusor.h"
#include "common/rpc/pull_stream.h"
#include "services/monitor/core/directive_desk.h"
#include "tandem/monitor/v1/monitor.pb.h"

namespace tandem::monitor {

/// The server's side of one WatchDirectives: sends the directive in force when it changes and when
/// it is to be renewed, one at a time, so that a slow receiver gets the newest next and holds up
/// nobody. Owns itself; see PullStream. The desk outlives the server.
class WatchDirectivesCall : public rpc::PullStream<v1::Directive> {
 public:
  WatchDirectivesCall(DirectiveDesk& desk, Executor& executor, rpc::LiveCallSet& live,
                      const v1::WatchDirectivesRequest& request);
  ~WatchDirectivesCall() override;

 private:
  absl::StatusOr<rpc::Pull> Next(v1::Directive& message) override;

  DirectiveDesk& desk_;
  const absl::StatusOr<int64_t> watcher_;
};

}  // namespace tandem::monitor
