#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "common/base/status_macros.h"
#include "common/nn/denormals.h"
#include "common/nn/device.h"
#include "common/nn/explicit_networks.h"
#include "common/nn/relu_net.h"
#include "common/nn/second_thread.h"
#include "common/nn/try_torch.h"

namespace tandem::nn {
namespace {

/// What a backward pass through a network writes on its way to the gradient.
struct BackwardScratch {
  LayerBuffers d_hidden;
  AlignedFloats d_action, head_gradient, transposed;
};

/// The explicit CPU path: forward (see ExplicitNetworks) and backward written out, with fused
/// passes between the products. With several threads configured an update takes two, one for each
/// critic; as each critic is computed as before, the numbers are the same bit for bit.
class ExplicitActorCritic : public ExplicitNetworks {
 public:
  using ExplicitNetworks::ExplicitNetworks;

  absl::StatusOr<SacFigures> Update(const SacBatch& batch) override {
    TANDEM_RETURN_IF_ERROR(CheckBatch(batch));
    SacFigures figures;
    TANDEM_RETURN_IF_ERROR(TryTorch([&] { return Step(batch, &figures); }));
    return figures;
  }

 private:
  /// work(c) for each critic, at once where an update has two threads.
  template <typename Work>
  void ForBothCritics(const Work& work) {
    if (!second_thread_.has_value()) {
      work(0);
      work(1);
      return;
    }
    second_thread_->RunBoth([&] { work(0); },
                            [&] {
                              const FlushDenormals flush;
                              work(1);
                            });
  }

  /// One for both critics, which stays in cache, unless they are computed at once.
  BackwardScratch& ScratchOf(int c) { return scratch_[second_thread_.has_value() ? c : 0]; }

  absl::Status Step(const SacBatch& batch, SacFigures* figures) {
    const FlushDenormals flush;
    const int64_t rows = batch.rows, obs = spec_.obs_dim;
    const double alpha = temperature();
    Resize(rows);
    std::copy(batch.next_observations.begin(), batch.next_observations.end(), stacked_.begin());
    std::copy(batch.observations.begin(), batch.observations.end(), stacked_.begin() + rows * obs);
    noise_buffer_.resize(2 * rows * spec_.action_dim);
    noise_.Fill(noise_buffer_);
    RunActor(stacked_.data(), 2 * rows, noise_buffer_.data(), &actor_pass_);

    Targets(batch, alpha, figures);
    Concatenate(batch.observations.data(), batch.actions.data(), rows, inputs_.data());
    ForBothCritics([&](int c) { RunCritic(c, critic_.p, inputs_.data(), rows, &critic_pass_); });
    TANDEM_RETURN_IF_ERROR(CriticLoss(rows, figures));
    ++updates_;
    ForBothCritics([&](int c) { CriticBackward(c, rows); });

    PutActions(actor_pass_, rows, rows, input_dim_, inputs_.data() + obs);
    ForBothCritics([&](int c) { RunCritic(c, critic_.p, inputs_.data(), rows, &critic_pass_); });
    TANDEM_RETURN_IF_ERROR(ActorLoss(rows, alpha, figures));
    ActionGradient(rows);
    ActorBackward(rows, alpha);

    temperature_.Update(-figures->entropy, options_, updates_);
    figures->temperature = temperature();
    return absl::OkStatus();
  }

  void Resize(int64_t rows) {
    const int64_t padded = PadLanes(rows);
    actor_.ReserveForTraining();
    critic_.ReserveForTraining();
    stacked_.resize(2 * rows * spec_.obs_dim);
    inputs_.resize(rows * input_dim_);
    if (!second_thread_.has_value() && Threads() > 1) second_thread_.emplace();
    for (int c = 0; c < 2; ++c) {
      BackwardScratch& scratch = ScratchOf(c);
      ReserveLayers(critic_layout_, rows, &scratch.d_hidden);
      Reserve(&scratch.d_action, rows * PadLanes(spec_.action_dim));
      Reserve(&scratch.head_gradient, LastWidth());
    }
    Reserve(&d_output_, rows * ActorHead().stride);
    for (AlignedFloats* column : {&wanted_, &ones_, &factors_[0], &factors_[1]}) {
      Reserve(column, padded);
    }
    std::fill_n(ones_.begin(), rows, 1.0f);
    action_slopes_.resize(rows * spec_.action_dim);
  }

  /// wanted_ = reward + discount (1 - terminated) (smaller target critic - alpha log probability).
  void Targets(const SacBatch& batch, double alpha, SacFigures* figures) {
    Concatenate(batch.next_observations.data(), batch.actions.data(), batch.rows, inputs_.data());
    PutActions(actor_pass_, 0, batch.rows, input_dim_, inputs_.data() + spec_.obs_dim);
    ForBothCritics(
        [&](int c) { RunCritic(c, target_, inputs_.data(), batch.rows, &critic_pass_); });
    double sum = 0;
    const float discount = static_cast<float>(options_.discount);
    for (int64_t i = 0; i < batch.rows; ++i) {
      const float value =
          Smaller(critic_pass_, i) - static_cast<float>(alpha) * actor_pass_.log_prob[i];
      wanted_[i] = batch.rewards[i] + discount * (1 - batch.terminated[i]) * value;
      sum += wanted_[i];
    }
    figures->target_mean = sum / static_cast<double>(batch.rows);
  }

  absl::Status CriticLoss(int64_t rows, SacFigures* figures) {
    double loss = 0, q_sum = 0;
    const float scale = 2.0f / static_cast<float>(rows);
    for (int64_t i = 0; i < rows; ++i) {
      for (int c = 0; c < 2; ++c) {
        const float error = critic_pass_.values[c][i] - wanted_[i];
        factors_[c][i] = scale * error;
        loss += static_cast<double>(error) * error;
      }
      q_sum += Smaller(critic_pass_, i);
    }
    figures->critic_loss = loss / static_cast<double>(rows);
    figures->q_mean = q_sum / static_cast<double>(rows);
    if (std::isfinite(figures->critic_loss)) return absl::OkStatus();
    return absl::InternalError("sac: the critic's loss is not finite");
  }

  /// Gradient and Adam step of critic `c`, and its target's step towards it, from factors_[c], the
  /// loss's slope by its values.
  void CriticBackward(int c, int64_t rows) {
    const int64_t offset = c * critic_layout_.size(), ld = LastWidth();
    const LayoutEntry& head = CriticHead();
    BackwardScratch& scratch = ScratchOf(c);
    float* p = critic_.p.data() + offset;
    float* gradient = critic_.gradient.data() + offset;
    const float* factor = factors_[c].data();
    const float* last = critic_pass_.hidden[c].back().data();
    kernels_.product(factor, 1, 1, last, ld, nullptr, 1, ld, rows, Activation::kNone,
                     scratch.head_gradient.data(), ld, nullptr);
    for (int64_t k = 0; k < head.rows; ++k) {
      gradient[head.offset + k * head.stride] = scratch.head_gradient[k];
    }
    float bias = 0;
    for (int64_t i = 0; i < rows; ++i) bias += factor[i];
    gradient[critic_layout_[2 * layers_ + 1].offset] = bias;
    TransposeRows(head, p + head.offset, 0, head.rows, &scratch.transposed);
    kernels_.masked_outer(factor, scratch.transposed.data(), last, nullptr, rows, ld,
                          scratch.d_hidden.back().data(),
                          gradient + critic_layout_[2 * layers_ - 1].offset);
    HiddenBackward(critic_layout_, p, inputs_.data(), input_dim_, 0, rows, critic_pass_.hidden[c],
                   &scratch.d_hidden, gradient, &scratch.transposed);
    AdamNetwork(critic_layout_, Adam(), updates_, p, gradient, critic_.m.data() + offset,
                critic_.v.data() + offset);
    kernels_.approach(target_.data() + offset, p, critic_layout_.size(),
                      static_cast<float>(options_.tau));
  }

  absl::Status ActorLoss(int64_t rows, double alpha, SacFigures* figures) {
    double log_prob = 0, value = 0;
    for (auto& rows_of : rows_of_) rows_of.clear();
    for (int64_t i = 0; i < rows; ++i) {
      log_prob += actor_pass_.log_prob[rows + i];
      value += Smaller(critic_pass_, i);
      const int smaller = critic_pass_.values[1][i] < critic_pass_.values[0][i] ? 1 : 0;
      rows_of_[smaller].push_back(static_cast<int32_t>(i));
    }
    const double count = static_cast<double>(rows);
    figures->entropy = -log_prob / count;
    figures->actor_loss = (alpha * log_prob - value) / count;
    if (std::isfinite(figures->actor_loss)) return absl::OkStatus();
    return absl::InternalError("sac: the actor's loss is not finite");
  }

  /// action_slopes_ = gradient of -mean(smaller value) by the actions, through each row's smaller
  /// critic alone.
  void ActionGradient(int64_t rows) {
    std::fill_n(factors_[0].begin(), rows, -1.0f / static_cast<float>(rows));
    ForBothCritics([&](int c) { ActionGradientOf(c); });
  }

  /// Rows of critic `c`.
  void ActionGradientOf(int c) {
    const int64_t dim = spec_.action_dim, ld = LastWidth(), ld_action = PadLanes(dim);
    const int64_t count = static_cast<int64_t>(rows_of_[c].size());
    if (count == 0) return;
    const LayoutEntry& first = critic_layout_[0];
    BackwardScratch& scratch = ScratchOf(c);
    const float* p = critic_.p.data() + c * critic_layout_.size();
    const int32_t* index = rows_of_[c].data();
    TransposeRows(CriticHead(), p + CriticHead().offset, 0, CriticHead().rows, &scratch.transposed);
    kernels_.masked_outer(factors_[0].data(), scratch.transposed.data(),
                          critic_pass_.hidden[c].back().data(), index, count, ld,
                          scratch.d_hidden.back().data(), nullptr);
    PullBack(critic_layout_, p, index, count, critic_pass_.hidden[c], &scratch.d_hidden,
             &scratch.transposed);
    TransposeRows(first, p + first.offset, spec_.obs_dim, dim, &scratch.transposed);
    kernels_.product(scratch.d_hidden[0].data(), first.stride, 1, scratch.transposed.data(),
                     ld_action, nullptr, count, ld_action, first.cols, Activation::kNone,
                     scratch.d_action.data(), ld_action, nullptr);
    for (int64_t k = 0; k < count; ++k) {
      std::copy_n(scratch.d_action.data() + k * ld_action, dim,
                  action_slopes_.data() + index[k] * dim);
    }
  }

  void ActorBackward(int64_t rows, double alpha) {
    const int64_t dim = spec_.action_dim, ld = LastWidth();
    const LayoutEntry& head = ActorHead();
    BackwardScratch& scratch = ScratchOf(0);
    const float weight = static_cast<float>(alpha / static_cast<double>(rows));
    for (int64_t a = 0; a < dim; ++a) {
      const float* action = actor_pass_.action[a].data() + rows;
      const float* scaled = actor_pass_.scaled_noise[a].data() + rows;
      const float* clamped = actor_pass_.clamped[a].data() + rows;
      for (int64_t i = 0; i < rows; ++i) {
        // d log_prob / d u = 2 tanh(u); d action / d u = 1 - tanh(u)^2
        const float slope =
            weight * 2 * action[i] + action_slopes_[i * dim + a] * (1 - action[i] * action[i]);
        d_output_[i * head.stride + a] = slope;
        d_output_[i * head.stride + dim + a] = (1 - clamped[i]) * (slope * scaled[i] - weight);
      }
    }
    float* p = actor_.p.data();
    float* gradient = actor_.gradient.data();
    const float* last = actor_pass_.hidden.back().data() + rows * ld;
    DenseWeightGradient(head, last, ld, d_output_.data(), rows, gradient + head.offset);
    kernels_.product(ones_.data(), 1, 1, d_output_.data(), head.stride, nullptr, 1, head.stride,
                     rows, Activation::kNone, gradient + actor_layout_[2 * layers_ + 1].offset,
                     head.stride, nullptr);
    TransposeRows(head, p + head.offset, 0, head.rows, &scratch.transposed);
    kernels_.product(d_output_.data(), head.stride, 1, scratch.transposed.data(), ld, nullptr, rows,
                     ld, head.cols, Activation::kNone, scratch.d_hidden.back().data(), ld, nullptr);
    kernels_.mask_and_sum(scratch.d_hidden.back().data(), last, nullptr, rows, ld,
                          gradient + actor_layout_[2 * layers_ - 1].offset);
    HiddenBackward(actor_layout_, p, stacked_.data() + rows * spec_.obs_dim, spec_.obs_dim, rows,
                   rows, actor_pass_.hidden, &scratch.d_hidden, gradient, &scratch.transposed);
    AdamNetwork(actor_layout_, Adam(), updates_, p, gradient, actor_.m.data(), actor_.v.data());
  }

  // Scratch of an update.
  ActorPass actor_pass_;  ///< 2 B rows: next observations, observations
  CriticPass critic_pass_;
  std::array<BackwardScratch, 2> scratch_;
  std::vector<float> stacked_, inputs_, noise_buffer_, action_slopes_;
  AlignedFloats wanted_, ones_, d_output_;
  std::array<AlignedFloats, 2> factors_;
  std::array<std::vector<int32_t>, 2> rows_of_;  ///< Rows where critic 0 or 1 is the smaller.
  std::optional<SecondThread> second_thread_;    ///< From the first update with several threads on.
};

}  // namespace

std::unique_ptr<ActorCritic> MakeExplicitActorCritic(const ActorCriticSpec& spec,
                                                     const SacOptions& options,
                                                     std::optional<uint64_t> seed) {
  return std::make_unique<ExplicitActorCritic>(spec, options, seed);
}

}  // namespace tandem::nn
