#include "services/replay_buffer/core/update_schedule.h"

#include <algorithm>
#include <cmath>

namespace tandem {
namespace {

/// The largest integer not above x, forgiving the rounding of a product such as 0.29 * 100.
int64_t Floor(double x) { return static_cast<int64_t>(std::floor(x + 1e-9)); }

}  // namespace

UpdateSchedule::UpdateSchedule(int64_t warmup, int64_t round, double recipe_rate)
    : warmup_(warmup), round_(round), recipe_rate_(recipe_rate), rate_(recipe_rate) {}

int64_t UpdateSchedule::Rounds(int64_t steps) const {
  return steps < warmup_ ? 0 : (steps - warmup_) / round_;
}

double UpdateSchedule::Exact(int64_t steps) const {
  const int64_t since = std::max<int64_t>(0, Rounds(steps) - rounds_);
  return due_ + rate() * static_cast<double>(round_) * static_cast<double>(since);
}

void UpdateSchedule::Set(double rate, bool paused, int64_t steps) {
  const double running = rate > 0 ? rate : recipe_rate_;
  if (running == rate_ && paused == paused_) return;
  due_ = Exact(steps);
  rounds_ = std::max(rounds_, Rounds(steps));
  rate_ = running;
  paused_ = paused;
}

int64_t UpdateSchedule::Due(int64_t steps) const {
  return steps < warmup_ ? 0 : Floor(Exact(steps));
}

std::optional<int64_t> UpdateSchedule::StepsBeyond(int64_t updates) const {
  if (paused_ && Floor(due_) <= updates) return std::nullopt;
  const double per_round = rate() * static_cast<double>(round_);
  const double missing = static_cast<double>(updates) - due_;
  int64_t rounds = rounds_ + (missing > 0 ? Floor(missing / per_round) : 0);
  while (Due(warmup_ + rounds * round_) <= updates) ++rounds;
  return warmup_ + rounds * round_;
}

int64_t UpdateSchedule::Most(int64_t steps, int64_t band) const {
  const auto since = static_cast<double>(steps - warmup_ - rounds_ * round_ + band);
  return static_cast<int64_t>(std::ceil(due_ + rate() * since));
}

std::optional<int64_t> UpdateSchedule::StepsFor(int64_t updates) const {
  if (paused_) return std::nullopt;
  const double ahead = std::max(0.0, static_cast<double>(updates) - due_);
  return warmup_ + rounds_ * round_ + Floor(ahead / rate_);
}

}  // namespace tandem
