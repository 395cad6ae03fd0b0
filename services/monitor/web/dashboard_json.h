#pragma once

#include <nlohmann/json.hpp>

#include "services/monitor/web/dashboard.h"

namespace tandem::monitor {

using Json = nlohmann::ordered_json;  // figures stay in the order of CheckpointFields()

/// The body of /api/report. Pure; `history` says how much of it there is.
Json ReportJson(const RunFacts& facts, const Report& report, const JudgeReport& judgement,
                const HistoryPage& history, bool overrides);

/// The body of /api/history. Pure.
Json HistoryJson(const HistoryPage& page);

/// Every checkpoint as a line of comma-separated values below the names; empty where unknown. Pure.
std::string HistoryCsv(const std::vector<HistoryCheckpoint>& checkpoints);

}  // namespace tandem::monitor
