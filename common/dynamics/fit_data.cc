#include "common/dynamics/fit_data.h"

#include <algorithm>
#include <utility>

namespace tandem::dynamics {
namespace {

/// Copies row `index` of [_, dim] to `to` and returns the place after it.
float* CopyRow(const std::vector<float>& from, int64_t index, int64_t dim, float* to) {
  return std::copy_n(from.data() + index * dim, dim, to);
}

}  // namespace

std::vector<float> RawInputs(const TransitionBatch& batch) {
  std::vector<float> out(batch.size() * (batch.obs_dim + batch.action_dim));
  float* to = out.data();
  for (int64_t i = 0; i < batch.size(); ++i) {
    to = CopyRow(batch.observations, i, batch.obs_dim, to);
    to = CopyRow(batch.actions, i, batch.action_dim, to);
  }
  return out;
}

std::vector<float> RawTargets(const TransitionBatch& batch) {
  const int64_t dim = batch.obs_dim;
  std::vector<float> out(batch.size() * (dim + 1));
  float* to = out.data();
  for (int64_t i = 0; i < batch.size(); ++i) {
    for (int64_t j = 0; j < dim; ++j) {
      *to++ = batch.next_observations[i * dim + j] - batch.observations[i * dim + j];
    }
    *to++ = batch.rewards[i];
  }
  return out;
}

FitRows MakeFitRows(const TransitionBatch& batch, const Normaliser& inputs,
                    const Normaliser& targets, bool learn_termination, bool known_reward) {
  FitRows rows{.rows = batch.size(),
               .input_dim = inputs.dim(),
               .output_dim = targets.dim(),
               .binary_dim = learn_termination ? 1 : 0,
               .inputs = RawInputs(batch),
               .targets = RawTargets(batch)};
  inputs.Apply(rows.inputs);
  targets.Apply(rows.targets);
  if (known_reward) {
    rows.scored_dim = rows.output_dim - 1;
    for (int64_t i = 0; i < rows.rows; ++i) {
      rows.targets[(i + 1) * rows.output_dim - 1] = i % 2 == 0 ? -1.0f : 1.0f;
    }
  }
  if (learn_termination) rows.binary.assign(batch.terminated.begin(), batch.terminated.end());
  return rows;
}

BootstrapBatches::BootstrapBatches(const FitRows& rows, int members, int batch_size, Rng& rng)
    : rows_(rows),
      members_(members),
      batch_(std::min<int64_t>(batch_size, rows.rows)),
      rng_(rng),
      order_(members, std::vector<int64_t>(rows.rows)) {
  for (auto& order : order_) {
    for (int64_t& index : order) index = static_cast<int64_t>(rng_.Below(rows.rows));
  }
  inputs_.resize(members * batch_ * rows.input_dim);
  targets_.resize(members * batch_ * rows.output_dim);
  binary_.resize(members * batch_ * rows.binary_dim);
}

void BootstrapBatches::Shuffle() {
  for (auto& order : order_) {
    for (size_t i = order.size() - 1; i > 0; --i) std::swap(order[i], order[rng_.Below(i + 1)]);
  }
}

nn::EnsembleRows BootstrapBatches::Batch(int64_t index) {
  float* inputs = inputs_.data();
  float* targets = targets_.data();
  float* binary = binary_.data();
  for (int m = 0; m < members_; ++m) {
    const int64_t* order = order_[m].data() + index * batch_;
    for (int64_t i = 0; i < batch_; ++i) {
      inputs = CopyRow(rows_.inputs, order[i], rows_.input_dim, inputs);
      targets = CopyRow(rows_.targets, order[i], rows_.output_dim, targets);
      if (rows_.binary_dim > 0) binary = CopyRow(rows_.binary, order[i], rows_.binary_dim, binary);
    }
  }
  return {.rows = batch_, .inputs = inputs_, .targets = targets_, .binary_targets = binary_};
}

}  // namespace tandem::dynamics
