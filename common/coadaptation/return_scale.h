#pragma once

#include <limits>
#include <vector>

namespace tandem::coadaptation {

/// Unit of the index and of the return gap: the range of real returns, best so far minus the first,
/// with a floor. The range, not the spread: the spread of a converged policy is so small that
/// harmless gaps would look large. The floor is what chance alone can make of a gap while the
/// policy has not improved yet: twice the standard deviation of the first episodes' returns, and at
/// least a tenth of the size of the first mean return. Not thread-safe.
class ReturnScale {
 public:
  static constexpr int kFirstEpisodes = 10;

  /// What it needs to go on after a restart.
  struct Memory {
    double first = std::numeric_limits<double>::quiet_NaN();
    double best = std::numeric_limits<double>::quiet_NaN();
    std::vector<double> first_episodes;
  };

  /// Takes the return of one episode; only the first kFirstEpisodes count. One that is not finite
  /// is ignored.
  void AddEpisode(double episode_return);
  /// Takes the next mean real return; one that is not finite is ignored.
  void AddMean(double mean_return);

  /// The scale, > 0; NaN before the first mean return, and as long as every return was 0: then no
  /// range is known, and no gap is large or small.
  double scale() const;

  Memory memory() const { return {first_, best_, first_episodes_}; }
  void Restore(const Memory& memory) {
    first_ = memory.first;
    best_ = memory.best;
    first_episodes_ = memory.first_episodes;
  }

 private:
  double first_ = std::numeric_limits<double>::quiet_NaN();
  double best_ = std::numeric_limits<double>::quiet_NaN();
  std::vector<double> first_episodes_;
};

/// Imagined minus real return from the same start states over the same horizon, in units of the
/// scale: positive where the policy looks better in the model than it is. NaN where a figure is not
/// known. Pure.
double ReturnGap(double imagined_return, double real_return, double scale);

}  // namespace tandem::coadaptation
