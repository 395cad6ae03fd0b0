#include "common/coadaptation/backup_bias.h"

#include <limits>

namespace tandem::coadaptation {

BackupBias ComputeBackupBias(const Outcome& real, std::span<const Outcome> model, double discount) {
  BackupBias mean;
  for (const Outcome& imagined : model) {
    mean.reward += imagined.reward - real.reward;
    mean.dynamics += discount * (1 - real.termination) * (imagined.next_value - real.next_value);
    mean.termination += discount * (real.termination - imagined.termination) * imagined.next_value;
  }
  const double n = static_cast<double>(model.size());
  mean.reward /= n;
  mean.dynamics /= n;
  mean.termination /= n;
  return mean;
}

double BellmanResidual(double value, std::span<const Outcome> model, double discount) {
  double backup = 0;
  for (const Outcome& imagined : model) {
    backup += imagined.reward + discount * (1 - imagined.termination) * imagined.next_value;
  }
  return value - backup / static_cast<double>(model.size());
}

double CoadaptationIndex(double mean_bias, double discount, double return_scale) {
  if (!(discount < 1) || !(return_scale > 0)) return std::numeric_limits<double>::quiet_NaN();
  return mean_bias / ((1 - discount) * return_scale);
}

}  // namespace tandem::coadaptation
