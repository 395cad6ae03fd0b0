#include "common/clients/dm_env_rpc_environment.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/rng.h"
#include "common/base/status_macros.h"
#include "common/base/trouble.h"
#include "common/clients/patience.h"
#include "common/clients/stop_relay.h"
#include "common/data/finite.h"

namespace tandem::clients {
namespace {

using TimePoint = DmEnvRpcConnection::TimePoint;

constexpr absl::Duration kAbsentWait = absl::Milliseconds(100);
constexpr absl::Duration kLeaveTimeout = absl::Seconds(1);

class DmEnvRpcProvider : public EnvironmentProvider {
 public:
  explicit DmEnvRpcProvider(std::shared_ptr<const DmEnvRpcServer> server)
      : EnvironmentProvider(server->source), server_(std::move(server)) {}

 private:
  absl::StatusOr<std::unique_ptr<VectorEnvironment>> DoMake(int num_envs, uint64_t seed,
                                                            int64_t max_episode_steps) override {
    return DmEnvRpcVectorEnvironment::Create(server_, num_envs, seed, max_episode_steps);
  }

  const std::shared_ptr<const DmEnvRpcServer> server_;
};

/// Waits for a server that is not there yet, up to reset_timeout.
absl::Status AwaitServer(const DmEnvRpcServer& server) {
  const auto channel = rpc::Connect(server.address);
  rpc::PeerLog log("environments", server.address);
  TroubleScope trouble("environment server");
  trouble.Set(absl::StrCat("waiting for ", server.peer));
  const absl::Duration end = Clock::Real()->Monotonic() + server.source.reset_timeout;
  const StopSignal* const stop = server.source.stop;
  const auto stopped = [stop] { return stop != nullptr && stop->stopped(); };
  const auto keep_on = [&] { return !stopped() && Clock::Real()->Monotonic() < end; };
  if (rpc::AwaitConnection(*channel, log, keep_on)) return absl::OkStatus();
  if (stopped()) return absl::CancelledError(absl::StrCat(server.peer, ": stopped"));
  return absl::UnavailableError(absl::StrCat(server.peer, ": no server within ",
                                             absl::FormatDuration(server.source.reset_timeout)));
}

}  // namespace

absl::StatusOr<std::unique_ptr<EnvironmentProvider>> ConnectDmEnvRpc(
    const EnvironmentSource& source) {
  TANDEM_ASSIGN_OR_RETURN(std::shared_ptr<const DmEnvRpcServer> server,
                          DmEnvRpcServer::Create(source));
  TANDEM_RETURN_IF_ERROR(AwaitServer(*server));
  return std::make_unique<DmEnvRpcProvider>(std::move(server));
}

absl::StatusOr<std::unique_ptr<VectorEnvironment>> DmEnvRpcVectorEnvironment::Create(
    std::shared_ptr<const DmEnvRpcServer> server, int num_envs, uint64_t seed,
    int64_t max_episode_steps) {
  if (num_envs < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected at least 1 environment, got ", num_envs));
  }
  const auto calls = std::make_shared<rpc::CallSet>(server->peer);
  const StopRelay relay(server->source.stop, calls);
  std::vector<std::unique_ptr<DmEnvRpcConnection>> connections;
  std::vector<std::string> worlds;
  absl::Status status;
  for (int i = 0; i < num_envs && status.ok(); ++i) {
    auto connection = DmEnvRpcConnection::Open(server, calls, EnvironmentSeed(seed, i), "");
    status = connection.status();
    if (!status.ok()) break;
    worlds.push_back((*connection)->world());
    connections.push_back(*std::move(connection));
  }
  if (!status.ok()) {
    connections.clear();
    DestroyWorlds(*server, worlds);
    return absl::Status(status.code(),
                        absl::StrCat(status.message(), "; it was asked for ", num_envs,
                                     " environments and gave ", worlds.size()));
  }
  const EnvironmentSource& source = server->source;
  EnvironmentSpec spec{source.name.empty() ? source.server : source.name,
                       connections[0]->specs().observation.flat(),
                       connections[0]->specs().action.flat(), max_episode_steps};
  std::unique_ptr<DmEnvRpcVectorEnvironment> env(new DmEnvRpcVectorEnvironment(
      std::move(server), std::move(spec), std::move(connections), calls, seed));
  TANDEM_RETURN_IF_ERROR(env->ResetAll(std::nullopt));
  const auto outcomes = env->outcomes();
  if (std::find(outcomes.begin(), outcomes.end(), Outcome::kStarted) == outcomes.end()) {
    return absl::UnavailableError(
        absl::StrCat(env->server_->peer, ": none of ", num_envs,
                     " could start an episode: ", env->TakeFaults()[0].message));
  }
  return env;
}

DmEnvRpcVectorEnvironment::DmEnvRpcVectorEnvironment(
    std::shared_ptr<const DmEnvRpcServer> server, EnvironmentSpec spec,
    std::vector<std::unique_ptr<DmEnvRpcConnection>> connections,
    std::shared_ptr<rpc::CallSet> calls, uint64_t seed)
    : VectorEnvironment(std::move(spec), static_cast<int>(connections.size())),
      server_(std::move(server)),
      calls_(std::move(calls)),
      seed_(seed),
      action_(connections[0]->specs().action),
      copies_(connections.size()),
      recovery_(server_, connections[0]->specs()) {
  for (size_t i = 0; i < copies_.size(); ++i) copies_[i].connection = std::move(connections[i]);
}

DmEnvRpcVectorEnvironment::~DmEnvRpcVectorEnvironment() {
  recovery_.Stop();
  const TimePoint deadline = After(kLeaveTimeout);
  std::vector<std::string> worlds;
  for (Copy& copy : copies_) {
    if (!copy.connection) continue;
    if (!calls_->stopped()) copy.connection->Leave(deadline).IgnoreError();
    if (!copy.connection->world().empty()) worlds.push_back(copy.connection->world());
    copy.connection.reset();
  }
  DestroyWorlds(*server_, worlds);
}

void DmEnvRpcVectorEnvironment::Stop() {
  calls_->Stop();
  recovery_.Stop();
}

absl::Status DmEnvRpcVectorEnvironment::ResetAll(std::optional<uint64_t> seed) {
  if (calls_->stopped()) return calls_->Cancelled();
  if (seed.has_value()) seed_ = *seed;
  std::vector<int> envs;
  for (int i = 0; i < num_envs(); ++i) {
    if (seed.has_value()) ResetSeeded(i, EnvironmentSeed(*seed, i));
    if (!copy(i).connection) {
      outcome(i) = Outcome::kAbsent;
      copy(i).unstarted = false;
      continue;
    }
    copy(i).needs_reset = copy(i).begun;
    envs.push_back(i);
  }
  Restart(envs);
  for (const int i : envs) {
    outcome(i) = std::exchange(copy(i).unstarted, false) ? Outcome::kAbsent : Outcome::kStarted;
  }
  return calls_->stopped() ? calls_->Cancelled() : absl::OkStatus();
}

void DmEnvRpcVectorEnvironment::ResetSeeded(int env, uint64_t seed) {
  Copy& one = copy(env);
  std::string world;
  if (one.connection) {
    one.connection->Leave(After(kLeaveTimeout)).IgnoreError();
    world = one.connection->world();
    one.connection.reset();
  }
  recovery_.Forget(env);
  one = Copy{.good_steps = one.good_steps};
  auto opened = DmEnvRpcConnection::Open(server_, calls_, seed, world);
  if (opened.ok()) {
    one.connection = *std::move(opened);
    return;
  }
  Blame(env, KindOf(opened.status(), false), std::string(opened.status().message()));
  recovery_.Reopen(env, seed, world, /*healthy=*/false);
}

absl::Status DmEnvRpcVectorEnvironment::Step(std::span<const float> actions) {
  TANDEM_RETURN_IF_ERROR(CheckActions(actions));
  if (calls_->stopped()) return calls_->Cancelled();
  TANDEM_RETURN_IF_ERROR(recovery_.status());
  TANDEM_RETURN_IF_ERROR(action_.Unflatten(actions, num_envs(), columns_));
  const TimePoint deadline = After(server_->source.step_timeout);
  for (int i = 0; i < num_envs(); ++i) {
    Copy& one = copy(i);
    one.sent = false;
    if (!one.connection) {
      // Of an episode that ended well, and whose next could not begin, the caller knows nothing.
      outcome(i) = std::exchange(one.unstarted, false) ? Outcome::kLost : Outcome::kAbsent;
      if (outcome(i) == Outcome::kAbsent) TakeReopened(i);
      continue;
    }
    const absl::Status sent = one.connection->BeginStep(columns_, static_cast<size_t>(i), deadline);
    one.sent = sent.ok();
    if (!sent.ok()) Lose(i, Outcome::kLost, sent);
  }
  for (int i = 0; i < num_envs(); ++i) {
    if (copy(i).sent) TakeAnswer(i, deadline);
  }
  std::vector<int> ended;
  for (int i = 0; i < num_envs(); ++i) {
    const StepResult& result = results_[static_cast<size_t>(i)];
    const bool stepped = outcome(i) == Outcome::kStepped;
    if (stepped && result.ended()) ended.push_back(i);
  }
  if (!ended.empty()) Restart(ended);
  for (EnvironmentFault& fault : recovery_.TakeFaults()) faults_.push_back(std::move(fault));
  if (calls_->stopped()) return calls_->Cancelled();
  const auto absent = [](Outcome outcome) { return outcome == Outcome::kAbsent; };
  if (std::all_of(outcomes_.begin(), outcomes_.end(), absent)) recovery_.Await(kAbsentWait);
  return absl::OkStatus();
}

void DmEnvRpcVectorEnvironment::TakeReopened(int env) {
  Copy& one = copy(env);
  one.connection = recovery_.Take(env);
  if (!one.connection) return;
  const absl::Status first = TakeFirst(env);
  if (!first.ok()) return Lose(env, Outcome::kAbsent, first);
  one.begun = true;
  outcome(env) = Outcome::kStarted;
}

void DmEnvRpcVectorEnvironment::TakeAnswer(int env, TimePoint deadline) {
  Copy& one = copy(env);
  const absl::Status answered = one.connection->End(deadline);
  if (!answered.ok()) return Lose(env, Outcome::kLost, answered);
  const std::span<float> last = final_observation(env);
  const absl::StatusOr<StepResult> step = one.connection->TakeStep(last);
  if (!step.ok()) return Lose(env, Outcome::kLost, step.status());
  if (!AllFinite(last) || !std::isfinite(step->reward)) {
    Blame(env, FaultKind::kNotFinite,
          "its observation or reward holds a number that is not finite");
    return Lose(env, Outcome::kLost, absl::OkStatus());
  }
  outcome(env) = Outcome::kStepped;
  StepResult& result = results_[static_cast<size_t>(env)];
  result = *step;
  const bool ended = step->ended();
  ++one.steps;
  ++one.good_steps;
  one.begun = !ended;
  one.needs_reset = !ended && one.steps == spec_.max_episode_steps;
  result.truncated = result.truncated || one.needs_reset;
  if (!ended) std::copy(last.begin(), last.end(), observation(env).begin());
}

void DmEnvRpcVectorEnvironment::Restart(const std::vector<int>& envs) {
  const TimePoint deadline = After(server_->source.reset_timeout);
  std::vector<absl::Status> statuses(outcomes_.size());
  const auto each = [&](bool resets_only, const auto& act) {
    for (const int i : envs) {
      absl::Status& status = statuses[static_cast<size_t>(i)];
      if (status.ok() && (!resets_only || copy(i).needs_reset)) status = act(i);
    }
  };
  each(true, [&](int i) { return copy(i).connection->BeginReset(deadline); });
  each(true, [&](int i) {
    DmEnvRpcConnection& connection = *copy(i).connection;
    const absl::Status reset = connection.End(deadline);
    return !reset.ok() && connection.refused() ? connection.Rejoin(deadline) : reset;
  });
  each(false, [&](int i) { return copy(i).connection->BeginFirstStep(deadline); });
  each(false, [&](int i) {
    const absl::Status answered = copy(i).connection->End(deadline);
    return answered.ok() ? TakeFirst(i) : answered;
  });
  for (const int i : envs) {
    const absl::Status& status = statuses[static_cast<size_t>(i)];
    copy(i).needs_reset = false;
    copy(i).steps = 0;
    copy(i).begun = status.ok();
    if (status.ok()) continue;
    Lose(i, outcome(i), status);
    copy(i).unstarted = true;
  }
}

absl::Status DmEnvRpcVectorEnvironment::TakeFirst(int env) {
  TANDEM_ASSIGN_OR_RETURN(const StepResult first, copy(env).connection->TakeStep(observation(env)));
  if (first.ended()) {
    return absl::InvalidArgumentError("expected the first step of an episode to be RUNNING");
  }
  if (AllFinite(observation(env))) return absl::OkStatus();
  return absl::InvalidArgumentError("its first observation holds a number that is not finite");
}

void DmEnvRpcVectorEnvironment::Lose(int env, Outcome outcome_now, const absl::Status& why) {
  Copy& one = copy(env);
  if (!why.ok()) {
    Blame(env, KindOf(why, one.connection->refused()), std::string(why.message()));
  }
  const std::string world = one.connection->world();
  const bool healthy = one.good_steps >= kHealthySteps;
  one = Copy();
  outcome(env) = outcome_now;
  const std::span<float> row = observation(env);
  std::fill(row.begin(), row.end(), 0.0f);
  recovery_.Reopen(env,
                   EnvironmentSeed(StreamSeed(seed_, absl::StrCat("world/", ++reopened_)), env),
                   world, healthy);
}

void DmEnvRpcVectorEnvironment::Blame(int env, FaultKind kind, const std::string& message) {
  faults_.push_back({env, kind, message});
}

}  // namespace tandem::clients
