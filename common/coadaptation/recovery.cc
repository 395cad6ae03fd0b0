#include "common/coadaptation/recovery.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace tandem::coadaptation {
namespace {

constexpr int kMostDoublings = 6;

}  // namespace

void Recovery::Take(const Checkpoint& checkpoint, int checkpoints,
                    const MitigationOptions& options) {
  if (!std::isfinite(checkpoint.real_return)) return;
  returns.push_back(checkpoint.real_return);
  while (static_cast<int>(returns.size()) > checkpoints) returns.pop_front();
  if (!eased || !(checkpoint.return_scale > 0)) return;
  const double less = (reference - checkpoint.real_return) / checkpoint.return_scale;
  lost = std::fmax(0, lost + less - options.return_slack);
}

void Recovery::EndWayBack() {
  eased.reset();
  reference = updates = returned = Checkpoint::kNaN;
  lost = 0;
}

void Recovery::Tightened(Knob knob, double value) {
  if (eased) ++relapses;
  tight[knob] = value;
  EndWayBack();
}

void Recovery::Eased(Knob knob, double policy_updates) {
  if (tight.count(knob) == 0 || returns.empty()) return;
  returned =
      std::accumulate(returns.begin(), returns.end(), 0.0) / static_cast<double>(returns.size());
  reference = std::fmax(reference, returned);  // of a NaN and a number the number
  updates = policy_updates;
  eased = knob;
}

void Recovery::Forget(Knob knob) {
  tight.erase(knob);
  if (eased == knob) EndWayBack();
}

bool Recovery::Relapsed(const MitigationOptions& options) const {
  return eased.has_value() && lost > options.return_relapse;
}

int Recovery::Wait(int clean_checkpoints) const {
  return clean_checkpoints << std::min(relapses, kMostDoublings);
}

}  // namespace tandem::coadaptation
