#include "common/training/serve_until_signal.h"

#include <memory>
#include <thread>

#include "common/base/status_macros.h"

namespace tandem::training {

absl::Status ServeUntilSignal(const rpc::ServerOptions& server, absl::Duration drain,
                              const std::function<absl::Status()>& run,
                              const std::function<void()>& stop) {
  TANDEM_ASSIGN_OR_RETURN(const std::unique_ptr<rpc::ServerRunner> runner,
                          rpc::ServerRunner::Start(server));
  absl::Status result;
  std::thread worker([&] {
    result = run();
    if (!result.ok()) rpc::RequestShutdown();
  });
  runner->SetServing(true);
  runner->WaitForSignal();
  runner->SetServing(false);
  stop();
  runner->Drain(drain);  // meanwhile the worker ends what it is doing
  worker.join();
  return result;
}

}  // namespace tandem::training
