#include "services/monitor/core/monitor.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/coadaptation/model_error.h"
#include "common/coadaptation/return_scale.h"

namespace tandem::monitor {
namespace {

constexpr absl::Duration kReadTimeout = absl::Milliseconds(500);
constexpr absl::Duration kRetryPause = absl::Milliseconds(500);
constexpr absl::Duration kComplaintInterval = absl::Seconds(5);

bool AllFinite(const ScoredStep& score) {
  return std::isfinite(score.bias.total()) && std::isfinite(score.residual);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Monitor>> Monitor::Create(const MonitorOptions& options,
                                                         const MonitorDeps& deps) {
  if (deps.replay == nullptr || deps.models == nullptr || deps.policies == nullptr ||
      deps.clock == nullptr || deps.registry == nullptr || !deps.load_model || !deps.load_policy) {
    return absl::InvalidArgumentError("monitor: a dependency is missing");
  }
  if (options.window < 1 || options.rows_per_tick < 1 || options.fresh_capacity < 1 ||
      options.heldout_rows < 1 || options.models_kept < 1 || options.policies_kept < 1 ||
      options.action_samples < 1 || options.model_samples < 1 || options.comparison.rollouts < 1 ||
      options.comparison.step_budget < 1 || !(options.comparison_share > 0) ||
      options.comparison_share > 1 || options.interval <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError("monitor: an option that must be positive is not");
  }
  return std::unique_ptr<Monitor>(new Monitor(options, deps));
}

Monitor::Monitor(const MonitorOptions& options, const MonitorDeps& deps)
    : options_(options),
      clock_(deps.clock),
      replay_(deps.replay),
      metrics_(*deps.registry),
      inbox_(options.fresh_capacity, options.heldout_rows),
      ingest_(deps.replay, &inbox_, options.fresh_capacity),
      models_(deps.models, deps.load_model, options.models_kept),
      policies_(deps.policies, deps.load_policy, options.policies_kept),
      scorer_(options.action_samples, options.model_samples, StreamSeed(options.seed, "scores")),
      comparer_(options.comparison, StreamSeed(options.seed, "rollouts")),
      window_(options.window) {
  report_.judgement = coadaptation::Judge(report_.figures, options_.thresholds);
}

Monitor::~Monitor() { Stop(); }

void Monitor::Start() {
  ingest_thread_ = std::thread([this] { FollowReplay(); });
  compute_thread_ = std::thread([this] { Compute(); });
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
  do {
    Tick();
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
  const absl::Duration begin = clock_->Monotonic();
  const std::optional<EnvironmentSpec> spec = inbox_.spec();
  if (!spec.has_value()) return;
  const EpisodeLog episodes = inbox_.Episodes();
  PollSnapshots(*spec);
  bool changed = ScoreFreshSteps();
  ScoreHeldoutSteps();
  changed |= CompareReturns(*spec, episodes);
  UpdateReport(changed, episodes);
  metrics_.tick_duration.Observe(absl::ToDoubleSeconds(clock_->Monotonic() - begin));
}

void Monitor::PollSnapshots(const EnvironmentSpec& spec) {
  const absl::StatusOr<bool> model = models_.Poll(spec);
  if (!model.ok()) metrics_.model_failures.Increment();
  Complain(model.status(), "a model snapshot was skipped");
  if (model.ok() && *model) {
    heldout_due_ = true;
    if (!warm_ && models_.refits() >= options_.thresholds.warmup_refits) {
      // The first models mislead; what they scored must not weigh on the first verdict.
      warm_ = true;
      window_.Clear();
    }
  }
  const absl::StatusOr<bool> policy = policies_.Poll(spec);
  if (!policy.ok()) metrics_.policy_failures.Increment();
  Complain(policy.status(), "a policy snapshot was skipped");
}

bool Monitor::ScoreFreshSteps() {
  const int64_t overflow = inbox_.dropped();
  metrics_.dropped_overflow.Increment(static_cast<double>(overflow - overflow_counted_));
  next_.fresh_steps_dropped += overflow - overflow_counted_;
  overflow_counted_ = overflow;
  if (models_.newest() == nullptr || policies_.newest() == nullptr) return false;

  const TransitionBatch rows = inbox_.TakeFresh(options_.rows_per_tick);
  int64_t scored = 0;
  for (int64_t begin = 0; begin < rows.size() && !stopping_;) {
    const HeldModel* model = models_.FreshFor(rows.indices[begin]);
    int64_t end = begin + 1;
    while (end < rows.size() && models_.FreshFor(rows.indices[end]) == model) ++end;
    if (model == nullptr) {
      metrics_.dropped_no_model.Increment(static_cast<double>(end - begin));
      next_.fresh_steps_dropped += end - begin;
    } else {
      TransitionBatch run;
      run.obs_dim = rows.obs_dim;
      run.action_dim = rows.action_dim;
      run.Append(rows, begin, end);
      const absl::StatusOr<int64_t> count = ScoreRows(*model, run);
      Complain(count.status(), "fresh steps were not scored");
      const int64_t done = count.ok() ? *count : 0;
      scored += done;
      next_.fresh_steps_dropped += run.size() - done;
      metrics_.dropped_nonfinite.Increment(static_cast<double>(run.size() - done));
    }
    begin = end;
  }
  metrics_.waiting.Set(static_cast<double>(inbox_.waiting()));
  metrics_.scored.Increment(static_cast<double>(scored));
  next_.fresh_steps_scored += scored;
  return scored > 0;
}

absl::StatusOr<int64_t> Monitor::ScoreRows(const HeldModel& model, const TransitionBatch& rows) {
  const policy::LoadedPolicy& policy = policies_.newest()->policy;
  std::vector<ScoredStep> scores;
  TANDEM_RETURN_IF_ERROR(
      scorer_.Score(*model.model, policy, rows, inbox_.StandardDeviations(), &scores));
  int64_t scored = 0;
  for (int64_t i = 0; i < rows.size(); ++i) {
    if (!AllFinite(scores[i])) continue;
    const double lag = std::max(0.0, static_cast<double>(policy.policy_updates) -
                                         policies_.UpdatesAt(rows.policy_versions[i]));
    metrics_.policy_lag.Observe(lag);
    window_.Add(scores[i], {.t = rows.times[i], .terminated = rows.terminated[i] != 0}, lag);
    ++scored;
  }
  return scored;
}

void Monitor::ScoreHeldoutSteps() {
  const HeldModel* model = models_.newest();
  if (!heldout_due_ || model == nullptr) return;
  const TransitionBatch rows = inbox_.Heldout(model->through_index, options_.heldout_rows);
  if (rows.size() == 0) return;
  heldout_due_ = false;
  const absl::StatusOr<double> error =
      scorer_.OneStepError(*model->model, rows, inbox_.StandardDeviations());
  Complain(error.status(), "held-out steps were not scored");
  if (error.ok()) next_.model_error_heldout = *error;
}

bool Monitor::CompareReturns(const EnvironmentSpec& spec, const EpisodeLog& episodes) {
  const RealReturns& real = episodes.newest();
  const absl::Duration begin = clock_->Monotonic();
  if (real.number == last_compared_ || models_.newest() == nullptr || begin < next_comparison_) {
    return false;
  }
  ReturnComparer::Outcome outcome = ReturnComparer::Outcome::kPolicyNotYet;
  const absl::StatusOr<std::optional<ReturnComparison>> comparison = comparer_.Compare(
      real, spec.max_episode_steps, *models_.newest(), policies_,
      [this] { return stopping_.load(); }, &outcome);
  Complain(comparison.status(), "returns were not compared");
  if (comparison.ok() && outcome == ReturnComparer::Outcome::kPolicyNotYet) return false;
  last_compared_ = real.number;
  const absl::Duration end = clock_->Monotonic();
  next_comparison_ = end + (end - begin) * (1 / options_.comparison_share - 1);
  if (!comparison.ok()) return false;
  metrics_.CountComparison(outcome);
  if (!comparison->has_value()) return false;

  coadaptation::Figures& figures = next_.figures;
  figures.model_return = (*comparison)->model_return;
  figures.real_return = (*comparison)->real_return;
  const double gap =
      coadaptation::ReturnGap(figures.model_return, figures.real_return, episodes.return_scale());
  figures.return_gap = gap;
  const bool above = warm_ && gap > options_.thresholds.tolerance;
  figures.gaps_above_tolerance = above ? figures.gaps_above_tolerance + 1 : 0;
  return true;
}

void Monitor::UpdateReport(bool changed, const EpisodeLog& episodes) {
  coadaptation::Figures& figures = next_.figures;
  figures.return_scale = episodes.return_scale();
  figures.refits = models_.refits();
  const HeldPolicy* policy = policies_.newest();
  window_.FillIndex(policy == nullptr ? coadaptation::kUnknown : policy->policy.discount,
                    figures.return_scale, &figures);
  next_.model_error_fresh = window_.Error();
  next_.model_error_ratio =
      coadaptation::ErrorRatio(next_.model_error_fresh, next_.model_error_heldout);
  next_.policy_lag_updates = window_.PolicyLag();
  next_.env_steps = inbox_.env_steps();
  if (const HeldModel* model = models_.newest()) {
    next_.model_version = model->version.version;
    next_.model_age_env_steps =
        static_cast<double>(std::max<int64_t>(0, next_.env_steps - model->env_steps));
  }
  if (policy != nullptr) next_.policy_version = policy->version.version;
  next_.training_return = episodes.training_return();
  next_.evaluation_return = episodes.evaluation_return();
  {
    MutexLock lock(mu_);
    report_ = next_;
    if (changed) {
      computed_ = true;
      computed_at_ = clock_->Monotonic();
    }
  }
  if (changed) metrics_.last_update.Set(absl::ToDoubleSeconds(clock_->Now() - absl::UnixEpoch()));
  metrics_.Show(GetReport());
}

Report Monitor::GetReport() {
  Report report;
  {
    MutexLock lock(mu_);
    report = report_;
    if (computed_) {
      report.figures.age_seconds = absl::ToDoubleSeconds(clock_->Monotonic() - computed_at_);
    }
  }
  report.judgement = coadaptation::Judge(report.figures, options_.thresholds);
  return report;
}

}  // namespace tandem::monitor
