#include "common/training/serve_until_signal.h"

#include <memory>
#include <thread>

#include "common/base/mutex.h"
#include "common/base/status_macros.h"

namespace tandem::training {

absl::Status ServeUntilSignal(const rpc::ServerOptions& server, absl::Duration drain,
                              const std::function<absl::Status()>& run,
                              const std::function<void()>& stop) {
  return ServeUntilSignal(
      server, drain,
      [&run](const SetServing& set_serving) {
        set_serving(true);
        return run();
      },
      stop);
}

absl::Status ServeUntilSignal(const rpc::ServerOptions& server, absl::Duration drain,
                              const std::function<absl::Status(const SetServing&)>& run,
                              const std::function<void()>& stop) {
  TANDEM_ASSIGN_OR_RETURN(const std::unique_ptr<rpc::ServerRunner> runner,
                          rpc::ServerRunner::Start(server));
  Mutex mu;
  bool draining = false;  // under mu; the worker then no longer touches the runner
  const SetServing set_serving = [&](bool serving) {
    MutexLock lock(mu);
    if (!draining) runner->SetServing(serving);
  };
  absl::Status result;
  std::thread worker([&] {
    result = run(set_serving);
    if (!result.ok()) rpc::RequestShutdown();
  });
  runner->WaitForSignal();
  {
    MutexLock lock(mu);
    draining = true;
    runner->SetServing(false);
  }
  stop();
  runner->Drain(drain);  // meanwhile the worker ends what it is doing
  worker.join();
  return result;
}

}  // namespace tandem::training
