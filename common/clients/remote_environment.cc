#include "common/clients/remote_environment.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/rng.h"
#include "common/base/status_macros.h"
#include "common/clients/stop_relay.h"
#include "common/data/finite.h"

namespace tandem::clients {
namespace {

/// A request that takes so many times longer than any before hangs.
constexpr int kSlack = 10;
constexpr absl::Duration kAbsentWait = absl::Milliseconds(100);

bool IsSet(const std::string& flags, size_t env) { return !flags.empty() && flags[env] != 0; }

env::v1::Outcome OutcomeOf(const env::v1::StepResponse& response, size_t env, bool reset) {
  const std::string& outcomes = response.outcomes();
  const int outcome = outcomes.empty() ? 0 : outcomes[env];
  if (reset && outcome == env::v1::OUTCOME_UNSPECIFIED) return env::v1::OUTCOME_STARTED;
  return static_cast<env::v1::Outcome>(outcome);
}

/// What the caller sees: the environment as it is ordered.
EnvironmentSpec SpecOf(const SessionOrder& order) {
  EnvironmentSpec spec = order.expected.spec;
  if (order.max_episode_steps > 0) spec.max_episode_steps = order.max_episode_steps;
  return spec;
}

bool Any(const std::vector<uint8_t>& flags) {
  return std::any_of(flags.begin(), flags.end(), [](uint8_t flag) { return flag != 0; });
}

}  // namespace

RemoteVectorEnvironment::RemoteVectorEnvironment(std::shared_ptr<EnvironmentServer> server,
                                                 std::shared_ptr<rpc::CallSet> calls,
                                                 const SessionOrder& order)
    : VectorEnvironment(SpecOf(order), order.num_envs),
      server_(std::move(server)),
      served_(order.expected),
      max_episode_steps_(order.max_episode_steps),
      calls_(std::move(calls)),
      seed_(order.seed),
      columns_(served_.action.leaves().size()),
      views_(served_.observation.leaves().size()),
      rows_(observations_.size()),
      running_(outcomes_.size()),
      restart_(outcomes_.size()),
      doomed_(outcomes_.size()) {
  server_->Hold(order.num_envs);
  ended_.reserve(outcomes_.size());
  for (size_t i = 0; i < columns_.size(); ++i) request_.add_actions();
}

absl::StatusOr<std::unique_ptr<VectorEnvironment>> RemoteVectorEnvironment::Create(
    std::shared_ptr<EnvironmentServer> server, ServedEnvironment served, int num_envs,
    uint64_t seed, int64_t max_episode_steps) {
  if (num_envs < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected at least 1 environment, got ", num_envs));
  }
  TANDEM_RETURN_IF_ERROR(CheckRoom(served, num_envs));
  auto calls = std::make_shared<rpc::CallSet>(server->peer());
  const absl::Duration timeout =
      BatchTime(served, num_envs, server->source().reset_timeout) + AnswerMargin(served);
  const SessionOrder order{std::move(served), num_envs, seed, max_episode_steps, "", timeout};
  OpenedSession opened;
  {
    const StopRelay relay(server->source().stop, calls);
    TANDEM_ASSIGN_OR_RETURN(opened, server->OpenFirstSession(calls, order));
  }
  std::unique_ptr<RemoteVectorEnvironment> env(
      new RemoteVectorEnvironment(std::move(server), std::move(calls), order));
  TANDEM_RETURN_IF_ERROR(env->TakeSession(std::move(opened)));
  const auto outcomes = env->outcomes();
  if (std::find(outcomes.begin(), outcomes.end(), Outcome::kStarted) == outcomes.end()) {
    const auto faults = env->TakeFaults();
    return absl::UnavailableError(
        absl::StrCat(env->server_->peer(), ": none of ", num_envs, " could start an episode: ",
                     faults.empty() ? "the server does not say why" : faults[0].message));
  }
  return env;
}

RemoteVectorEnvironment::~RemoteVectorEnvironment() {
  calls_->Stop();
  recovery_.reset();
  server_->Hold(-num_envs());
  if (!session_) return;
  const std::string id = session_->id();
  session_.reset();
  if (!server_->Gone(incarnation_)) server_->CloseSession(id);
}

absl::Status RemoteVectorEnvironment::ResetAll(std::optional<uint64_t> seed) {
  if (calls_->stopped()) return calls_->Cancelled();
  if (seed.has_value()) seed_ = *seed;
  if (!session_) {
    if (seed.has_value()) pending_seed_ = seed;
    std::fill(outcomes_.begin(), outcomes_.end(), Outcome::kAbsent);
    return absl::OkStatus();
  }
  FillReset(num_envs(), seed, &request_);
  std::fill(restart_.begin(), restart_.end(), uint8_t{0});
  std::fill(doomed_.begin(), doomed_.end(), uint8_t{0});
  const absl::Duration time = BatchTime(served_, num_envs(), server_->source().reset_timeout);
  return Conclude(Exchange(time + AnswerMargin(served_)), /*reset=*/true);
}

absl::Status RemoteVectorEnvironment::Step(std::span<const float> actions) {
  TANDEM_RETURN_IF_ERROR(CheckActions(actions));
  if (calls_->stopped()) return calls_->Cancelled();
  if (!session_) return AwaitSession();
  request_.clear_reset();
  request_.clear_seeds();
  request_.clear_restart();
  if (Any(restart_)) request_.mutable_restart()->assign(restart_.begin(), restart_.end());
  TANDEM_RETURN_IF_ERROR(served_.action.Unflatten(actions, num_envs(), columns_));
  const int leaves = static_cast<int>(columns_.size());
  while (request_.actions_size() < leaves) request_.add_actions();
  for (int i = 0; i < leaves; ++i) {
    request_.mutable_actions(i)->swap(columns_[static_cast<size_t>(i)]);
  }
  const absl::Duration begin = Clock::Real()->Monotonic();
  const absl::Status status = Exchange(StepTime());
  if (status.ok()) {
    longest_step_ = std::max(longest_step_, Clock::Real()->Monotonic() - begin);
  }
  return Conclude(status, /*reset=*/false);
}

absl::Duration RemoteVectorEnvironment::StepTime() const {
  const EnvironmentSource& source = server_->source();
  return Allowance(source.step_timeout, longest_step_) +
         Allowance(source.reset_timeout, longest_opening_) + AnswerMargin(served_);
}

absl::Duration RemoteVectorEnvironment::Allowance(absl::Duration each,
                                                  absl::Duration measured) const {
  const absl::Duration whole = BatchTime(served_, num_envs(), each);
  if (measured == absl::ZeroDuration()) return whole;
  return std::clamp(kSlack * measured, each, whole);
}

absl::Status RemoteVectorEnvironment::Exchange(absl::Duration timeout) {
  return session_->Exchange(request_, &response_, timeout,
                            [this] { return server_->Gone(incarnation_); });
}

absl::Status RemoteVectorEnvironment::Conclude(const absl::Status& status, bool reset) {
  if (absl::IsCancelled(status)) return status;
  absl::Status verdict = status;
  if (status.ok()) {
    const absl::Status applied = Apply(reset);
    if (applied.ok()) {
      good_steps_ += reset ? 0 : 1;
      return applied;
    }
    verdict = absl::DataLossError(absl::StrCat(server_->peer(), ": ", applied.message()));
  }
  EnvironmentFault fault = server_->Explain(verdict, incarnation_);
  fault.message = absl::StrCat("all ", num_envs(), " environments are lost: ", fault.message);
  LoseAll(fault, reset);
  return absl::OkStatus();
}

void RemoteVectorEnvironment::LoseAll(const EnvironmentFault& fault, bool reset) {
  for (size_t i = 0; i < outcomes_.size(); ++i) {
    outcomes_[i] = running_[i] && !reset ? Outcome::kLost : Outcome::kAbsent;
    running_[i] = restart_[i] = doomed_[i] = 0;
  }
  std::fill(observations_.begin(), observations_.end(), 0.0f);
  faults_.push_back(fault);
  if (std::exchange(good_steps_, 0) >= kHealthySteps) pace_.Reset();
  StartRecovery();
}

void RemoteVectorEnvironment::StartRecovery() {
  // A server that was started anew must not repeat the episodes of its first life.
  const uint64_t seed = StreamSeed(seed_, absl::StrCat("session/", sessions_));
  const absl::Duration timeout =
      Allowance(server_->source().reset_timeout, longest_opening_) + AnswerMargin(served_);
  SessionOrder order{served_, num_envs(), seed, max_episode_steps_, session_->id(), timeout};
  session_.reset();
  recovery_ = std::make_unique<SessionRecovery>(
      SessionRecovery::Options{server_, calls_, std::move(order), pace_});
}

absl::Status RemoteVectorEnvironment::AwaitSession() {
  std::fill(outcomes_.begin(), outcomes_.end(), Outcome::kAbsent);
  auto result = recovery_->Take(kAbsentWait);
  for (EnvironmentFault& fault : recovery_->TakeFaults()) faults_.push_back(std::move(fault));
  if (calls_->stopped()) return calls_->Cancelled();
  if (!result.has_value()) return absl::OkStatus();
  if (!result->ok()) return result->status();
  recovery_.reset();
  LogInfo(absl::StrCat(server_->peer(), ": a new session of ", num_envs()));
  return TakeSession(*std::move(*result));
}

absl::Status RemoteVectorEnvironment::TakeSession(OpenedSession opened) {
  session_ = std::move(opened.session);
  incarnation_ = opened.incarnation;
  longest_opening_ = std::max(longest_opening_, opened.took);
  ++sessions_;
  response_ = std::move(opened.first);
  if (pending_seed_.has_value()) return ResetAll(std::exchange(pending_seed_, std::nullopt));
  return Conclude(absl::OkStatus(), /*reset=*/true);
}

absl::Status RemoteVectorEnvironment::Apply(bool reset) {
  TANDEM_RETURN_IF_ERROR(CheckResponse(response_, served_.observation, num_envs(), reset));
  for (const env::v1::Fault& fault : response_.faults()) faults_.push_back(Decode(fault));
  ended_.clear();
  for (size_t i = 0; i < outcomes_.size(); ++i) ApplyOutcome(i, reset);
  TakeRows();
  return absl::OkStatus();
}

void RemoteVectorEnvironment::ApplyOutcome(size_t env, bool reset) {
  const bool doomed = std::exchange(doomed_[env], uint8_t{0}) != 0;
  const bool was_running = running_[env] != 0;
  restart_[env] = 0;
  switch (OutcomeOf(response_, env, reset)) {
    case env::v1::OUTCOME_STARTED:
      running_[env] = 1;
      outcomes_[env] = Outcome::kStarted;
      if (reset || !was_running) return;
      // The caller does not know yet that the episode before is lost.
      Drop(env, Outcome::kLost);
      Blame(env, FaultKind::kWrongShape, "it began an episode in the midst of one");
      return;
    case env::v1::OUTCOME_UNSPECIFIED: {
      StepResult& result = results_[env];
      std::memcpy(&result.reward, response_.rewards().data() + env * sizeof(float), sizeof(float));
      result.terminated = IsSet(response_.terminated(), env);
      result.truncated = IsSet(response_.truncated(), env);
      if (result.ended()) ended_.push_back(static_cast<int>(env));
      outcomes_[env] = Outcome::kStepped;
      if (was_running && !doomed) return;
      Drop(env, was_running ? Outcome::kLost : Outcome::kAbsent);
      if (!doomed) Blame(env, FaultKind::kWrongShape, "it stepped where it was to be restarted");
      return;
    }
    default:  // lost or absent
      outcomes_[env] = was_running && !reset ? Outcome::kLost : Outcome::kAbsent;
      running_[env] = 0;
  }
}

template <typename Columns, typename EnvOfRow>
void RemoteVectorEnvironment::Flatten(const Columns& columns, size_t rows, std::span<float> flat,
                                      const EnvOfRow& env_of_row) {
  const SpaceLayout& layout = served_.observation;
  for (size_t leaf = 0; leaf < views_.size(); ++leaf) {
    views_[leaf] = columns[static_cast<int>(leaf)];
  }
  if (layout.Flatten(views_, static_cast<int64_t>(rows), flat).ok()) return;
  // The sizes are right, so a row has a choice that there is not: rows of absent environments may.
  const size_t dim = static_cast<size_t>(layout.flat().dim());
  for (size_t row = 0; row < rows; ++row) {
    for (size_t leaf = 0; leaf < views_.size(); ++leaf) {
      const size_t bytes = layout.row_bytes(leaf);
      views_[leaf] = std::string_view(columns[static_cast<int>(leaf)]).substr(row * bytes, bytes);
    }
    const std::span<float> to = flat.subspan(row * dim, dim);
    const absl::Status status = layout.Flatten(views_, 1, to);
    if (status.ok()) continue;
    std::fill(to.begin(), to.end(), std::numeric_limits<float>::quiet_NaN());
    bad_choices_[static_cast<int>(env_of_row(row))] = std::string(status.message());
  }
}

void RemoteVectorEnvironment::TakeRows() {
  bad_choices_.clear();
  Flatten(response_.observations(), outcomes_.size(), observations_,
          [](size_t row) { return row; });
  const size_t dim = static_cast<size_t>(spec_.observation.dim());
  const std::span<float> last = std::span(rows_).first(ended_.size() * dim);
  if (!ended_.empty()) {
    Flatten(response_.final_observations(), ended_.size(), last,
            [this](size_t row) { return ended_[row]; });
  }
  for (size_t row = 0; row < ended_.size(); ++row) {
    const std::span<const float> from = last.subspan(row * dim, dim);
    std::copy(from.begin(), from.end(), final_observation(ended_[row]).begin());
  }
  for (size_t env = 0; env < outcomes_.size(); ++env) CheckRow(env);
}

void RemoteVectorEnvironment::CheckRow(size_t env) {
  const Outcome outcome = outcomes_[env];
  const std::span<float> row = observation(static_cast<int>(env));
  if (running_[env] == 0) {
    std::fill(row.begin(), row.end(), 0.0f);
    return;
  }
  const StepResult& result = results_[env];
  const bool stepped = outcome == Outcome::kStepped;
  const bool ended = stepped && result.ended();
  const bool counts = !stepped || (std::isfinite(result.reward) &&
                                   (!ended || AllFinite(final_observation(static_cast<int>(env)))));
  if (counts && AllFinite(row)) return;
  if (const auto bad = bad_choices_.find(static_cast<int>(env)); bad != bad_choices_.end()) {
    Blame(env, FaultKind::kWrongShape, bad->second);
  } else {
    Blame(env, FaultKind::kNotFinite,
          "its observation or reward holds a number that is not finite");
  }
  Drop(env, stepped ? Outcome::kLost : Outcome::kAbsent);
  if (!counts || !ended) return;
  // The step that ended the episode is good. The next one is lost, and only then is it made anew:
  // its start would come while the caller must be told of the loss.
  outcomes_[env] = Outcome::kStepped;
  running_[env] = doomed_[env] = 1;
  restart_[env] = 0;
}

void RemoteVectorEnvironment::Drop(size_t env, Outcome outcome) {
  outcomes_[env] = outcome;
  running_[env] = 0;
  restart_[env] = 1;
  const std::span<float> row = observation(static_cast<int>(env));
  std::fill(row.begin(), row.end(), 0.0f);
}

void RemoteVectorEnvironment::Blame(size_t env, FaultKind kind, std::string message) {
  faults_.push_back({static_cast<int>(env), kind, std::move(message)});
}

}  // namespace tandem::clients
