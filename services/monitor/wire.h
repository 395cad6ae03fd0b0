#pragma once

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "services/monitor/core/judge.h"
#include "services/monitor/core/report.h"
#include "tandem/monitor/v1/monitor.pb.h"

namespace tandem::monitor {

/// The monitor's answers on the wire, and what comes from there. All pure.

void Encode(const Report& run, const JudgeReport& judged, v1::GetReportResponse* response);
void Encode(const coadaptation::Directive& directive, double ttl_seconds, v1::Directive* message);
void Encode(const HistoryPage& page, v1::GetHistoryResponse* response);

/// INVALID_ARGUMENT where the receiver, or the knob, is none.
absl::StatusOr<coadaptation::Receiver> Decode(v1::Receiver receiver);
absl::StatusOr<coadaptation::Knob> Decode(v1::Knob knob);
/// INVALID_ARGUMENT where receiver or outcome is none.
absl::StatusOr<Acknowledgement> Decode(const v1::AcknowledgeRequest& request);

}  // namespace tandem::monitor
