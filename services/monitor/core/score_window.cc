#include "services/monitor/core/score_window.h"

#include <cmath>
#include <vector>

#include "common/coadaptation/backup_bias.h"

namespace tandem::monitor {
namespace {

/// Mean of the values that are finite; NaN if none is.
class FiniteMean {
 public:
  void Add(double value) {
    if (!std::isfinite(value)) return;
    sum_ += value;
    ++count_;
  }
  double mean() const { return count_ == 0 ? coadaptation::kUnknown : sum_ / count_; }

 private:
  double sum_ = 0;
  double count_ = 0;
};

}  // namespace

void ScoreWindow::Add(const ScoredStep& score, coadaptation::StepPlace place, double policy_lag) {
  entries_.push_back({score, place, policy_lag});
  if (size() > capacity_) entries_.pop_front();
}

void ScoreWindow::FillIndex(double discount, double return_scale,
                            coadaptation::Figures* figures) const {
  std::vector<coadaptation::StepPlace> places;
  for (const Entry& entry : entries_) places.push_back(entry.place);
  std::vector<double> values(places.size());
  const auto share = [&](auto part) {
    for (size_t i = 0; i < entries_.size(); ++i) values[i] = part(entries_[i].score);
    return coadaptation::CoadaptationIndex(coadaptation::DiscountedMean(values, places, discount),
                                           discount, return_scale);
  };
  figures->index_reward = share([](const ScoredStep& s) { return s.bias.reward; });
  figures->index_dynamics = share([](const ScoredStep& s) { return s.bias.dynamics; });
  figures->index_termination = share([](const ScoredStep& s) { return s.bias.termination; });
  figures->index = figures->index_reward + figures->index_dynamics + figures->index_termination;
  figures->residual = share([](const ScoredStep& s) { return s.residual; });
  figures->window_steps = size();
}

double ScoreWindow::Error() const {
  FiniteMean squared;
  for (const Entry& entry : entries_) squared.Add(entry.score.squared_error);
  return std::sqrt(squared.mean());
}

double ScoreWindow::PolicyLag() const {
  FiniteMean lag;
  for (const Entry& entry : entries_) lag.Add(entry.policy_lag);
  return lag.mean();
}

}  // namespace tandem::monitor
