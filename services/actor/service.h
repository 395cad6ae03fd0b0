#pragma once

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/mutex.h"
#include "common/base/stop_signal.h"
#include "common/clients/environments.h"
#include "common/env/vector_environment.h"
#include "common/metrics/registry.h"
#include "common/training/serve_until_signal.h"
#include "services/actor/core/actor_core.h"
#include "services/actor/options.h"

namespace tandem::actor {

/// The actor's life in its process: makes the environments and the clients, and plays. Run() on one
/// thread; Stop() from any, at any time.
class ActorService {
 public:
  /// registry: outlives this.
  ActorService(ServiceOptions options, metrics::Registry& registry);

  /// Blocks until the run is over or Stop() (OK), or until something fails for good: the
  /// environments cannot be made within their timeouts, or ActorCore::Run. Tells that it serves
  /// once the environments are there, and then whenever they no longer run or run again. Call once.
  absl::Status Run(const training::SetServing& set_serving);

  /// Whether Run() failed for what another start with this configuration cannot mend: there is no
  /// such environment, or fewer than the configuration asks for in a server of its own. Never after
  /// Stop(), nor where an earlier start of the run went further. Call after Run().
  bool misconfigured() const { return misconfigured_; }

  /// Ends Run() soon, also while environments are being made. Thread-safe; idempotent.
  void Stop();

 private:
  /// What the environments of this actor are.
  struct Environments {
    std::unique_ptr<EnvironmentProvider> provider;
    std::unique_ptr<VectorEnvironment> training, evaluation, warmup;
  };
  absl::Status Play(const training::SetServing& set_serving);
  absl::StatusOr<Environments> MakeEnvironments();
  bool CannotBeMended(const absl::Status& status) const;
  /// The core that Stop() stops, at once where it came before; null: none.
  void Use(ActorCore* core);

  const ServiceOptions options_;
  metrics::Registry& registry_;
  StopSignal stop_;
  bool misconfigured_ = false;  // Run's own
  Mutex mu_;
  ActorCore* core_ ABSL_GUARDED_BY(mu_) = nullptr;  // while it plays
};

}  // namespace tandem::actor
