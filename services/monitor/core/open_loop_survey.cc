#include <array>

#include "common/base/status_macros.h"
#include "common/coadaptation/open_loop.h"
#include "common/coadaptation/quantile.h"
#include "services/monitor/core/gap_survey.h"
#include "services/monitor/core/prediction_survey.h"
#include "services/monitor/core/rows.h"

namespace tandem::monitor {
namespace {

using coadaptation::Checkpoint;
using coadaptation::kOpenLoopHorizons;

constexpr int64_t kStarts = 50;

/// Where predictions start and how far the real steps go from there.
std::vector<Stretch> FindCourses(const TransitionBatch& rows) {
  std::vector<Stretch> all;
  for (const Stretch& stretch : FindStretches(rows)) {
    for (int64_t i = stretch.begin; i < stretch.end; ++i) {
      all.push_back({i, stretch.end, stretch.terminated});
    }
  }
  std::vector<Stretch> courses;
  for (const int64_t k : Spread(static_cast<int64_t>(all.size()), kStarts)) {
    courses.push_back(all[k]);
  }
  return courses;
}

/// Mean over the elites of the next observations.
std::vector<float> MeanNext(const ElitePredictions& predictions) {
  std::vector<float> mean(predictions[0].next_means.size(), 0);
  const float share = 1.0f / static_cast<float>(predictions.size());
  for (const dynamics::MemberPrediction& prediction : predictions) {
    for (size_t i = 0; i < mean.size(); ++i) mean[i] += share * prediction.next_means[i];
  }
  return mean;
}

}  // namespace

absl::Status FillOpenLoop(const Material& material, Checkpoint* checkpoint) {
  const TransitionBatch& rows = material.fresh;
  const int64_t dim = rows.obs_dim;
  double Checkpoint::*const fields[] = {&Checkpoint::open_loop_1, &Checkpoint::open_loop_5,
                                        &Checkpoint::open_loop_10, &Checkpoint::open_loop_20};
  if (static_cast<int64_t>(material.world.state_sds.size()) != dim + 1) return absl::OkStatus();
  const auto sds = std::span<const double>(material.world.state_sds).first(dim);
  std::vector<Stretch> courses = FindCourses(rows);
  std::vector<int64_t> begins;
  for (const Stretch& course : courses) begins.push_back(course.begin);
  std::vector<float> states = Gather(rows.observations, dim, begins);
  for (int k = 1; k <= kOpenLoopHorizons.back() && !courses.empty(); ++k) {
    if (material.cancelled()) return absl::CancelledError("open loop: cancelled");
    std::vector<int64_t> at;  // the row of each course's k-th step
    for (const Stretch& course : courses) at.push_back(course.begin + k - 1);
    TANDEM_ASSIGN_OR_RETURN(
        const ElitePredictions predictions,
        PredictElites(*material.model.model, states, Gather(rows.actions, rows.action_dim, at)));
    const std::vector<float> next = MeanNext(predictions);
    std::vector<double> distances;
    std::vector<Stretch> going;
    states.clear();
    for (size_t i = 0; i < courses.size(); ++i) {
      const auto predicted = std::span<const float>(next).subspan(i * dim, dim);
      distances.push_back(coadaptation::StateDistance(
          predicted, std::span<const float>(rows.next_observations).subspan(at[i] * dim, dim),
          sds));
      if (courses[i].begin + k >= courses[i].end) continue;
      going.push_back(courses[i]);
      states.insert(states.end(), predicted.begin(), predicted.end());
    }
    courses = std::move(going);
    for (size_t h = 0; h < kOpenLoopHorizons.size(); ++h) {
      if (kOpenLoopHorizons[h] == k) checkpoint->*fields[h] = coadaptation::Median(distances);
    }
  }
  return absl::OkStatus();
}

}  // namespace tandem::monitor
