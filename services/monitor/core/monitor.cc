#include "services/monitor/core/monitor.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/coadaptation/mean_error.h"
#include "common/coadaptation/return_scale.h"
#include "services/monitor/core/gap_survey.h"
#include "services/monitor/core/rows.h"

namespace tandem::monitor {
namespace {

constexpr absl::Duration kReadTimeout = absl::Milliseconds(500);
constexpr absl::Duration kRetryPause = absl::Milliseconds(500);
constexpr absl::Duration kComplaintInterval = absl::Seconds(5);

}  // namespace

absl::StatusOr<std::unique_ptr<Monitor>> Monitor::Create(const MonitorOptions& options,
                                                         const MonitorDeps& deps) {
  if (deps.replay == nullptr || deps.models == nullptr || deps.policies == nullptr ||
      deps.clock == nullptr || deps.registry == nullptr || deps.judge == nullptr ||
      !deps.load_model || !deps.load_policy) {
    return absl::InvalidArgumentError("monitor: a dependency is missing");
  }
  const SurveyOptions& survey = options.survey;
  if (options.least_steps < 1 || options.window < options.least_steps ||
      options.capacity < options.window || options.seen_rows < 1 || options.models_kept < 1 ||
      options.policies_kept < 1 || !(options.max_policy_lag >= 0) || survey.max_rows < 1 ||
      survey.action_samples < 1 || survey.model_samples < 1 || survey.rollouts < 1 ||
      survey.model_steps < 1 || survey.imagined_rows < 1 || survey.kernel_rows < 2 ||
      !(survey.bias_bound > 0) || options.evaluation_model_steps < 1 ||
      options.interval <= absl::ZeroDuration() || options.heartbeat <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError("monitor: an option that must be positive is not");
  }
  return std::unique_ptr<Monitor>(new Monitor(options, deps));
}

Monitor::Monitor(const MonitorOptions& options, const MonitorDeps& deps)
    : options_(options),
      clock_(deps.clock),
      replay_(deps.replay),
      judge_(deps.judge),
      metrics_(*deps.registry),
      inbox_(options.capacity, options.seen_rows),
      ingest_(deps.replay, &inbox_, options.capacity),
      models_(deps.models, deps.load_model, options.models_kept),
      policies_(deps.policies, deps.load_policy, options.policies_kept, options.policy_spacing,
                options.policy_stride),
      open_(options.least_steps, options.window, options.capacity),
      surveyor_(options.survey, StreamSeed(options.seed, "survey")) {
  TakeOver();
}

Monitor::~Monitor() { Stop(); }

void Monitor::Start() {
  ingest_thread_ = std::thread([this] { FollowReplay(); });
  compute_thread_ = std::thread([this] { Compute(); });
}

void Monitor::TakeOver() {
  if (const std::optional<ReturnMemory> returns = judge_->returns()) {
    inbox_.RestoreReturns(*returns);
  }
  const HistoryPage past = judge_->ReadHistory(0, 0, History::kKept);
  for (const HistoryCheckpoint& entry : past.checkpoints) surveyor_.Remember(entry.checkpoint);
  if (past.checkpoints.empty()) return;
  const coadaptation::Checkpoint& newest = past.checkpoints.back().checkpoint;
  evaluation_gap_ = newest.gap_evaluation;
  metrics_.Show(newest);
  metrics_.last_update.Set(newest.wall_seconds);
}

void Monitor::Stop() {
  if (!stopping_.exchange(true)) {
    replay_->Stop();
    MutexLock lock(mu_);
    wake_.NotifyAll();
  }
  if (ingest_thread_.joinable()) ingest_thread_.join();
  if (compute_thread_.joinable()) compute_thread_.join();
}

bool Monitor::Pause(absl::Duration duration) {
  const auto until = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(duration);
  MutexLock lock(mu_);
  while (!stopping_ && std::chrono::steady_clock::now() < until) wake_.WaitUntil(mu_, until);
  return !stopping_;
}

void Monitor::FollowReplay() {
  absl::Duration failing_since = absl::ZeroDuration();
  absl::Duration next_complaint = absl::ZeroDuration();
  bool failing = false;
  while (!stopping_) {
    const absl::Status status = ReadChunk(kReadTimeout);
    if (status.ok()) {
      failing = false;
      continue;
    }
    const absl::Duration now = clock_->Monotonic();
    if (!failing) {
      failing = true;
      failing_since = now;
      next_complaint = now;
    }
    if (now >= next_complaint && !stopping_) {
      LogWarning(absl::StrCat("waiting for replay_buffer at ", options_.replay_address, ", ",
                              absl::ToInt64Seconds(now - failing_since), " s: ", status.message()));
      next_complaint = now + kComplaintInterval;
    }
    if (!Pause(kRetryPause)) return;
  }
}

void Monitor::Compute() {
  if (options_.paced) FollowPace();
  do {
    Tick();
    TellPace(absl::ZeroDuration()).IgnoreError();
  } while (Pause(options_.interval));
}

void Monitor::Complain(const absl::Status& status, const char* what) {
  if (status.ok() || absl::IsCancelled(status)) return;
  const std::string text = absl::StrCat(what, ": ", status.message());
  if (text == last_complaint_) return;
  last_complaint_ = text;
  LogWarning(text);
}

void Monitor::Tick() {
  const std::optional<EnvironmentSpec> spec = inbox_.spec();
  if (!spec.has_value()) return;
  const bool model_came = PollModels(*spec);
  TakeEvaluations();
  // Loading a policy costs as much as scoring many steps: only as often as it tells something.
  const int64_t grown = std::abs(open_.size() - polled_at_);
  if (model_came || policies_.newest() == nullptr || !evaluations_.empty() ||
      grown >= options_.policy_poll_steps) {
    PollPolicies(*spec);
    polled_at_ = open_.size();
  }
  // Before the steps: all below it are among them then.
  const int64_t read_index = inbox_.read_index();
  TakeSteps();
  if (models_.newest() != nullptr && policies_.newest() != nullptr) {
    CountDropped(metrics_.dropped_no_model,
                 open_.Follow(*models_.newest(), *policies_.newest(), read_index));
  }
  if (open_.begun()) {
    const HeldModel& newest = *models_.newest();
    const std::optional<int64_t> end = open_.EndsAt(newest, read_index);
    if (end.has_value()) {
      CloseCheckpoint(*spec, *end,
                      *end == newest.through_index ? newest.env_steps : inbox_.env_steps());
    }
  }
  CompareEvaluations(*spec);
  UpdateReport();
}

bool Monitor::PollModels(const EnvironmentSpec& spec) {
  const absl::StatusOr<bool> polled = models_.Poll(spec);
  if (!polled.ok()) metrics_.model_failures.Increment();
  Complain(polled.status(), "a model snapshot was skipped");
  return polled.ok() && *polled;
}

void Monitor::PollPolicies(const EnvironmentSpec& spec) {
  const absl::StatusOr<bool> polled = policies_.Poll(spec);
  if (!polled.ok()) metrics_.policy_failures.Increment();
  Complain(polled.status(), "a policy snapshot was skipped");
}

void Monitor::CountDropped(metrics::Counter& counter, int64_t steps) {
  counter.Increment(static_cast<double>(steps));
  next_.fresh_steps_dropped += steps;
}

void Monitor::TakeSteps() {
  const int64_t overflow = inbox_.dropped();
  const int64_t nonfinite = inbox_.nonfinite();
  CountDropped(metrics_.dropped_overflow, overflow - overflow_counted_);
  CountDropped(metrics_.dropped_nonfinite, nonfinite - nonfinite_counted_);
  overflow_counted_ = overflow;
  nonfinite_counted_ = nonfinite;
  CountDropped(metrics_.dropped_no_model, open_.Add(inbox_.TakeFresh()));
  metrics_.waiting.Set(static_cast<double>(open_.size()));
}

TransitionBatch Monitor::DropOldPolicies(const TransitionBatch& rows, const HeldPolicy& newest) {
  TransitionBatch kept = EmptyLike(rows);
  for (int64_t i = 0; i < rows.size(); ++i) {
    const double lag = policies_.LagBehind(newest, rows.policy_versions[i]);
    if (!std::isnan(lag)) metrics_.policy_lag.Observe(lag);
    if (lag <= options_.max_policy_lag) kept.Append(rows, i, i + 1);
  }
  CountDropped(metrics_.dropped_old_policy, rows.size() - kept.size());
  return kept;
}

Material Monitor::Gather(const EnvironmentSpec& spec, int64_t through_index, int64_t env_steps) {
  Material material;
  material.model = open_.model();
  material.at_fit = open_.at_fit();
  material.policy = *policies_.TrainedIn(material.model.version.version);
  material.policies = &policies_;
  material.fresh = ByEpisode(DropOldPolicies(
      open_.Close(through_index, *models_.newest(), *policies_.newest()), material.policy));
  material.heldout = inbox_.Heldout(material.model.through_index);
  material.train = inbox_.Train(material.model.through_index);
  material.world = inbox_.World();
  std::vector<double> lengths;
  for (Episode& episode : inbox_.TakeTrainingEpisodes(env_steps)) {
    if (episode.env_steps <= material.model.env_steps) continue;  // ended before the model came
    lengths.push_back(static_cast<double>(episode.length));
    material.episodes.push_back(std::move(episode));
  }
  if (!lengths.empty()) episode_length_ = coadaptation::MeanAndError(lengths).mean;
  // An episode that goes on is at least as long as it is now.
  double longest = lengths.empty() ? episode_length_ : coadaptation::Checkpoint::kNaN;
  for (const int64_t t : material.fresh.times) longest = std::fmax(longest, t + 1.0);
  material.episode_length = lengths.empty() ? longest : episode_length_;
  material.max_episode_steps = spec.max_episode_steps;
  material.cancelled = [this] { return !GoesOn(); };
  return material;
}

void Monitor::CloseCheckpoint(const EnvironmentSpec& spec, int64_t through_index,
                              int64_t env_steps) {
  const absl::Duration begin = clock_->Monotonic();
  const Material material = Gather(spec, through_index, env_steps);
  BiasCounts counts;
  coadaptation::Checkpoint checkpoint = surveyor_.Survey(
      material, env_steps,
      [this](const absl::Status& status, const char* what) { Complain(status, what); }, &counts);
  if (stopping_) return;
  checkpoint.gap_evaluation = evaluation_gap_;
  checkpoint.wall_seconds = absl::ToDoubleSeconds(clock_->Now() - absl::UnixEpoch());
  next_.fresh_steps_scored += counts.scored;
  metrics_.scored.Increment(static_cast<double>(counts.scored));
  metrics_.clipped.Increment(static_cast<double>(counts.clipped));
  CountDropped(metrics_.dropped_nonfinite, counts.nonfinite);
  metrics_.Show(checkpoint);
  metrics_.last_update.Set(checkpoint.wall_seconds);
  metrics_.survey_duration.Observe(absl::ToDoubleSeconds(clock_->Monotonic() - begin));
  judge_->OnCheckpoint(checkpoint, inbox_.Returns());
  judged_through_index_ = through_index;
}

void Monitor::TakeEvaluations() {
  for (Evaluation& evaluation : inbox_.TakeEvaluations()) {
    evaluations_.push_back(std::move(evaluation));
    if (evaluations_.size() > EpisodeLog::kMostEvaluations) evaluations_.pop_front();
  }
}

void Monitor::CompareEvaluations(const EnvironmentSpec& spec) {
  while (!evaluations_.empty() && CompareEvaluation(spec, evaluations_.front())) {
    evaluations_.pop_front();
  }
}

bool Monitor::CompareEvaluation(const EnvironmentSpec& spec, const Evaluation& evaluation) {
  const int64_t env_steps = evaluation.back().env_steps;
  const HeldModel* model = models_.NewestBefore(env_steps);
  // Models come in order: where one was made since, an older one will not come any more.
  if (model == nullptr) return models_.newest() != nullptr;
  SurveyOptions options = options_.survey;
  options.model_steps = options_.evaluation_model_steps;
  Rng rng(options_.seed, absl::StrCat("evaluation ", env_steps));
  PairOutcome outcome = PairOutcome::kPolicyNotYet;
  const absl::StatusOr<PairedReturns> paired = PairReturns(
      *model, policies_, evaluation, spec.max_episode_steps, options, rng,
      [this] { return !GoesOn(); }, &outcome);
  Complain(paired.status(), "an evaluation was not compared");
  if (!paired.ok()) return true;
  if (outcome == PairOutcome::kPolicyNotYet) return false;
  metrics_.CountComparison(outcome);
  if (outcome != PairOutcome::kCompared) return true;
  HistoryEvaluation line;
  line.env_steps = static_cast<double>(env_steps);
  line.policy_updates = static_cast<double>(evaluation.back().policy_updates);
  line.model_env_steps = static_cast<double>(model->env_steps);
  line.model_return = coadaptation::MeanAndError(paired->model).mean;
  line.real_return = coadaptation::MeanAndError(paired->real).mean;
  line.return_scale = inbox_.World().return_scale;
  line.gap = coadaptation::ReturnGap(line.model_return, line.real_return, line.return_scale);
  line.episodes = static_cast<double>(paired->real.size());
  evaluation_gap_ = line.gap;
  judge_->OnEvaluation(line);
  return true;
}

void Monitor::UpdateReport() {
  next_.env_steps = inbox_.env_steps();
  if (const HeldModel* model = models_.newest()) {
    next_.model_version = model->version.version;
    next_.model_age_env_steps =
        static_cast<double>(std::max<int64_t>(0, next_.env_steps - model->env_steps));
  }
  if (policies_.newest() != nullptr) next_.policy_version = policies_.newest()->version.version;
  const WorldFigures world = inbox_.World();
  next_.training_return = world.training_return;
  next_.evaluation_return = world.evaluation_return;
  MutexLock lock(mu_);
  report_ = next_;
}

Report Monitor::GetReport() {
  MutexLock lock(mu_);
  return report_;
}

}  // namespace tandem::monitor
