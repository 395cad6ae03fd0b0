#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "cli/run_watch.h"

namespace tandem::cli {

/// What the monitor says, for `tandem status`: verdict, sentence, signal, evidence, the
/// controller's state and advice, the knobs off the recipe's value. null for what is not known.
/// Pure.
nlohmann::json JudgementJson(const monitor::v1::GetReportResponse& report);

/// The lines of a judgement for people: the verdict in words first, then what it rests on, what the
/// controller does, and each knob off its recipe's value. Pure.
std::string JudgementText(const nlohmann::json& judgement);

/// What a verdict rests on: "316 of 200, carried by gap_episode; 31 checkpoints judged". `record`
/// has evidence_log10, evidence_threshold_log10, signal and checkpoints; "no data yet" stands for
/// figures that it lacks. Pure.
std::string EvidenceText(const nlohmann::json& record);

/// The name of a knob as recipes and commands write it: "rollout_horizon"; "unknown" for one of a
/// newer monitor.
std::string KnobText(monitor::v1::Knob knob);

}  // namespace tandem::cli
