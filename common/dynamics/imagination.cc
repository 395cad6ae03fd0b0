#include "common/dynamics/imagination.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/data/finite.h"
#include "common/dynamics/disagreement.h"

namespace tandem::dynamics {
namespace {

absl::StatusOr<int64_t> CountRows(const DynamicsModel& model, std::span<const float> states) {
  const int64_t rows = static_cast<int64_t>(states.size()) / model.obs_dim();
  if (static_cast<int64_t>(states.size()) != rows * model.obs_dim()) {
    return absl::InvalidArgumentError(absl::StrCat("start states: expected [B,", model.obs_dim(),
                                                   "], got ", states.size(), " numbers"));
  }
  return rows;
}

/// Acts in blocks of `block` rows: the policy's activations stay in cache, while the model sees
/// enough rows at once for each of its members.
absl::Status ActInBlocks(const ActFunction& act, int64_t obs_dim, int64_t action_dim, int64_t block,
                         std::span<const float> observations, std::span<float> actions) {
  const int64_t rows = static_cast<int64_t>(observations.size()) / obs_dim;
  for (int64_t begin = 0; begin < rows; begin += block) {
    const int64_t count = std::min(block, rows - begin);
    TANDEM_RETURN_IF_ERROR(act(observations.subspan(begin * obs_dim, count * obs_dim),
                               actions.subspan(begin * action_dim, count * action_dim)));
  }
  return absl::OkStatus();
}

bool Finite(const ModelStep& step, int64_t obs_dim, int64_t row) {
  const std::span<const float> all = step.next_observations;
  return std::isfinite(step.rewards[row]) && AllFinite(all.subspan(row * obs_dim, obs_dim));
}

bool Finite(const ModelStep& step) {
  return AllFinite(step.rewards) && AllFinite(step.next_observations);
}

template <typename T>
void AppendRange(std::vector<T>* to, const T* from, int64_t count) {
  to->insert(to->end(), from, from + count);
}

/// Imagines from one chunk of start states.
class Chunk {
 public:
  Chunk(DynamicsModel& model, const ActFunction& act, int64_t block, Rng& rng)
      : model_(model), act_(act), block_(block), rng_(rng) {}

  void Start(std::span<const float> states) { states_.assign(states.begin(), states.end()); }
  bool empty() const { return states_.empty(); }

  absl::Status Step() {
    const int64_t rows = static_cast<int64_t>(states_.size()) / model_.obs_dim();
    actions_.resize(rows * model_.action_dim());
    TANDEM_RETURN_IF_ERROR(
        ActInBlocks(act_, model_.obs_dim(), model_.action_dim(), block_, states_, actions_));
    return model_.Step(states_, actions_, rng_, &step_);
  }

  /// Lets `caution` judge the step, and forgets the rows that it cuts: they end before the step.
  absl::Status Judge(bool first, Caution& caution, int64_t* truncated) {
    if (!caution.active()) return absl::OkStatus();
    TANDEM_RETURN_IF_ERROR(caution.Judge(states_, actions_, first, step_.rewards));
    const int64_t rows = static_cast<int64_t>(step_.rewards.size());
    const int64_t obs = model_.obs_dim(), act = model_.action_dim();
    int64_t kept = 0;
    for (int64_t i = 0; i < rows; ++i) {
      if (caution.too_far(i)) continue;
      std::copy_n(states_.begin() + i * obs, obs, states_.begin() + kept * obs);
      std::copy_n(actions_.begin() + i * act, act, actions_.begin() + kept * act);
      std::copy_n(step_.next_observations.begin() + i * obs, obs,
                  step_.next_observations.begin() + kept * obs);
      step_.rewards[kept] = step_.rewards[i];
      step_.terminated[kept++] = step_.terminated[i];
    }
    if (truncated != nullptr) *truncated += rows - kept;
    states_.resize(kept * obs);
    actions_.resize(kept * act);
    step_.next_observations.resize(kept * obs);
    step_.rewards.resize(kept);
    step_.terminated.resize(kept);
    return absl::OkStatus();
  }

  /// Appends the step and goes on with the rows that have not ended.
  void Record(TransitionBatch* out, int64_t* dropped) {
    const int64_t obs = model_.obs_dim(), act = model_.action_dim();
    if (Finite(step_)) {  // the usual case: whole columns
      AppendRange(&out->observations, states_.data(), states_.size());
      AppendRange(&out->actions, actions_.data(), actions_.size());
      AppendRange(&out->next_observations, step_.next_observations.data(), states_.size());
      AppendRange(&out->rewards, step_.rewards.data(), step_.rewards.size());
      AppendRange(&out->terminated, step_.terminated.data(), step_.terminated.size());
    } else {
      for (size_t i = 0; i < step_.rewards.size(); ++i) {
        if (!Finite(step_, obs, i)) {
          ++*dropped;
          continue;
        }
        AppendRange(&out->observations, states_.data() + i * obs, obs);
        AppendRange(&out->actions, actions_.data() + i * act, act);
        AppendRange(&out->next_observations, step_.next_observations.data() + i * obs, obs);
        out->rewards.push_back(step_.rewards[i]);
        out->terminated.push_back(step_.terminated[i]);
      }
    }
    KeepSurvivors();
  }

  /// Adds the step's rewards to the sums of the rollouts `owners`, and goes on with those that have
  /// not ended. The sum of one that is not finite any more is NaN.
  void Add(std::vector<int64_t>* owners, std::span<double> sums) {
    const int64_t obs = model_.obs_dim();
    survivors_.clear();
    size_t kept = 0;
    for (size_t i = 0; i < step_.rewards.size(); ++i) {
      const bool finite = Finite(step_, obs, i);
      double& sum = sums[(*owners)[i]];
      sum = finite ? sum + step_.rewards[i] : std::numeric_limits<double>::quiet_NaN();
      if (!finite || step_.terminated[i] != 0) continue;
      AppendRange(&survivors_, step_.next_observations.data() + i * obs, obs);
      (*owners)[kept++] = (*owners)[i];
    }
    owners->resize(kept);
    states_.swap(survivors_);
  }

 private:
  /// Goes on with the next observations of rows that are finite and have not ended.
  void KeepSurvivors() {
    const int64_t obs = model_.obs_dim();
    survivors_.clear();
    for (size_t i = 0; i < step_.rewards.size(); ++i) {
      if (step_.terminated[i] != 0 || !Finite(step_, obs, i)) continue;
      AppendRange(&survivors_, step_.next_observations.data() + i * obs, obs);
    }
    states_.swap(survivors_);
  }

  DynamicsModel& model_;
  const ActFunction& act_;
  const int64_t block_;
  Rng& rng_;
  std::vector<float> states_, survivors_, actions_;
  ModelStep step_;
};

/// Rows stepped together: each elite gets some blocks of them in a row, so that its weights are
/// read from memory once for all of these.
int64_t ChunkRows(const DynamicsModel& model, int64_t block) {
  constexpr int64_t kBlocksOfElite = 4;
  return kBlocksOfElite * block * static_cast<int64_t>(model.elites().size());
}

}  // namespace

absl::Status Imagine(DynamicsModel& model, const ActFunction& act,
                     std::span<const float> start_states, const ImagineOptions& options, Rng& rng,
                     const std::function<bool()>& cancelled, TransitionBatch* out, int64_t* dropped,
                     int64_t* truncated) {
  if (options.horizon < 1 || options.block_rows < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("imagination: expected horizon and block_rows of at least 1, got ",
                     options.horizon, " and ", options.block_rows));
  }
  TANDEM_ASSIGN_OR_RETURN(const int64_t rows, CountRows(model, start_states));
  out->obs_dim = model.obs_dim();
  out->action_dim = model.action_dim();
  const size_t total = out->rewards.size() + static_cast<size_t>(rows);
  out->observations.reserve(total * model.obs_dim());
  out->next_observations.reserve(total * model.obs_dim());
  out->actions.reserve(total * model.action_dim());
  out->rewards.reserve(total);
  out->terminated.reserve(total);
  Chunk chunk(model, act, options.block_rows, rng);
  Caution caution(model, options.pessimism, options.truncate_above);
  const int64_t size = ChunkRows(model, options.block_rows);
  for (int64_t begin = 0; begin < rows; begin += size) {
    const int64_t count = std::min(size, rows - begin);
    chunk.Start(start_states.subspan(begin * model.obs_dim(), count * model.obs_dim()));
    for (int t = 0; t < options.horizon && !chunk.empty(); ++t) {
      if (cancelled && cancelled()) return absl::CancelledError("imagination: cancelled");
      TANDEM_RETURN_IF_ERROR(chunk.Step());
      TANDEM_RETURN_IF_ERROR(chunk.Judge(/*first=*/t == 0, caution, truncated));
      chunk.Record(out, dropped);
    }
  }
  return absl::OkStatus();
}

absl::Status ImaginedReturns(DynamicsModel& model, const ActAtFunction& act,
                             std::span<const float> start_states, int rollouts, int64_t max_steps,
                             Rng& rng, const std::function<bool()>& cancelled,
                             std::span<double> returns) {
  TANDEM_ASSIGN_OR_RETURN(const int64_t rows, CountRows(model, start_states));
  if (rollouts < 1 || max_steps < 0 || static_cast<int64_t>(returns.size()) != rows) {
    return absl::InvalidArgumentError(
        absl::StrCat("imagined returns: expected rollouts >= 1, max_steps >= 0 and ", rows,
                     " returns, got ", rollouts, ", ", max_steps, " and ", returns.size()));
  }
  const int64_t obs = model.obs_dim();
  std::vector<float> starts;
  for (int64_t i = 0; i < rows; ++i) {
    for (int r = 0; r < rollouts; ++r) AppendRange(&starts, start_states.data() + i * obs, obs);
  }
  const int64_t total = rows * rollouts;
  std::vector<double> sums(total);
  constexpr int64_t kBlock = 256;
  std::vector<int64_t> owners;  // rollout of each row of the chunk
  std::vector<int64_t> block_starts;
  int64_t t = 0;
  size_t row = 0;  // of the chunk; its blocks come in order
  const ActFunction act_now = [&](std::span<const float> observations, std::span<float> actions) {
    const size_t end = row + observations.size() / obs;
    block_starts.clear();
    for (; row < end; ++row) block_starts.push_back(owners[row] / rollouts);
    return act(t, block_starts, observations, actions);
  };
  Chunk chunk(model, act_now, kBlock, rng);
  const int64_t size = ChunkRows(model, kBlock);
  for (int64_t begin = 0; begin < total; begin += size) {
    const int64_t count = std::min(size, total - begin);
    owners.resize(count);
    std::iota(owners.begin(), owners.end(), begin);
    chunk.Start(std::span(starts).subspan(begin * obs, count * obs));
    for (t = 0; t < max_steps && !chunk.empty(); ++t) {
      if (cancelled && cancelled()) return absl::CancelledError("imagined returns: cancelled");
      row = 0;
      TANDEM_RETURN_IF_ERROR(chunk.Step());
      chunk.Add(&owners, sums);
    }
  }
  for (int64_t i = 0; i < rows; ++i) {
    double sum = 0;
    for (int r = 0; r < rollouts; ++r) sum += sums[i * rollouts + r];
    returns[i] = sum / rollouts;
  }
  return absl::OkStatus();
}

int HorizonAt(int64_t env_steps, int from, int to, int64_t begin, int64_t end) {
  if (env_steps <= begin) return from;
  if (env_steps >= end) return to;
  const double share = static_cast<double>(env_steps - begin) / static_cast<double>(end - begin);
  return from + static_cast<int>(std::floor(share * (to - from)));
}

}  // namespace tandem::dynamics
