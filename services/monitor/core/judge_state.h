#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "common/coadaptation/controller.h"
#include "common/coadaptation/knob.h"
#include "common/coadaptation/verdict_process.h"
#include "services/monitor/core/return_memory.h"

namespace tandem::monitor {

/// What a judge needs to go on after a restart. The healthy checkpoints and the newest judgement
/// are not part of it: they are read from the history.
struct JudgeState {
  double tolerance = 0;  ///< That the evidence was gathered against.
  double bound = 0;
  double warning = 0;
  int64_t checkpoints = 0;  ///< Judged so far.
  bool alarm = false;       ///< Confirmed, and not cleared since.
  int quiet = 0;            ///< Checkpoints in a row without a signal above the tolerance.
  double level = coadaptation::kUnknown;  ///< Judgement::level of the newest one; NaN: it does not
                                          ///< hold any more.
  double interval = coadaptation::kUnknown;  ///< Between the last two checkpoints [s].
  std::string note;                          ///< Controller::note(); of a run that
  bool act = false;                          ///< ... acts, or only advises.
  std::optional<ReturnMemory> returns;       ///< Nothing: not known.
  coadaptation::VerdictMemory verdict;
  coadaptation::ControllerMemory controller;
  coadaptation::Directive directive;
};

/// As a JSON object in one line. Pure.
std::string ToJson(const JudgeState& state);
/// INVALID_ARGUMENT where `json` is not what ToJson wrote. Pure.
absl::StatusOr<JudgeState> JudgeStateFrom(const std::string& json);

}  // namespace tandem::monitor
