#include "services/monitor/core/rows.h"
#include "common/data/rows.h"

#include <algorithm>
#include <numeric>
#include <tuple>

namespace tandem::monitor {
namespace {

constexpr int64_t kRuns = 10;

}  // namespace

TransitionBatch EmptyLike(const TransitionBatch& like) {
  TransitionBatch batch;
  batch.obs_dim = like.obs_dim;
  batch.action_dim = like.action_dim;
  return batch;
}

TransitionBatch ByEpisode(const TransitionBatch& rows) {
  std::vector<int64_t> order(rows.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return std::tie(rows.episodes[a], rows.times[a]) < std::tie(rows.episodes[b], rows.times[b]);
  });
  TransitionBatch sorted = EmptyLike(rows);
  for (const int64_t row : order) sorted.Append(rows, row, row + 1);
  return sorted;
}

std::vector<Stretch> FindStretches(const TransitionBatch& rows) {
  std::vector<Stretch> stretches;
  for (int64_t i = 0; i < rows.size(); ++i) {
    const bool follows = i > 0 && rows.episodes[i] == rows.episodes[i - 1] &&
                         rows.times[i] == rows.times[i - 1] + 1 && rows.terminated[i - 1] == 0;
    if (!follows) stretches.push_back({.begin = i});
    stretches.back().end = i + 1;
    stretches.back().terminated = rows.terminated[i] != 0;
  }
  return stretches;
}

TransitionBatch Thin(const TransitionBatch& rows, int64_t most) {
  if (rows.size() <= most) return rows;
  TransitionBatch thin = EmptyLike(rows);
  const int64_t runs = std::min(kRuns, most);
  for (int64_t run = 0; run < runs; ++run) {
    const int64_t begin = rows.size() * run / runs;
    thin.Append(rows, begin, begin + most / runs);
  }
  return thin;
}

std::vector<int64_t> Spread(int64_t count, int64_t most) {
  const int64_t n = std::min(count, most);
  std::vector<int64_t> rows(n);
  for (int64_t i = 0; i < n; ++i) rows[i] = count * i / n;
  return rows;
}

std::vector<float> Gather(std::span<const float> column, int64_t dim,
                          std::span<const int64_t> rows) {
  std::vector<float> out;
  GatherRows(column, dim, rows, &out);
  return out;
}

std::vector<float> StatesAndActions(const TransitionBatch& batch, std::span<const int64_t> rows) {
  std::vector<float> out;
  out.reserve(rows.size() * (batch.obs_dim + batch.action_dim));
  for (const int64_t row : rows) {
    const auto state = batch.observations.begin() + row * batch.obs_dim;
    const auto action = batch.actions.begin() + row * batch.action_dim;
    out.insert(out.end(), state, state + batch.obs_dim);
    out.insert(out.end(), action, action + batch.action_dim);
  }
  return out;
}

}  // namespace tandem::monitor
