#include "services/monitor/core/history.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>
#include <system_error>
#include <utility>

#include "common/base/files.h"
#include "common/base/status_macros.h"

namespace tandem::monitor {
namespace {

using Json = nlohmann::ordered_json;
using coadaptation::Verdict;

struct EvaluationField {
  const char* name;
  double HistoryEvaluation::*member;
};
constexpr EvaluationField kEvaluationFields[] = {
    {"env_steps", &HistoryEvaluation::env_steps},
    {"policy_updates", &HistoryEvaluation::policy_updates},
    {"model_env_steps", &HistoryEvaluation::model_env_steps},
    {"model_return", &HistoryEvaluation::model_return},
    {"real_return", &HistoryEvaluation::real_return},
    {"gap", &HistoryEvaluation::gap},
    {"episodes", &HistoryEvaluation::episodes},
    {"return_scale", &HistoryEvaluation::return_scale},
};

// What is not known is left out: JSON has no NaN.
void Put(Json& json, const char* name, double value) {
  if (std::isfinite(value)) json[name] = value;
}

double Get(const Json& json, const char* name) {
  const auto it = json.find(name);
  return it != json.end() && it->is_number() ? it->get<double>() : coadaptation::kUnknown;
}

std::string GetText(const Json& json, const char* name) {
  const auto it = json.find(name);
  return it != json.end() && it->is_string() ? it->get<std::string>() : "";
}

std::optional<Verdict> VerdictFrom(const std::string& name) {
  for (int i = 1; i <= coadaptation::kVerdicts; ++i) {
    if (name == VerdictName(static_cast<Verdict>(i))) return static_cast<Verdict>(i);
  }
  return std::nullopt;
}

std::string Line(const Json& json) {
  return json.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace) + "\n";
}

std::string ToLine(const HistoryCheckpoint& entry) {
  Json json = {{"kind", "checkpoint"}};
  for (const coadaptation::CheckpointField& field : coadaptation::CheckpointFields()) {
    Put(json, field.name, entry.checkpoint.*field.member);
  }
  const coadaptation::Judgement& judgement = entry.judgement;
  json["verdict"] = VerdictName(judgement.verdict);
  json["sentence"] = judgement.sentence;
  json["signal"] = judgement.signal;
  Put(json, "evidence_log10", coadaptation::EvidenceLog10(judgement.evidence));
  Put(json, "evidence_early_log10", coadaptation::EvidenceLog10(judgement.evidence_early));
  json["early"] = judgement.early;
  Put(json, "evidence_negative_log10", coadaptation::EvidenceLog10(judgement.evidence_negative));
  Put(json, "warning_score", judgement.warning_score);
  json["warnings"] = judgement.warnings;
  return Line(json);
}

std::optional<HistoryCheckpoint> CheckpointFrom(const Json& json) {
  const std::optional<Verdict> verdict = VerdictFrom(GetText(json, "verdict"));
  if (!verdict) return std::nullopt;
  HistoryCheckpoint entry;
  for (const coadaptation::CheckpointField& field : coadaptation::CheckpointFields()) {
    entry.checkpoint.*field.member = Get(json, field.name);
  }
  coadaptation::Judgement& judgement = entry.judgement;
  judgement.verdict = *verdict;
  judgement.sentence = GetText(json, "sentence");
  judgement.signal = GetText(json, "signal");
  const auto evidence = [&](const char* name) {
    const double log10 = Get(json, name);
    return std::isnan(log10) ? 0 : std::pow(10, log10);
  };
  judgement.evidence = evidence("evidence_log10");
  judgement.evidence_early = evidence("evidence_early_log10");
  judgement.early = json.value("early", false);
  judgement.evidence_negative = evidence("evidence_negative_log10");
  judgement.warning_score = Get(json, "warning_score");
  if (json.contains("warnings") && json["warnings"].is_array()) {
    for (const Json& name : json["warnings"]) {
      if (name.is_string()) judgement.warnings.push_back(name.get<std::string>());
    }
  }
  return entry;
}

std::string ToLine(const HistoryEvent& event) {
  Json json = {{"kind", "event"}};
  Put(json, "wall_seconds", event.wall_seconds);
  Put(json, "env_steps", event.env_steps);
  json["event"] = event.kind;
  json["text"] = event.text;
  if (event.knob) json["knob"] = KnobName(*event.knob);
  Put(json, "before", event.before);
  Put(json, "after", event.after);
  return Line(json);
}

std::optional<HistoryEvent> EventFrom(const Json& json) {
  HistoryEvent event;
  event.kind = GetText(json, "event");
  if (event.kind.empty()) return std::nullopt;
  event.wall_seconds = Get(json, "wall_seconds");
  event.env_steps = Get(json, "env_steps");
  event.text = GetText(json, "text");
  event.knob = coadaptation::KnobFromName(GetText(json, "knob"));
  event.before = Get(json, "before");
  event.after = Get(json, "after");
  return event;
}

std::string ToLine(const HistoryEvaluation& evaluation) {
  Json json = {{"kind", "evaluation"}};
  for (const EvaluationField& field : kEvaluationFields) {
    Put(json, field.name, evaluation.*field.member);
  }
  return Line(json);
}

template <typename Entry>
void Copy(const std::deque<Entry>& held, int64_t dropped, int64_t from, size_t most,
          std::vector<Entry>* page, int64_t* next) {
  const auto size = static_cast<int64_t>(held.size());
  const int64_t begin = std::clamp<int64_t>(from - dropped, 0, size);
  const int64_t end = std::min(size, begin + static_cast<int64_t>(most));
  page->assign(held.begin() + begin, held.begin() + end);
  *next = dropped + end;
}

}  // namespace

absl::StatusOr<std::unique_ptr<History>> History::Open(const std::string& path) {
  std::unique_ptr<History> history(new History(path));
  if (path.empty()) return history;
  const std::string folder = std::filesystem::path(path).parent_path();
  if (!folder.empty()) TANDEM_RETURN_IF_ERROR(MakeDirs(folder));
  TANDEM_RETURN_IF_ERROR(history->ReadBack());
  return history;
}

absl::Status History::ReadBack() {
  absl::StatusOr<std::string> contents = ReadFile(path_);
  if (absl::IsNotFound(contents.status())) return absl::OkStatus();
  TANDEM_RETURN_IF_ERROR(contents.status());
  MutexLock lock(mu_);
  size_t begin = 0;
  for (size_t end; (end = contents->find('\n', begin)) != std::string::npos; begin = end + 1) {
    if (!Take(contents->substr(begin, end - begin))) ++skipped_;
  }
  torn_bytes_ = static_cast<int64_t>(contents->size() - begin);
  if (torn_bytes_ == 0) return absl::OkStatus();
  std::error_code error;
  std::filesystem::resize_file(path_, begin, error);
  return error ? ErrnoStatus(error.value(), "truncate " + path_) : absl::OkStatus();
}

bool History::Take(const std::string& line) {
  if (line.empty()) return true;
  const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return false;
  const std::string kind = GetText(json, "kind");
  if (kind == "checkpoint") {
    std::optional<HistoryCheckpoint> entry = CheckpointFrom(json);
    if (entry) Keep(*std::move(entry));
    return entry.has_value();
  }
  if (kind == "event") {
    std::optional<HistoryEvent> event = EventFrom(json);
    if (event) Keep(*std::move(event));
    return event.has_value();
  }
  if (kind == "state" && json.contains("state")) {
    state_ = json["state"].dump();
    return true;
  }
  return kind == "evaluation";
}

void History::Keep(HistoryCheckpoint entry) {
  checkpoints_.push_back(std::move(entry));
  if (checkpoints_.size() <= kKept) return;
  checkpoints_.pop_front();
  ++dropped_checkpoints_;
}

void History::Keep(HistoryEvent event) {
  events_.push_back(std::move(event));
  if (events_.size() <= kKept) return;
  events_.pop_front();
  ++dropped_events_;
}

absl::Status History::Write(const std::string& line) {
  if (path_.empty()) return absl::OkStatus();
  const absl::Status status = AppendToFile(path_, line_open_ ? "\n" + line : line);
  line_open_ = !status.ok();
  return status;
}

absl::Status History::Append(const HistoryCheckpoint& checkpoint) {
  MutexLock lock(mu_);
  Keep(checkpoint);
  return Write(ToLine(checkpoint));
}

absl::Status History::Append(const HistoryEvent& event) {
  MutexLock lock(mu_);
  Keep(event);
  return Write(ToLine(event));
}

absl::Status History::Append(const HistoryEvaluation& evaluation) {
  MutexLock lock(mu_);
  return Write(ToLine(evaluation));
}

absl::Status History::AppendState(const std::string& state) {
  MutexLock lock(mu_);
  state_ = state;
  return Write("{\"kind\":\"state\",\"state\":" + state + "}\n");
}

HistoryPage History::Read(int64_t from_checkpoint, int64_t from_event, size_t most) const {
  MutexLock lock(mu_);
  HistoryPage page;
  Copy(checkpoints_, dropped_checkpoints_, from_checkpoint, most, &page.checkpoints,
       &page.next_checkpoint);
  Copy(events_, dropped_events_, from_event, most, &page.events, &page.next_event);
  return page;
}

std::string History::state() const {
  MutexLock lock(mu_);
  return state_;
}

}  // namespace tandem::monitor
