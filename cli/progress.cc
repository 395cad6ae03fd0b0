#include "cli/progress.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "cli/run_folder.h"
#include "cli/troubles.h"
#include "common/base/utf8.h"

namespace tandem::cli {
namespace {

using Json = nlohmann::json;

constexpr absl::Duration kRateWindow = absl::Seconds(20);
constexpr size_t kLineWidth = 120;
/// So many records without a step in between stand still.
constexpr size_t kStillSamples = 3;
/// The speed of the training is known after so long.
constexpr absl::Duration kEtaAfter = absl::Seconds(5);

/// A number with so many significant digits, or "-" where there is none.
std::string Figure(const Json& record, const char* name, int digits = 3) {
  const double value = NumberIn(record, name);
  return std::isfinite(value) ? absl::StrFormat("%.*g", digits, value) : "-";
}

/// Fixed digits for values that are read against each other.
std::string Fixed(const Json& record, const char* name, int decimals, bool sign = false) {
  const double value = NumberIn(record, name);
  if (!std::isfinite(value)) return "-";
  return sign ? absl::StrFormat("%+.*f", decimals, value)
              : absl::StrFormat("%.*f", decimals, value);
}

/// A return, for people: three significant digits, and no exponent below a million.
std::string Return(const Json& record, const char* name) {
  const std::string short_one = Figure(record, name);
  if (short_one.find("e+0") == std::string::npos) return short_one;
  const std::string whole = Fixed(record, name, 0);
  return whole.size() <= 7 ? whole : short_one;
}

/// "  return 105 (eval 950)", or "  eval return 950" where only that is known.
std::string WithReference(const std::string& what, const std::string& value,
                          const std::string& reference, const std::string& reference_value) {
  if (value == "-" && reference_value == "-") return "";
  if (value == "-") return absl::StrCat("  ", reference, " ", what, " ", reference_value);
  if (reference_value == "-") return absl::StrCat("  ", what, " ", value);
  return absl::StrCat("  ", what, " ", value, " (", reference, " ", reference_value, ")");
}

void AddReplayFigures(const ReplayStatus& status, Json* record) {
  Json& r = *record;
  r["env_steps"] = status.env_steps;
  r["end_index"] = status.end_index;
  r["train_steps"] = status.train_steps;
  r["holdout_steps"] = status.holdout_steps;
  r["episodes"] = status.episodes;
  r["policy_updates"] = status.policy_updates;
  r["model_through_index"] = status.model_through_index;
  r["waiting_for"] = status.waiting_for;
  r["evaluations"] = status.evaluations.size();
  r["evaluation_return"] =
      status.evaluations.empty() ? Json() : Json(status.evaluations.back().mean_return);
  r["stopped"] = status.stopped;
  r["stop_reason"] = status.stop_reason;
}

void AddMonitorFigures(const monitor::v1::GetReportResponse& report, Json* record) {
  Json& r = *record;
  r["verdict"] = VerdictName(report.verdict());
  r["verdict_sentence"] = report.sentence();
  r["index"] = report.index();
  r["index_reward"] = report.index_reward();
  r["index_dynamics"] = report.index_dynamics();
  r["index_termination"] = report.index_termination();
  r["residual"] = report.residual();
  r["model_return"] = report.model_return();
  r["real_return"] = report.real_return();
  r["return_gap"] = report.return_gap();
  r["return_scale"] = report.return_scale();
  r["model_error_ratio"] = report.model_error_ratio();
  r["model_error_fresh"] = report.model_error_fresh();
  r["model_error_heldout"] = report.model_error_heldout();
  r["fresh_steps_scored"] = report.fresh_steps_scored();
  r["fresh_steps_dropped"] = report.fresh_steps_dropped();
  r["model_version"] = report.model_version();
  r["policy_version"] = report.policy_version();
  r["model_age_env_steps"] = report.model_age_env_steps();
  r["policy_lag_updates"] = report.policy_lag_updates();
  r["monitor_age_seconds"] = report.age_seconds();
  r["training_return"] = report.training_return();
  r["signal"] = report.signal();
  r["evidence_log10"] = report.evidence_log10();
  r["evidence_threshold_log10"] = report.evidence_threshold_log10();
  r["controller_state"] = report.controller_state();
  r["advice"] = report.advice();
  r["checkpoints"] = report.checkpoints();
}

}  // namespace

Json Progress::Record(const RunFigures& figures, absl::Duration elapsed, int restarts) {
  Json record = {{"kind", "progress"},
                 {"time", TimeText()},
                 {"elapsed_seconds", absl::ToDoubleSeconds(elapsed)},
                 {"max_env_steps", max_env_steps_},
                 {"restarts", restarts},
                 {"stands_still", false},
                 {"troubles", figures.troubles}};
  for (const char* name : {"steps_per_second", "updates_per_second", "eta_seconds"}) {
    record[name] = nullptr;
  }
  AddMonitorFigures(figures.monitor.value_or(monitor::v1::GetReportResponse()), &record);
  if (!figures.monitor.has_value()) {
    for (auto& [name, value] : record.items()) {
      if (value.is_number() && name != "elapsed_seconds" && name != "max_env_steps" &&
          name != "restarts") {
        value = nullptr;
      }
    }
  }
  AddReplayFigures(figures.replay.value_or(ReplayStatus()), &record);
  if (!figures.replay.has_value()) return record;

  samples_.push_back({elapsed, figures.replay->env_steps, figures.replay->policy_updates});
  if (!training_since_.has_value() && figures.replay->policy_updates > 0) {
    training_since_ = samples_.back();
    samples_ = {samples_.back()};
  }
  while (samples_.size() > 2 && samples_.front().at < elapsed - kRateWindow) samples_.pop_front();
  AddRates(&record);
  return record;
}

void Progress::AddRates(Json* record) {
  Json& r = *record;
  const Sample &first = samples_.front(), &last = samples_.back();
  r["stands_still"] = samples_.size() >= kStillSamples &&
                      samples_[samples_.size() - kStillSamples].env_steps == last.env_steps;
  if (const double seconds = absl::ToDoubleSeconds(last.at - first.at); seconds > 0.5) {
    r["steps_per_second"] = static_cast<double>(last.env_steps - first.env_steps) / seconds;
    r["updates_per_second"] =
        static_cast<double>(std::max<int64_t>(0, last.policy_updates - first.policy_updates)) /
        seconds;
  }
  if (!training_since_.has_value() || last.at - training_since_->at < kEtaAfter) return;
  const int64_t taken = last.env_steps - training_since_->env_steps;
  if (taken <= 0) return;
  r["eta_seconds"] = absl::ToDoubleSeconds(last.at - training_since_->at) /
                     static_cast<double>(taken) *
                     static_cast<double>(std::max<int64_t>(0, max_env_steps_ - last.env_steps));
}

namespace {

/// Whether the actors have taken the steps of the warm-up and wait while the first model is fitted.
bool FitsFirstModel(const Json& record) {
  const Json& waiting = record["waiting_for"];
  return record["policy_updates"] == 0 && record["model_through_index"] == 0 &&
         record["env_steps"] > 0 && waiting.contains("actor") && !waiting.contains("model_trainer");
}

/// Whether there is a model and no policy of it: the speed of the warm-up is past.
bool AwaitsFirstPolicy(const Json& record) {
  return record["policy_updates"] == 0 && record["model_through_index"] > 0;
}

/// "actor-0: environment 0 failed: no motor", of the first actor in trouble where no step is taken;
/// else "".
std::string WhyItStandsStill(const Json& record) {
  if (!record.value("stands_still", false)) return "";
  for (const auto& [member, trouble] : record["troubles"].items()) {
    if (!absl::StartsWith(member, "actor")) continue;
    return absl::StrCat(member, ": ", trouble.get<std::string>());
  }
  return "";
}

/// "index +0.03 healthy"; where the verdict rests on something else, or the index is not known,
/// "verdict warning (gap_100)".
std::string VerdictPart(const Json& record) {
  const std::string name = record["verdict"];
  const std::string verdict = absl::StrReplaceAll(name, {{"_", " "}});
  const std::string signal = record["signal"];
  const bool rests_on_something =
      name == "warning" || name == "exploiting" || name == "pessimistic";
  const bool on_index = signal == "bias" || (signal.empty() && !rests_on_something);
  if (on_index && std::isfinite(NumberIn(record, "index"))) {
    return absl::StrCat("index ", Fixed(record, "index", 2, true), " ", verdict);
  }
  return absl::StrCat("verdict ", verdict, signal.empty() ? "" : absl::StrCat(" (", signal, ")"));
}

}  // namespace

std::string ProgressLine(const Json& record) {
  const auto known = [&record](const char* name) { return Figure(record, name) != "-"; };
  std::string line = absl::StrCat("step ", record["env_steps"].get<int64_t>(), "/",
                                  record["max_env_steps"].get<int64_t>());
  const std::string why = WhyItStandsStill(record);
  if (!why.empty()) {
    absl::StrAppend(&line, " stands still  ", why);
    return CutText(line, kLineWidth);
  }
  if (FitsFirstModel(record)) {
    absl::StrAppend(&line, "  fitting the first model");
  } else if (known("steps_per_second") && !AwaitsFirstPolicy(record)) {
    absl::StrAppend(&line, " at ", Fixed(record, "steps_per_second", 1), "/s");
  }
  const std::string training = Return(record, "training_return");
  const std::string evaluation = Return(record, "evaluation_return");
  absl::StrAppend(&line, WithReference("return", training, "eval", evaluation));
  absl::StrAppend(&line, WithReference("model error", Figure(record, "model_error_fresh", 2),
                                       "held-out", Figure(record, "model_error_heldout", 2)));
  absl::StrAppend(&line, "  ", VerdictPart(record));
  if (known("eta_seconds")) {
    absl::StrAppend(&line, "  ETA ",
                    ShortDuration(absl::Seconds(record["eta_seconds"].get<double>())));
  }
  if (line.size() > kLineWidth) line = absl::StrReplaceAll(line, {{"  ", " "}});
  if (line.size() > kLineWidth) line.resize(kLineWidth);
  return line;
}

std::string StartingLine(const RunFigures& figures, absl::Duration elapsed) {
  std::string what = "the replay buffer to answer";
  if (figures.replay.has_value()) {
    what = figures.replay->spec.has_value() ? "the first environment step"
                                            : "an actor to announce its environment";
  }
  std::string line = absl::StrCat("waiting for ", what, ", ", ShortDuration(elapsed));
  for (const auto& [member, trouble] : figures.troubles) {
    absl::StrAppend(&line, "; ", TroubleLine(member, trouble));
  }
  // What others wait for then follows from that.
  if (!figures.replay.has_value() || !figures.troubles.empty()) return line;
  for (const auto& [member, reason] : figures.replay->waiting_for) {
    if (!reason.empty()) absl::StrAppend(&line, "; ", member, " waits for ", reason);
  }
  return line;
}

std::string SilentMember(const RunFigures& figures) {
  return figures.replay.has_value() ? "actor-0" : "replay_buffer";
}

Json EvaluationRecord(const EvaluationResult& evaluation, absl::Duration elapsed) {
  return {{"kind", "evaluation"},
          {"time", TimeText()},
          {"elapsed_seconds", absl::ToDoubleSeconds(elapsed)},
          {"env_steps", evaluation.env_steps},
          {"mean_return", evaluation.mean_return},
          {"episodes", evaluation.episodes},
          {"policy_updates", evaluation.policy_updates}};
}

std::string EvaluationLine(const EvaluationResult& evaluation) {
  return absl::StrFormat("evaluation at %d steps: mean return %.4g over %d episodes",
                         evaluation.env_steps, evaluation.mean_return, evaluation.episodes);
}

double NumberIn(const Json& record, const char* name) {
  const auto found = record.find(name);
  return found != record.end() && found->is_number() ? found->get<double>() : std::nan("");
}

std::string VerdictName(monitor::v1::Verdict verdict) {
  if (verdict == monitor::v1::VERDICT_UNSPECIFIED) return "unknown";
  std::string name = monitor::v1::Verdict_Name(verdict);
  if (name.empty()) return "unknown";  // of a newer monitor
  name = name.substr(std::string("VERDICT_").size());
  return absl::AsciiStrToLower(name);
}

std::string ShortDuration(absl::Duration duration) {
  const int64_t seconds = absl::ToInt64Seconds(duration + absl::Milliseconds(500));
  if (seconds < 60) return absl::StrCat(seconds, "s");
  if (seconds < 3600) return absl::StrFormat("%dm%02ds", seconds / 60, seconds % 60);
  return absl::StrFormat("%dh%02dm", seconds / 3600, seconds / 60 % 60);
}

}  // namespace tandem::cli
