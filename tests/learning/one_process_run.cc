#include "tests/learning/one_process_run.h"

#include <algorithm>
#include <memory>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/rng.h"
#include "common/base/status_macros.h"
#include "common/clients/testing/fake_directive_client.h"
#include "common/dynamics/dynamics_model.h"
#include "common/env/local_vector_environment.h"
#include "common/metrics/registry.h"
#include "common/nn/device.h"
#include "common/policy/policy.h"
#include "common/snapshot/snapshot_store.h"
#include "services/actor/core/actor_core.h"
#include "services/model_trainer/core/model_trainer.h"
#include "services/replay_buffer/core/testing/local_replay_client.h"

namespace tandem {
namespace {

/// What a part does in its thread, and how it is told to end.
template <typename Core>
class Running {
 public:
  explicit Running(Core& core) : core_(core), thread_([this] { status_ = core_.Run(); }) {}
  absl::Status Join() {
    core_.Stop();
    thread_.join();
    return status_;
  }

 private:
  Core& core_;
  absl::Status status_;
  std::thread thread_;
};

struct Stores {
  snapshot::SnapshotStore models{snapshot::kModelSeries, 1};
  snapshot::SnapshotStore policies{snapshot::kPolicySeries, 1};
};

/// Registries are apart, as in processes.
struct Registries {
  metrics::Registry replay, actor, model_trainer, policy_trainer;
};

absl::StatusOr<std::unique_ptr<actor::ActorCore>> MakeActor(const OneProcessOptions& options,
                                                            ReplayClient& replay, Stores& stores,
                                                            DirectiveClient& directives,
                                                            metrics::Registry& registry) {
  const uint64_t seed = options.seed;
  TANDEM_ASSIGN_OR_RETURN(
      auto training,
      LocalVectorEnvironment::Create(options.environment, {.num_envs = options.num_envs,
                                                           .seed = StreamSeed(seed, "training")}));
  TANDEM_ASSIGN_OR_RETURN(auto evaluation,
                          LocalVectorEnvironment::Create(options.environment,
                                                         {.num_envs = options.evaluation_episodes,
                                                          .seed = StreamSeed(seed, "evaluation")}));
  const EnvironmentSpec spec = training->spec();
  const auto load = [spec](const snapshot::Snapshot& s) -> absl::StatusOr<policy::LoadedPolicy> {
    TANDEM_ASSIGN_OR_RETURN(const nn::TensorFile file, s.Parse());
    return policy::LoadPolicy(file, spec, "cpu");
  };
  return std::make_unique<actor::ActorCore>(
      actor::ActorOptions{.member = "actor-0",
                          .random_action_seed = StreamSeed(seed, "random"),
                          .policy_action_seed = StreamSeed(seed, "noise"),
                          .evaluation_seed = StreamSeed(seed, "evaluation"),
                          .evaluation_interval = options.replay.pace.evaluation_interval},
      actor::ActorParts{std::move(training), std::move(evaluation), replay, stores.policies, load,
                        *Clock::Real(), registry, &directives});
}

/// Stands in for a monitor: judges nothing, says what the test wants.
class ScriptedMonitor {
 public:
  ScriptedMonitor(const std::vector<Directed>& script, ReplayClient& replay)
      : script_(script), replay_(replay) {}

  absl::Status Run() {
    if (script_.empty()) return absl::OkStatus();
    Progress progress{.role = Role::kMonitor, .member = "monitor"};
    for (size_t judged = 0;;) {
      const absl::StatusOr<Grant> grant = replay_.Advance(progress, absl::Seconds(1));
      if (!grant.ok() || grant->stop) return absl::OkStatus();
      if (grant->granted == 0) continue;
      const Directed& wanted = script_[std::min(judged++, script_.size() - 1)];
      progress.judged_through_index = grant->through_index;
      progress.directive_version = static_cast<int64_t>(judged);
      progress.updates_per_step = wanted.updates_per_step;
      progress.policy_pause = wanted.policy_pause;
      for (FakeDirectiveClient* client : {&model_trainer, &policy_trainer, &actor}) {
        client->Set(progress.directive_version, wanted.settings);
      }
    }
  }
  void Stop() { replay_.Stop(); }

  int64_t refused() const {
    int64_t count = 0;
    for (const FakeDirectiveClient* client : {&model_trainer, &policy_trainer, &actor}) {
      for (const Acknowledgement& told : client->acknowledged()) {
        count += told.outcome == DirectiveOutcome::kRefused ? 1 : 0;
      }
    }
    return count;
  }

  FakeDirectiveClient model_trainer, policy_trainer, actor;

 private:
  const std::vector<Directed> script_;
  ReplayClient& replay_;
};

/// Until the run is over. DEADLINE_EXCEEDED after the timeout.
absl::Status AwaitEnd(ReplayBuffer& buffer, absl::Duration timeout) {
  const absl::Duration end = Clock::Real()->Monotonic() + timeout;
  for (;;) {
    const ReplayStatus status = buffer.GetStatus();
    if (status.stopped) return absl::OkStatus();
    if (Clock::Real()->Monotonic() > end) {
      std::string waits;
      for (const auto& [role, what] : status.waiting_for) {
        absl::StrAppend(&waits, "; ", role, " waits for ", what);
      }
      return absl::DeadlineExceededError(absl::StrCat("the run is at ", status.env_steps,
                                                      " steps and ", status.policy_updates,
                                                      " updates", waits));
    }
    absl::SleepFor(absl::Milliseconds(5));
  }
}

std::string BytesOf(snapshot::SnapshotStore& store) {
  const auto latest = store.Latest();
  return latest == nullptr ? "" : *latest->bytes;
}

}  // namespace

OneProcessOptions SmallCartpole(uint64_t seed) {
  OneProcessOptions options;
  options.seed = seed;
  options.replay.pace.warmup_steps = 200;
  options.replay.pace.refit_interval = 200;
  options.replay.pace.updates_per_step = 5;
  options.replay.pace.evaluation_interval = 200;
  options.replay.pace.max_env_steps = 1000;
  options.model.members = 3;
  options.model.elites = 2;
  options.model.hidden = {32, 32};
  options.model.max_gradient_steps = 200;
  options.model.seed = StreamSeed(seed, "model");
  options.policy.hidden = {32, 32};
  options.policy.sac.lr = 3e-3;
  options.policy.seed = StreamSeed(seed, "policy");
  options.trainer.batch_size = 128;
  options.trainer.seed = options.policy.seed;
  options.trainer.imagination.seed = options.policy.seed;
  options.trainer.imagination.rollouts_per_refit = 5000;
  return options;
}

absl::StatusOr<OneProcessResult> TrainInOneProcess(const OneProcessOptions& options) {
  static const absl::Status threads = nn::ConfigureThreads(1);  // for the whole process, once
  TANDEM_RETURN_IF_ERROR(threads);
  Registries registries;
  TANDEM_ASSIGN_OR_RETURN(const std::unique_ptr<ReplayBuffer> buffer,
                          ReplayBuffer::Create(options.replay, registries.replay));
  const auto actor_client = MakeLocalReplayClient(*buffer);
  const auto model_client = MakeLocalReplayClient(*buffer);
  const auto policy_client = MakeLocalReplayClient(*buffer);
  const auto monitor_client = MakeLocalReplayClient(*buffer);
  ScriptedMonitor monitor(options.directed, *monitor_client);
  Stores stores;
  TANDEM_ASSIGN_OR_RETURN(
      const std::unique_ptr<actor::ActorCore> actor,
      MakeActor(options, *actor_client, stores, monitor.actor, registries.actor));
  model_trainer::ModelTrainer model_trainer(
      {.replay_capacity = options.replay.capacity, .members = options.model.members},
      {*model_client, stores.models, *Clock::Real(), registries.model_trainer,
       [&](const auto& spec) { return dynamics::EnsembleLearner::Create(spec, options.model); },
       &monitor.model_trainer,
       model_trainer::JointCompanionMaker(options.joint, &stores.policies, registries.model_trainer,
                                          *Clock::Real())});
  policy_trainer::PolicyTrainer policy_trainer(
      options.trainer,
      {*policy_client, stores.models, stores.policies, *Clock::Real(), registries.policy_trainer,
       [&](const auto& spec) { return policy::SacLearner::Create(spec, options.policy); },
       [](const auto& file, const auto& spec) {
         return dynamics::LoadDynamicsModel(file, spec, "cpu");
       },
       &monitor.policy_trainer,
       [](const auto& file, const auto& spec) {
         return objective::TransitionClassifier::Load(file, spec, "cpu");
       }});

  Running running_monitor(monitor);
  Running running_actor(*actor);
  Running running_model_trainer(model_trainer);
  Running running_policy_trainer(policy_trainer);
  const absl::Status ended = AwaitEnd(*buffer, options.timeout);
  const ReplayStatus status = buffer->GetStatus();
  const absl::Status acted = running_actor.Join();
  const absl::Status fitted = running_model_trainer.Join();
  const absl::Status improved = running_policy_trainer.Join();
  const absl::Status judged = running_monitor.Join();
  for (const absl::Status& part : {acted, fitted, improved, judged, ended})
    TANDEM_RETURN_IF_ERROR(part);
  return OneProcessResult{.evaluations = status.evaluations,
                          .policy = BytesOf(stores.policies),
                          .model = BytesOf(stores.models),
                          .stop_reason = status.stop_reason,
                          .refused = monitor.refused()};
}

}  // namespace tandem
