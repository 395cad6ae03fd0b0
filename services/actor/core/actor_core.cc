#include "services/actor/core/actor_core.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/data/finite.h"
#include "common/env/random_actions.h"

namespace tandem::actor {
namespace {

constexpr int64_t kStepsWanted = 256;

// So many calls of Step without a step, one after the other, are followed by a pause.
constexpr int kIdleCalls = 10;
constexpr absl::Duration kIdlePause = absl::Milliseconds(100);

int64_t Count(const VectorEnvironment& env, Outcome outcome) {
  return std::count(env.outcomes().begin(), env.outcomes().end(), outcome);
}

// Steps that the next call of Step takes at most.
int64_t Runnable(const VectorEnvironment& env) {
  return Count(env, Outcome::kStepped) + Count(env, Outcome::kStarted);
}

// Whether the rows of the environments that run are finite; the others may hold anything.
bool RunningRowsAreFinite(const VectorEnvironment& env, std::span<const float> rows) {
  const size_t dim = rows.size() / env.outcomes().size();
  for (size_t i = 0; i < env.outcomes().size(); ++i) {
    const Outcome outcome = env.outcomes()[i];
    if (outcome == Outcome::kLost || outcome == Outcome::kAbsent) continue;
    if (!AllFinite(rows.subspan(i * dim, dim))) return false;
  }
  return true;
}

}  // namespace

ActorCore::ActorCore(ActorOptions options, ActorParts parts)
    : options_(std::move(options)),
      parts_(std::move(parts)),
      metrics_(parts_.registry),
      health_(options_.health, parts_.clock, parts_.registry),
      knobs_({.receiver = coadaptation::Receiver::kActor,
              .metric_prefix = "tandem_actor",
              .recipe = {{coadaptation::Knob::kDataCollection, 0}}},
             parts_.directives, parts_.registry, parts_.clock),
      holder_(parts_.policies, parts_.load_policy, options_.policy_trainer, parts_.clock, stop_,
              metrics_),
      writer_(parts_.replay, options_.member, options_.replay_buffer, parts_.training->spec(),
              parts_.clock, stop_, metrics_),
      pace_log_(parts_.clock),
      recorder_(parts_.training->spec(), parts_.training->num_envs(), {}, &next_episode_id_),
      warmup_(std::move(parts_.warmup)),
      random_actions_(options_.random_action_seed),
      policy_noise_(options_.policy_action_seed) {}

void ActorCore::Stop() {
  stop_.Stop();
  if (parts_.directives != nullptr) parts_.directives->Stop();
  parts_.replay.Stop();
  parts_.policies.Stop();
  parts_.training->Stop();
  if (parts_.evaluation != nullptr) parts_.evaluation->Stop();
  MutexLock lock(warmup_mu_);
  if (warmup_ != nullptr) warmup_->Stop();
}

absl::Status ActorCore::Run(std::function<void(bool healthy)> on_health) {
  health_.OnChange(std::move(on_health));
  const absl::Status status = Loop();
  return stop_.stopped() ? absl::OkStatus() : status;
}

absl::Status ActorCore::Loop() {
  if (options_.shift_start_after > 0) {
    // An environment without a range of starts is told of now, not in the midst of the run.
    TANDEM_RETURN_IF_ERROR(WidenStart(1));
  }
  TANDEM_RETURN_IF_ERROR(writer_.Open());
  recorder_.StartAll(playing());
  Progress progress;
  progress.role = Role::kActor;
  progress.member = options_.member;
  const int64_t batch = parts_.training->num_envs();
  progress.wanted = batch * std::max<int64_t>(1, kStepsWanted / batch);
  while (!stop_.stopped()) {
    holder_.Refresh();
    progress.held_policy_updates = holder_.updates();
    absl::StatusOr<Grant> grant = writer_.Advance(progress, options_.advance_wait);
    if (grant.ok() && grant->stop) {
      LogInfo(absl::StrCat("the run is over after ", grant->env_steps, " training steps"));
      return absl::OkStatus();
    }
    const absl::Status status = grant.ok() ? Serve(*grant) : grant.status();
    if (absl::IsAborted(status)) {
      TANDEM_RETURN_IF_ERROR(StartOver());
    } else {
      TANDEM_RETURN_IF_ERROR(status);
    }
  }
  return absl::OkStatus();
}

absl::Status ActorCore::Serve(const Grant& grant) {
  if (knobs_.Refresh(grant.directive_version)) knobs_.Acknowledge();
  if (grant.granted <= 0 && !grant.evaluate) {
    pace_log_.Tick(grant.waiting_for.empty() ? "a grant" : grant.waiting_for);
    return absl::OkStatus();
  }
  pace_log_.Reset();
  const bool needs_policy = grant.evaluate || !grant.random_actions;
  // Asking again gives back the grant, so a policy that does not come holds up nobody else.
  if (needs_policy && !holder_.WaitFor(grant.policy_updates, options_.policy_wait)) {
    return absl::OkStatus();
  }
  TANDEM_RETURN_IF_ERROR(ShiftStart(grant));
  if (grant.evaluate) TANDEM_RETURN_IF_ERROR(Evaluate(grant));
  if (grant.granted > 0) TANDEM_RETURN_IF_ERROR(TakeSteps(grant));
  return absl::OkStatus();
}

absl::Status ActorCore::ShiftStart(const Grant& grant) {
  if (start_shifted_ || options_.shift_start_after <= 0 ||
      grant.env_steps < options_.shift_start_after) {
    return absl::OkStatus();
  }
  start_shifted_ = true;
  LogInfo(absl::StrCat("after ", grant.env_steps, " steps, episodes start from a range ",
                       options_.shift_start_scale, " times as wide"));
  return WidenStart(options_.shift_start_scale);
}

absl::Status ActorCore::WidenStart(double scale) {
  TANDEM_RETURN_IF_ERROR(parts_.training->WidenStart(scale));
  if (warmup_ != nullptr) TANDEM_RETURN_IF_ERROR(warmup_->WidenStart(scale));
  return parts_.evaluation == nullptr ? absl::OkStatus() : parts_.evaluation->WidenStart(scale);
}

absl::Status ActorCore::StartOver() {
  VectorEnvironment& env = playing();
  TANDEM_RETURN_IF_ERROR(env.ResetAll());
  health_.Note(env, env.TakeFaults());
  recorder_.StartAll(env);
  return absl::OkStatus();
}

absl::Status ActorCore::LeaveWarmup() {
  std::unique_ptr<VectorEnvironment> over;
  {
    MutexLock lock(warmup_mu_);
    over = std::move(warmup_);
  }
  health_.Forget(*over);
  over.reset();
  recorder_.Cut("warmup_over");
  Recording recording = recorder_.Take();
  CountEpisodes(recording, Purpose::kTraining);
  // Where the append fails with ABORTED, StartOver() begins the new episodes.
  TANDEM_RETURN_IF_ERROR(writer_.Append(std::move(recording)));
  recorder_.StartAll(*parts_.training);
  return absl::OkStatus();
}

absl::Status ActorCore::TakeSteps(const Grant& grant) {
  if (warmup_ != nullptr && !grant.random_actions) TANDEM_RETURN_IF_ERROR(LeaveWarmup());
  VectorEnvironment& env = playing();
  int64_t left = grant.granted;
  // Without a step for a while it asks again, which gives back what is left of the grant.
  do {
    if (grant.random_actions) {
      recorder_.SetPolicy(0, 0);
      ActAtRandom();
    } else {
      if (grant.policy_updates < 0) holder_.Refresh();
      recorder_.SetPolicy(holder_.tag(), static_cast<uint64_t>(holder_.updates()));
      TANDEM_RETURN_IF_ERROR(ActByPolicy(env, &policy_noise_));
      MixInRandomActions();
    }
    TANDEM_ASSIGN_OR_RETURN(const int64_t stepped, StepOnce(env, recorder_, Purpose::kTraining));
    left -= stepped;
  } while (left > 0 && left >= Runnable(env) && idle_calls_ < kIdleCalls && !stop_.stopped());
  Recording recording = recorder_.Take();
  CountEpisodes(recording, Purpose::kTraining);
  return writer_.Append(std::move(recording));
}

absl::Status ActorCore::Evaluate(const Grant& grant) {
  if (parts_.evaluation == nullptr) {
    return absl::FailedPreconditionError(
        "the run asks for an evaluation, and this actor has no environments for it: give it some, "
        "or set actor.evaluation_interval=0");
  }
  VectorEnvironment& env = *parts_.evaluation;
  EpisodeRecorder::Options options;
  options.purpose = Purpose::kEvaluation;
  options.keep_steps = options_.record_evaluation_steps;
  options.first_episode_only = true;
  options.evaluation_id = static_cast<uint64_t>(
      grant.env_steps - grant.env_steps % std::max<int64_t>(1, options_.evaluation_interval));
  options.evaluation_size = env.num_envs();
  EpisodeRecorder recorder(env.spec(), env.num_envs(), options, &next_episode_id_);
  TANDEM_RETURN_IF_ERROR(
      env.ResetAll(StreamSeed(options_.evaluation_seed,
                              std::string("evaluation/") + std::to_string(options.evaluation_id))));
  health_.Note(env, env.TakeFaults());
  recorder.StartAll(env);
  recorder.SetPolicy(holder_.tag(), static_cast<uint64_t>(holder_.updates()));
  TANDEM_ASSIGN_OR_RETURN(const bool whole, PlayEvaluation(env, recorder));
  health_.Forget(env);  // it is not stepped until the next one
  if (stop_.stopped()) return absl::OkStatus();
  if (!whole) {
    LogWarning(absl::StrCat("evaluation at ", options.evaluation_id, " steps: given up with ",
                            recorder.episodes_ended(), " of ", env.num_envs(), " episodes after ",
                            absl::FormatDuration(options_.health.standstill), " without a step"));
    recorder.Abandon();
    return writer_.Append(recorder.Take());
  }
  Recording recording = recorder.Take();
  CountEpisodes(recording, Purpose::kEvaluation);
  const double mean = recorder.return_sum() / static_cast<double>(recorder.episodes_ended());
  metrics_.evaluation_return.Set(mean);
  LogInfo(absl::StrCat("evaluation at ", options.evaluation_id, " steps: mean return ", mean,
                       " of ", recorder.episodes_ended(), " episodes, policy of ",
                       holder_.updates(), " updates"));
  return writer_.Append(std::move(recording));
}

absl::StatusOr<bool> ActorCore::PlayEvaluation(VectorEnvironment& env, EpisodeRecorder& recorder) {
  int64_t steps = 0;
  absl::Duration last_step = parts_.clock.Monotonic();
  while (recorder.recording_envs() > 0 && !stop_.stopped()) {
    TANDEM_RETURN_IF_ERROR(ActByPolicy(env, /*rng=*/nullptr));
    TANDEM_RETURN_IF_ERROR(StepOnce(env, recorder, Purpose::kEvaluation).status());
    const absl::Duration now = parts_.clock.Monotonic();
    if (recorder.steps() == steps) {
      if (now - last_step >= options_.health.standstill) return false;
      continue;
    }
    steps = recorder.steps();
    last_step = now;
  }
  return true;
}

absl::StatusOr<int64_t> ActorCore::StepOnce(VectorEnvironment& env, EpisodeRecorder& recorder,
                                            Purpose purpose) {
  const absl::Duration begin = parts_.clock.Monotonic();
  TANDEM_RETURN_IF_ERROR(env.Step(actions_));
  metrics_.env_step_seconds.Observe(absl::ToDoubleSeconds(parts_.clock.Monotonic() - begin));
  const std::vector<EnvironmentFault> faults = env.TakeFaults();
  health_.Note(env, faults);
  const int64_t stepped = Count(env, Outcome::kStepped);
  metrics_.For(purpose).env_steps.Increment(static_cast<double>(stepped));
  idle_calls_ = stepped > 0 ? 0 : idle_calls_ + 1;
  if (idle_calls_ >= kIdleCalls) stop_.Sleep(kIdlePause);
  recorder.Record(env, actions_, log_probs_, faults);
  if (!recorder.full()) return stepped;
  Recording recording = recorder.Take();
  CountEpisodes(recording, purpose);
  TANDEM_RETURN_IF_ERROR(writer_.Append(std::move(recording)));
  return stepped;
}

float ActorCore::RandomDensity() const {
  const BoxSpace& space = parts_.training->spec().action;
  float log_density = 0;
  for (size_t j = 0; j < space.low.size(); ++j) {
    log_density -= std::log(space.high[j] - space.low[j]);
  }
  return log_density;
}

void ActorCore::ActAtRandom(int64_t env) {
  const BoxSpace& space = parts_.training->spec().action;
  const size_t dim = space.low.size();
  DrawAction(space, random_actions_,
             std::span(actions_).subspan(static_cast<size_t>(env) * dim, dim));
}

void ActorCore::ActAtRandom() {
  const int64_t num_envs = parts_.training->num_envs();
  actions_.resize(static_cast<size_t>(num_envs) * parts_.training->spec().action.low.size());
  for (int64_t env = 0; env < num_envs; ++env) ActAtRandom(env);
  log_probs_.assign(static_cast<size_t>(num_envs), RandomDensity());
}

void ActorCore::MixInRandomActions() {
  const double share = knobs_.value(coadaptation::Knob::kDataCollection);
  if (share <= 0) return;
  const double uniform = std::exp(static_cast<double>(RandomDensity()));
  for (int64_t env = 0; env < parts_.training->num_envs(); ++env) {
    float& log_prob = log_probs_[static_cast<size_t>(env)];
    if (random_actions_.Uniform(0, 1) < share) {
      ActAtRandom(env);
      log_prob = 0;  // the policy's density of this action is not known
      metrics_.random_actions.Increment();
    } else {
      log_prob = static_cast<float>(
          std::log(share * uniform + (1 - share) * std::exp(static_cast<double>(log_prob))));
    }
  }
}

absl::Status ActorCore::ActByPolicy(const VectorEnvironment& env, Rng* rng) {
  const size_t num_envs = static_cast<size_t>(env.num_envs());
  actions_.resize(num_envs * env.spec().action.low.size());
  log_probs_.assign(num_envs, 0);
  // The deterministic action has no density: its log-probability is given as 0.
  const std::span<float> densities = rng == nullptr ? std::span<float>() : std::span(log_probs_);
  TANDEM_RETURN_IF_ERROR(holder_.policy().Act(env.observations(), rng, actions_, densities));
  if (!RunningRowsAreFinite(env, actions_) || !RunningRowsAreFinite(env, log_probs_)) {
    return absl::InternalError(
        absl::StrCat("policy ", holder_.version().version, " of ", holder_.updates(),
                     " updates: expected finite actions and log-probabilities"));
  }
  return absl::OkStatus();
}

void ActorCore::CountEpisodes(const Recording& recording, Purpose purpose) {
  if (recording.episodes.empty()) return;
  ActorMetrics::ForPurpose& metrics = metrics_.For(purpose);
  metrics.episodes.Increment(static_cast<double>(recording.episodes.size()));
  metrics.episode_return.Set(recording.episodes.back().episode_return);
}

}  // namespace tandem::actor
