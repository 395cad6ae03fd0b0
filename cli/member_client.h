#pragma once

#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/time/time.h"
#include "cli/troubles.h"

namespace tandem::cli {

/// Asks the members of a run what keeps them from their work. One thread at a time.
class MemberClient {
 public:
  virtual ~MemberClient() = default;
  /// Brings `troubles` up to date: of who answers with what it says, of who does not with nothing
  /// new. Waits at most the timeout for each.
  virtual void Refresh(TroubleMap* troubles) = 0;
};

/// The members that a run.json lists. Connects lazily, within the timeout too.
std::unique_ptr<MemberClient> ConnectMembers(const nlohmann::json& run,
                                             absl::Duration timeout = absl::Milliseconds(500));

}  // namespace tandem::cli
