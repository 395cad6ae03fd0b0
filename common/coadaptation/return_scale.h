#pragma once

#include <limits>

namespace tandem::coadaptation {

/// Unit of the index and of the return gap: the range of real returns, best so far minus the first,
/// with a floor. The range, not the spread: the spread of a converged policy is so small that harmless
/// gaps would look large. Not thread-safe.
class ReturnScale {
 public:
  /// The floor is the larger of `floor` and `relative_floor` times the size of the first return.
  explicit ReturnScale(double floor = 1e-3, double relative_floor = 0.1)
      : floor_(floor), relative_floor_(relative_floor) {}

  /// Takes the next mean real return; one that is not finite is ignored.
  void Add(double real_return);

  /// The scale, > 0; NaN before the first return.
  double scale() const;

 private:
  const double floor_;
  const double relative_floor_;
  double first_ = std::numeric_limits<double>::quiet_NaN();
  double best_ = std::numeric_limits<double>::quiet_NaN();
};

/// Imagined minus real return from the same start states over the same horizon, in units of the
/// scale: positive where the policy looks better in the model than it is. NaN where a figure is not
/// known. Pure.
double ReturnGap(double imagined_return, double real_return, double scale);

}  // namespace tandem::coadaptation
