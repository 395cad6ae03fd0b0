#include "services/actor/own_loop/own_loop.h"

#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/rng.h"
#include "common/base/status_macros.h"
#include "common/clients/replay_client.h"
#include "common/nn/device.h"
#include "common/snapshot/snapshot_service.h"
#include "services/actor/core/actor_core.h"
#include "services/actor/options.h"
#include "services/actor/own_loop/loop_environment.h"

namespace tandem::actor {
namespace {

ActorOptions CoreOptions(const OwnLoop::Options& options) {
  ActorOptions core;
  core.member = options.name;
  core.replay_buffer = options.replay_buffer;
  core.policy_trainer = options.policy_trainer;
  core.monitor = options.monitor;
  core.random_action_seed = StreamSeed(options.seed, "random_actions/" + options.name);
  core.policy_action_seed = StreamSeed(options.seed, "policy_actions/" + options.name);
  core.evaluation_seed = StreamSeed(options.seed, "evaluation");
  core.evaluation_interval = options.evaluation_interval;
  return core;
}

class OwnLoopImpl : public OwnLoop {
 public:
  explicit OwnLoopImpl(Options options)
      : replay_(ConnectReplay(options.replay_buffer)),
        policies_(snapshot::WatchRemote(options.policy_trainer, snapshot::kPolicySeries,
                                        options.name, registry_)),
        directives_(WatchDirectives(options.monitor, coadaptation::Receiver::kActor, options.name,
                                    registry_)),
        environment_(new LoopEnvironment(options.spec)) {
    core_ = std::make_unique<ActorCore>(
        CoreOptions(options),
        ActorParts{std::unique_ptr<VectorEnvironment>(environment_), std::move(options.evaluation),
                   *replay_, *policies_, MakePolicyLoader(options.spec, "cpu"), *Clock::Real(),
                   registry_, directives_.get()});
    thread_ = std::thread([this] { Run(); });
  }
  ~OwnLoopImpl() override { Finish().IgnoreError(); }

  absl::Status Begin(std::span<const float> observation) override {
    return environment_->Begin(observation);
  }
  absl::StatusOr<std::span<const float>> Act() override { return environment_->Act(); }
  absl::Status Record(float reward, std::span<const float> observation, bool terminated,
                      bool truncated) override {
    return environment_->Record(reward, observation, terminated, truncated);
  }

  absl::Status Finish() override {
    core_->Stop();
    if (thread_.joinable()) thread_.join();
    return result_;
  }

 private:
  void Run() {
    // Recording begins with the first episode.
    result_ = environment_->ResetAll(std::nullopt);
    if (result_.ok()) result_ = core_->Run();
    if (absl::IsCancelled(result_)) result_ = absl::OkStatus();
    if (!result_.ok()) LogError(result_.ToString());
    environment_->Stop();
  }

  metrics::Registry registry_;
  const std::unique_ptr<ReplayClient> replay_;
  const std::unique_ptr<snapshot::SnapshotSource> policies_;
  const std::unique_ptr<DirectiveClient> directives_;
  LoopEnvironment* const environment_;  // owned by core_
  std::unique_ptr<ActorCore> core_;
  absl::Status result_;  // of the thread, until it is joined
  std::thread thread_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<OwnLoop>> OwnLoop::Start(Options options) {
  TANDEM_RETURN_IF_ERROR(Validate(options.spec));
  TANDEM_RETURN_IF_ERROR(nn::ConfigureThreads(1));
  return std::make_unique<OwnLoopImpl>(std::move(options));
}

}  // namespace tandem::actor
