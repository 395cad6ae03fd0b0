#include "services/monitor/web/dashboard_json.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace tandem::monitor {
namespace {

/// null for what is not known or not finite.
Json Number(double value) { return std::isfinite(value) ? Json(value) : Json(); }

Json FiguresJson(const coadaptation::Checkpoint& checkpoint) {
  Json figures = Json::object();
  for (const coadaptation::CheckpointField& field : coadaptation::CheckpointFields()) {
    figures[field.name] = Number(checkpoint.*field.member);
  }
  return figures;
}

Json DirectiveJson(const coadaptation::Directive& directive, double ttl_seconds) {
  Json settings = Json::array();
  for (const coadaptation::Setting& setting : directive.settings) {
    settings.push_back({{"knob", coadaptation::KnobName(setting.knob)},
                        {"value", Number(setting.value)},
                        {"safe_value", Number(setting.safe_value)},
                        {"reason", setting.reason},
                        {"version", setting.version}});
  }
  return {{"version", directive.version}, {"ttl_seconds", ttl_seconds}, {"settings", settings}};
}

Json KnobsJson(const RunFacts& facts) {
  Json knobs = Json::array();
  for (const coadaptation::KnobInfo& info : coadaptation::Knobs()) {
    const auto recipe = facts.recipe.find(info.knob);
    knobs.push_back({{"name", info.name},
                     {"meaning", info.meaning},
                     {"low", info.low},
                     {"high", info.high},
                     {"receiver", ReceiverName(info.receiver)},
                     {"recipe", recipe == facts.recipe.end() ? Json() : Number(recipe->second)}});
  }
  return knobs;
}

Json FactsJson(const RunFacts& facts, bool overrides) {
  return {{"name", facts.name},
          {"environment", facts.environment},
          {"seed", facts.seed},
          {"max_env_steps", facts.max_env_steps},
          {"tolerance", facts.tolerance},
          {"warning", facts.warning},
          {"false_alarm_interval", facts.false_alarm_interval},
          {"control", facts.control},
          {"overrides", overrides}};
}

}  // namespace

Json ReportJson(const RunFacts& facts, const Report& report, const JudgeReport& judgement,
                const HistoryPage& history, bool overrides) {
  const Json figures = {{"verdict", coadaptation::VerdictName(judgement.judgement.verdict)},
                        {"sentence", judgement.judgement.sentence},
                        {"signal", judgement.judgement.signal},
                        {"warning_score", Number(judgement.judgement.warning_score)},
                        {"evidence_log10", Number(judgement.evidence_log10)},
                        {"evidence_threshold_log10", Number(judgement.evidence_threshold_log10)},
                        {"controller_state", judgement.controller_state},
                        {"advice", judgement.advice},
                        {"age_seconds", Number(judgement.age_seconds)},
                        {"checkpoints", judgement.checkpoints},
                        {"env_steps", report.env_steps},
                        {"fresh_steps_scored", report.fresh_steps_scored},
                        {"fresh_steps_dropped", report.fresh_steps_dropped},
                        {"model_version", report.model_version},
                        {"policy_version", report.policy_version},
                        {"model_age_env_steps", Number(report.model_age_env_steps)},
                        {"training_return", Number(report.training_return)},
                        {"evaluation_return", Number(report.evaluation_return)}};
  return {{"run", FactsJson(facts, overrides)},
          {"report", figures},
          {"figures", FiguresJson(judgement.checkpoint)},
          {"directive", DirectiveJson(judgement.directive, judgement.ttl_seconds)},
          {"knobs", KnobsJson(facts)},
          {"history", {{"checkpoints", history.next_checkpoint}, {"events", history.next_event}}}};
}

Json HistoryJson(const HistoryPage& page) {
  Json checkpoints = Json::array(), events = Json::array();
  for (const HistoryCheckpoint& one : page.checkpoints) {
    checkpoints.push_back(
        {{"figures", FiguresJson(one.checkpoint)},
         {"verdict", coadaptation::VerdictName(one.judgement.verdict)},
         {"signal", one.judgement.signal},
         {"evidence_log10", Number(coadaptation::EvidenceLog10(one.judgement.evidence))},
         {"warning_score", Number(one.judgement.warning_score)}});
  }
  for (const HistoryEvent& event : page.events) {
    events.push_back({{"wall_seconds", Number(event.wall_seconds)},
                      {"env_steps", Number(event.env_steps)},
                      {"kind", event.kind},
                      {"text", event.text},
                      {"knob", event.knob ? Json(coadaptation::KnobName(*event.knob)) : Json()},
                      {"before", Number(event.before)},
                      {"after", Number(event.after)}});
  }
  return {{"checkpoints", std::move(checkpoints)},
          {"events", std::move(events)},
          {"next_checkpoint", page.next_checkpoint},
          {"next_event", page.next_event}};
}

std::string HistoryCsv(const std::vector<HistoryCheckpoint>& checkpoints) {
  const auto number = [](double value) {
    return std::isfinite(value) ? absl::StrFormat("%.10g", value) : std::string();
  };
  std::string text = "verdict,signal,evidence_log10,warning_score";
  for (const auto& field : coadaptation::CheckpointFields())
    absl::StrAppend(&text, ",", field.name);
  text += "\r\n";
  for (const HistoryCheckpoint& one : checkpoints) {
    absl::StrAppend(&text, coadaptation::VerdictName(one.judgement.verdict), ",",
                    one.judgement.signal, ",",
                    number(coadaptation::EvidenceLog10(one.judgement.evidence)), ",",
                    number(one.judgement.warning_score));
    for (const auto& field : coadaptation::CheckpointFields()) {
      absl::StrAppend(&text, ",", number(one.checkpoint.*field.member));
    }
    text += "\r\n";
  }
  return text;
}

}  // namespace tandem::monitor
