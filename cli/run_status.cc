#include "cli/run_status.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "cli/progress.h"
#include "common/coadaptation/knob.h"

namespace tandem::cli {
namespace {

using Json = nlohmann::json;

Json Number(double value) { return std::isfinite(value) ? Json(value) : Json(); }

}  // namespace

std::string EvidenceText(const Json& record) {
  const double evidence = NumberIn(record, "evidence_log10");
  const double line = NumberIn(record, "evidence_threshold_log10");
  std::string text =
      std::isnan(evidence) || std::isnan(line)
          ? "no data yet"
          : absl::StrFormat("%.3g of %.3g", std::pow(10, evidence), std::pow(10, line));
  const auto signal = record.find("signal");
  if (signal != record.end() && signal->is_string() && !signal->get<std::string>().empty()) {
    absl::StrAppend(&text, ", carried by ", signal->get<std::string>());
  }
  const double checkpoints = NumberIn(record, "checkpoints");
  return absl::StrFormat("%s; %.0f checkpoints judged", text,
                         std::isnan(checkpoints) ? 0 : checkpoints);
}

std::string KnobText(monitor::v1::Knob knob) {
  for (const coadaptation::KnobInfo& info : coadaptation::Knobs()) {
    if (static_cast<int>(info.knob) == static_cast<int>(knob)) return info.name;
  }
  return "unknown";
}

Json JudgementJson(const monitor::v1::GetReportResponse& report) {
  Json knobs = Json::array();
  for (const monitor::v1::Setting& setting : report.directive().settings()) {
    knobs.push_back({{"knob", KnobText(setting.knob())},
                     {"value", Number(setting.value())},
                     {"safe_value", Number(setting.safe_value())},
                     {"reason", setting.reason()}});
  }
  return {{"verdict", VerdictName(report.verdict())},
          {"sentence", report.sentence()},
          {"signal", report.signal()},
          {"evidence_log10", Number(report.evidence_log10())},
          {"evidence_threshold_log10", Number(report.evidence_threshold_log10())},
          {"controller_state", report.controller_state()},
          {"advice", report.advice()},
          {"checkpoints", report.checkpoints()},
          {"age_seconds", report.age_seconds() < 0 ? Json() : Number(report.age_seconds())},
          {"directive_version", report.directive().version()},
          {"knobs", knobs}};
}

std::string JudgementText(const Json& judgement) {
  std::string text = absl::StrCat(
      "verdict: ", absl::StrReplaceAll(judgement["verdict"].get<std::string>(), {{"_", " "}}), ". ",
      judgement["sentence"].get<std::string>(), "\n");
  absl::StrAppend(&text, "evidence for an alarm: ", EvidenceText(judgement), "\n");
  const std::string state = judgement["controller_state"], advice = judgement["advice"];
  if (!state.empty()) {
    absl::StrAppend(&text, "controller: ", state, advice.empty() ? "" : "; ", advice, "\n");
  }
  for (const Json& knob : judgement["knobs"]) {
    absl::StrAppendFormat(&text, "knob off its recipe's value: %s = %g, because: %s\n",
                          knob["knob"].get<std::string>(), knob.value("value", std::nan("")),
                          knob["reason"].get<std::string>());
  }
  if (judgement["knobs"].empty()) text += "every knob has its recipe's value\n";
  return text;
}

}  // namespace tandem::cli
