#include "services/monitor/core/judge.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/coadaptation/sentence.h"
#include "services/monitor/core/override_token.h"

namespace tandem::monitor {
namespace {

using coadaptation::Action;
using coadaptation::Checkpoint;
using coadaptation::Judgement;
using coadaptation::Knob;
using coadaptation::Verdict;

/// What came back and what begins anew; same: the evidence was gathered against these thresholds.
std::string DescribeRestart(int64_t checkpoints, const absl::StatusOr<JudgeState>& state, bool same,
                            const History& history) {
  std::string text =
      absl::StrCat("The monitor is back: ", checkpoints, " judged checkpoints were read; ");
  if (!state.ok()) {
    absl::StrAppend(&text, "the evidence and the controller begin anew (", state.status().message(),
                    ")");
  } else if (!same) {
    text +=
        "the controller came back, the evidence begins anew, for its thresholds are others or not "
        "known";
  } else {
    text += "the evidence and the controller came back";
  }
  text += state.ok() && state->returns.has_value()
              ? "; so did the return scale"
              : "; the return scale is made anew from the episodes that are still held";
  text +=
      "; the spread of outputs is measured anew from the newest steps, and models and policies "
      "before the newest are not held any more";
  if (history.skipped() > 0) {
    absl::StrAppend(&text, "; ", history.skipped(), " lines that make no sense were passed over");
  }
  if (history.torn_bytes() > 0) text += "; a torn last line was cut off";
  return text + ".";
}

}  // namespace

absl::StatusOr<std::unique_ptr<Judge>> Judge::Create(const JudgeOptions& options, Clock* clock,
                                                     metrics::Registry* registry) {
  TANDEM_ASSIGN_OR_RETURN(std::string token, ReadToken(options.token_file));
  TANDEM_ASSIGN_OR_RETURN(std::unique_ptr<History> history, History::Open(options.history_path));
  std::unique_ptr<Judge> judge(
      new Judge(options, std::move(token), std::move(history), clock, registry));
  judge->ReadBack();
  return judge;
}

Judge::Judge(const JudgeOptions& options, std::string token, std::unique_ptr<History> history,
             Clock* clock, metrics::Registry* registry)
    : options_(options),
      token_(std::move(token)),
      history_(std::move(history)),
      clock_(clock),
      made_at_(clock->Now()),
      made_at_monotonic_(clock->Monotonic()),
      metrics_(*registry),
      desk_(options.desk, clock, registry),
      process_(options.thresholds),
      controller_(options.controller) {
  MutexLock lock(mu_);
  report_.judgement.sentence = coadaptation::DescribeWarmUp(0, options_.thresholds);
  report_.evidence_threshold_log10 = std::log10(options_.thresholds.false_alarm_interval);
  report_.ttl_seconds = absl::ToDoubleSeconds(options_.desk.ttl);
}

Judge::~Judge() { Stop(); }

void Judge::Start() {
  thread_ = std::thread([this] {
    for (;;) {
      Beat();
      MutexLock lock(mu_);
      if (stopping_) return;
      const auto next = std::chrono::steady_clock::now() + std::chrono::milliseconds(500);
      while (!stopping_ && wake_.WaitUntil(mu_, next)) {
      }
      if (stopping_) return;
    }
  });
}

void Judge::Stop() {
  {
    MutexLock lock(mu_);
    stopping_ = true;
    wake_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

void Judge::Beat() {
  const std::vector<Overdue> overdue = desk_.Tick();
  MutexLock lock(mu_);
  for (const Overdue& late : overdue) {
    const std::string who =
        late.member.empty() ? absl::StrCat("any ", ReceiverName(late.receiver), ": none watches")
                            : absl::StrCat(ReceiverName(late.receiver), " ", late.member);
    HistoryEvent event;
    event.kind = "unacknowledged";
    event.text = absl::StrFormat("Directive %d is not acknowledged by %s, since %.0f s.",
                                 late.version, who, late.seconds);
    Record(std::move(event));
  }
  ShowVerdict();
}

void Judge::OnCheckpoint(const Checkpoint& given, const std::optional<ReturnMemory>& returns) {
  MutexLock lock(mu_);
  Checkpoint checkpoint = given;
  const auto last = static_cast<double>(report_.checkpoints);
  if (!(checkpoint.number > last)) checkpoint.number = last + 1;
  if (std::isnan(checkpoint.wall_seconds)) checkpoint.wall_seconds = UnixSeconds();
  const Judgement judgement = process_.Judge(checkpoint);
  const absl::Duration now = clock_->Monotonic();
  // The time that it was away for is none between two checkpoints.
  if (judged_) interval_ = absl::ToDoubleSeconds(now - judged_at_);
  judged_ = true;
  judged_at_ = now;
  returns_ = returns;
  report_.age_seconds = 0;
  report_.checkpoints = static_cast<int64_t>(checkpoint.number);
  Complain(history_->Append(HistoryCheckpoint{checkpoint, judgement}));
  report_.checkpoint = checkpoint;
  report_.judgement = judgement;
  ShowJudgement();
  FollowAlarm(judgement);
  if (options_.control) Control(checkpoint, judgement);
  Settle();
}

void Judge::ShowJudgement() {
  Judgement judgement = report_.judgement;
  if (std::isnan(judgement.level)) judgement.level = process_.level();  // before the first
  report_.evidence_log10 = coadaptation::EvidenceLog10(judgement.evidence);
  report_.evidence_threshold_log10 = std::log10(judgement.level);
  metrics_.ShowJudgement(judgement, ClippedShare());
}

void Judge::FollowAlarm(const Judgement& judgement) {
  if (judgement.verdict == Verdict::kExploiting) {
    quiet_ = 0;
    if (alarm_) return;
    alarm_ = true;
    metrics_.alarms.Increment();
    HistoryEvent event;
    event.kind = "alarm";
    event.text = judgement.sentence;
    Record(std::move(event));
    return;
  }
  if (!alarm_ || std::isnan(judgement.largest)) return;
  quiet_ = judgement.largest <= options_.thresholds.tolerance ? quiet_ + 1 : 0;
  if (quiet_ < options_.thresholds.clear_after) return;
  alarm_ = false;
  quiet_ = 0;
  process_.Reset(/*repeated=*/false);
  HistoryEvent event;
  event.kind = "all_clear";
  event.text = absl::StrFormat(
      "All clear: no signal was above the tolerance on %d models in a row. The evidence begins "
      "anew.",
      options_.thresholds.clear_after);
  Record(std::move(event));
}

void Judge::Control(const Checkpoint& checkpoint, const Judgement& judgement) {
  const std::vector<Action> actions = controller_.Decide(checkpoint, judgement, SteadySeconds());
  const bool act = options_.controller.act;
  for (const Action& action : actions) {
    HistoryEvent event;
    event.kind = !act ? "advice" : action.knob == Knob::kRollback ? "rollback" : "action";
    event.text = absl::StrFormat("%s %s %g to %g: %s", act ? "Turned" : "Would turn",
                                 KnobName(action.knob), action.before, action.after, action.reason);
    event.knob = action.knob;
    event.before = action.before;
    event.after = action.after;
    Record(std::move(event));
    if (!act) continue;
    metrics_.CountAction(action);
    // What comes now comes under other settings: the evidence so far tells nothing about it.
    const bool answered = judgement.verdict == Verdict::kExploiting && action.against;
    if (answered || judgement.verdict == Verdict::kPessimistic) {
      process_.Reset(/*repeated=*/answered);
    }
  }
}

void Judge::Settle() {
  metrics_.directive_version.Set(static_cast<double>(desk_.Publish(controller_.settings())));
  report_.directive = desk_.current();
  report_.controller_state = StateName();
  report_.advice = controller_.note();
  JudgeState state;
  state.tolerance = options_.thresholds.tolerance;
  state.bound = options_.thresholds.bound;
  state.warning = options_.thresholds.warning;
  state.checkpoints = report_.checkpoints;
  state.alarm = alarm_;
  state.quiet = quiet_;
  state.level = report_.judgement.level;
  state.interval = interval_;
  state.note = report_.advice;
  state.act = options_.controller.act;
  state.returns = returns_;
  state.verdict = process_.memory();
  state.controller = controller_.memory();
  state.directive = report_.directive;
  Complain(history_->AppendState(ToJson(state)));
  metrics_.checkpoints.Set(static_cast<double>(report_.checkpoints));
  metrics_.ShowController(controller_, report_.controller_state);
  ShowVerdict();
}

void Judge::ReadBack() {
  MutexLock lock(mu_);
  const HistoryPage page = history_->Read(0, 0, History::kKept);
  for (const HistoryCheckpoint& entry : page.checkpoints) process_.LearnHealthy(entry.checkpoint);
  const absl::StatusOr<JudgeState> state = JudgeStateFrom(history_->state());
  // A start that came to nothing leaves an empty state behind: there is nothing to come back to.
  const bool nothing = page.next_checkpoint == 0 && page.next_event == 0 &&
                       (history_->state().empty() || state.ok());
  if (!nothing) {
    const bool same = state.ok() && state->tolerance == options_.thresholds.tolerance &&
                      state->bound == options_.thresholds.bound &&
                      state->warning == options_.thresholds.warning;
    report_.checkpoints = page.next_checkpoint;
    if (state.ok()) TakeOver(*state);
    if (same) process_.Restore(state->verdict);
    report_.evidence_threshold_log10 = std::log10(process_.level());
    if (!page.checkpoints.empty()) ShowAgain(page.checkpoints.back(), same ? &*state : nullptr);
    HistoryEvent event;
    event.kind = "restart";
    event.text = DescribeRestart(page.next_checkpoint, state, same, *history_);
    Record(std::move(event));
  }
  Settle();
}

void Judge::TakeOver(const JudgeState& state) {
  report_.checkpoints = state.checkpoints;
  alarm_ = state.alarm;
  quiet_ = state.quiet;
  desk_.Restore(state.directive);
  interval_ = state.interval;
  returns_ = state.returns;
  const bool same_mode = options_.control && options_.controller.act == state.act;
  controller_.Restore(state.controller, same_mode ? state.note : "");
  // What the run no longer allows goes back to the recipe.
  const bool acts = options_.control && options_.controller.act;
  for (const auto& [knob, setting] : state.controller.settings) {
    const bool held = state.controller.held.count(knob) > 0;
    if (held ? token_.empty() : !acts) controller_.Override(knob, std::nullopt, "");
  }
}

void Judge::ShowAgain(const HistoryCheckpoint& newest, const JudgeState* state) {
  report_.checkpoint = newest.checkpoint;
  Judgement& judgement = report_.judgement;
  if (state != nullptr && !std::isnan(state->level)) {
    judgement = newest.judgement;
    judgement.level = state->level;
  } else if (newest.checkpoint.number > static_cast<double>(options_.thresholds.warmup_refits)) {
    judgement.verdict = Verdict::kVoid;
    judgement.sentence =
        "No verdict: the monitor was restarted and its evidence begins anew; the next model has "
        "one.";
  } else {
    judgement.sentence =
        coadaptation::DescribeWarmUp(newest.checkpoint.number, options_.thresholds);
  }
  // Only the wall clock goes on over a restart; one that was set back makes nothing newer.
  const double age = std::fmax(0, UnixSeconds() - newest.checkpoint.wall_seconds);
  judged_at_ = clock_->Monotonic() - absl::Seconds(age);
  report_.age_seconds = 0;
  ShowJudgement();
}

std::optional<ReturnMemory> Judge::returns() {
  MutexLock lock(mu_);
  return returns_;
}

void Judge::OnEvaluation(const HistoryEvaluation& evaluation) {
  Complain(history_->Append(evaluation));
}

JudgeReport Judge::Report() {
  MutexLock lock(mu_);
  JudgeReport report = report_;
  report.age_seconds = Age();
  if (report.age_seconds >= 0 &&
      coadaptation::IsStale(report.age_seconds, interval_, options_.thresholds)) {
    report.judgement.verdict = Verdict::kStale;
    report.judgement.sentence =
        absl::StrFormat("The newest model was judged %.0f s ago, too long to rely on. Then: %s",
                        report.age_seconds, report_.judgement.sentence);
  }
  return report;
}

void Judge::Record(HistoryEvent event) {
  event.wall_seconds = UnixSeconds();
  event.env_steps = report_.checkpoint.env_steps;
  LogInfo(absl::StrCat(event.kind, ": ", event.text));
  Complain(history_->Append(event));
}

void Judge::Complain(const absl::Status& written) {
  const bool failed = !written.ok();
  if (failed) metrics_.history_failures.Increment();
  if (failed == history_fails_.exchange(failed)) return;
  LogWarning(failed ? absl::StrCat("history: ", written.ToString())
                    : std::string("history: lines can be written again"));
}

void Judge::ShowVerdict() {
  const double age = Age();
  const bool stale = age >= 0 && coadaptation::IsStale(age, interval_, options_.thresholds);
  metrics_.ShowVerdict(stale ? Verdict::kStale : report_.judgement.verdict);
}

double Judge::UnixSeconds() const { return absl::ToUnixMicros(clock_->Now()) * 1e-6; }

double Judge::SteadySeconds() const {
  return absl::ToUnixMicros(made_at_ + (clock_->Monotonic() - made_at_monotonic_)) * 1e-6;
}

double Judge::Age() const {
  if (report_.age_seconds < 0) return -1;
  return absl::ToDoubleSeconds(clock_->Monotonic() - judged_at_);
}

double Judge::ClippedShare() const {
  int64_t updates = 0;
  int64_t clipped = 0;
  for (const coadaptation::Evidence::Memory& memory : process_.memory().signals) {
    updates += memory.updates;
    clipped += memory.clipped;
  }
  return updates > 0 ? static_cast<double>(clipped) / static_cast<double>(updates)
                     : coadaptation::kUnknown;
}

std::string Judge::StateName() const {
  return options_.control ? ControllerStateName(controller_.state()) : "off";
}

}  // namespace tandem::monitor
