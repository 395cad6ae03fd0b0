#include "services/actor/service.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/clients/environments.h"
#include "common/clients/replay_client.h"
#include "common/snapshot/snapshot_service.h"

namespace tandem::actor {
namespace {

/// What EnvironmentProvider::Make gave besides the environments for training. RESOURCE_EXHAUSTED
/// gets `why`, which names the options.
absl::StatusOr<std::unique_ptr<VectorEnvironment>> Besides(
    absl::StatusOr<std::unique_ptr<VectorEnvironment>> made, const std::string& why) {
  if (!absl::IsResourceExhausted(made.status())) return made;
  return absl::ResourceExhaustedError(absl::StrCat(made.status().message(), ": ", why));
}

}  // namespace

ActorService::ActorService(ServiceOptions options, metrics::Registry& registry)
    : options_(std::move(options)), registry_(registry) {}

void ActorService::Stop() {
  stop_.Stop();
  MutexLock lock(mu_);
  if (core_ != nullptr) core_->Stop();
}

void ActorService::Use(ActorCore* core) {
  MutexLock lock(mu_);
  core_ = core;
  if (core_ != nullptr && stop_.stopped()) core_->Stop();
}

absl::Status ActorService::Run(const training::SetServing& set_serving) {
  const absl::Status status = Play(set_serving);
  return stop_.stopped() ? absl::OkStatus() : status;
}

absl::StatusOr<ActorService::Environments> ActorService::MakeEnvironments() {
  Environments made;
  EnvironmentSource source = options_.environment;
  source.stop = &stop_;
  TANDEM_ASSIGN_OR_RETURN(made.provider, EnvironmentProvider::Create(source));
  TANDEM_ASSIGN_OR_RETURN(made.training,
                          made.provider->Make(options_.num_envs, options_.environment_seed));
  const std::string besides =
      absl::StrCat("besides actor.num_envs=", options_.num_envs, " for training, ");
  if (options_.warmup_episode_steps > 0) {
    TANDEM_ASSIGN_OR_RETURN(
        made.warmup, Besides(made.provider->Make(options_.num_envs, options_.warmup_seed,
                                                 options_.warmup_episode_steps),
                             absl::StrCat(besides,
                                          "the warm-up takes as many until it is over (none with "
                                          "env.warmup_episode_steps=0)")));
  }
  if (options_.actor.evaluation_interval > 0) {
    TANDEM_ASSIGN_OR_RETURN(
        made.evaluation,
        Besides(made.provider->Make(options_.evaluation_episodes, options_.actor.evaluation_seed),
                absl::StrCat(besides, "evaluations take actor.evaluation_episodes=",
                             options_.evaluation_episodes,
                             " (none with actor.evaluation_interval=0)")));
  }
  return made;
}

bool ActorService::CannotBeMended(const absl::Status& status) const {
  // What the run began with once is no mistake of the configuration.
  if (stop_.stopped() || !options_.first_start) return false;
  // Somebody else's server may have more environments when it is asked again.
  const bool own = options_.environment.server.empty();
  return absl::IsNotFound(status) || absl::IsInvalidArgument(status) ||
         (own && absl::IsResourceExhausted(status));
}

absl::Status ActorService::Play(const training::SetServing& set_serving) {
  absl::StatusOr<Environments> made = MakeEnvironments();
  misconfigured_ = CannotBeMended(made.status());
  TANDEM_RETURN_IF_ERROR(made.status());
  const std::unique_ptr<ReplayClient> replay = ConnectReplay(options_.actor.replay_buffer);
  const auto policies = snapshot::WatchRemote(
      options_.actor.policy_trainer, snapshot::kPolicySeries, options_.actor.member, registry_);
  const auto directives = WatchDirectives(options_.actor.monitor, coadaptation::Receiver::kActor,
                                          options_.actor.member, registry_);
  PolicyLoader loader = MakePolicyLoader(made->training->spec(), options_.device);
  ActorCore core(options_.actor, {std::move(made->training), std::move(made->evaluation), *replay,
                                  *policies, std::move(loader), *Clock::Real(), registry_,
                                  directives.get(), std::move(made->warmup)});
  Use(&core);
  set_serving(true);
  const absl::Status status = core.Run(set_serving);
  Use(nullptr);
  return status;
}

}  // namespace tandem::actor
