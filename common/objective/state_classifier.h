#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/rng.h"
#include "common/dynamics/normaliser.h"
#include "common/nn/binary_classifier.h"

namespace tandem::objective {

struct StateClassifierOptions {
  std::vector<int> hidden = {64, 64};  ///< >= 1 each
  nn::AdamOptions adam = {.lr = 2e-3};
  int batch_size = 256;    ///< Real states in a step, and as many imagined ones.
  int first_steps = 5000;  ///< Gradient steps of the first fit ...
  int fit_steps = 1000;    ///< ... and of each one after it, from the weights of the last.
  /// Targets are 1 - smoothing for real states and smoothing for imagined ones, in [0, 0.5).
  double smoothing = 0.01;
  /// Share of real states among the imagined examples, in [0, 1). See StateClassifier.
  double mixture = 0.9;
  /// Standard deviation of Gaussian noise on the scaled states while it learns, >= 0. The width
  /// that the edge of the data gets: a model that is right but for so much must not pay for it.
  double input_noise = 0.03;
  /// Imagined states of the past that are kept, >= 1: so many times 4 obs_dim bytes.
  int64_t memory_rows = 100'000;
  std::string device = "cpu";
  uint64_t seed = 0;  ///< Of the weights.
};

/// Tells states that the world reaches from those that only imagination does. With d the density of
/// real states, m that of imagined ones and b the mixture, its logit estimates
///   log d(s) - log(b d(s) + (1 - b) m(s)),
/// the relative density ratio of Yamada et al. (2011): far below 0 where the world does not go,
/// however seldom imagination does. To leave the data is what must cost, not to prefer some of
/// them, and the mixture dampens what crowding costs: at b = 0.9 the logit is -0.6 where a policy
/// is ten times as dense as the data, -1.1 at twenty and -2.4 at a hundred times.
///
/// The network sees Fourier features of the scaled state beside it (Tancik et al. 2020): without
/// them a small network draws no edge as sharp as a wall's.
///
/// Why beside the classifier of transitions (transition_classifier.h): that one compares next
/// states of the same real (s, a), and so knows nothing of what follows where no data are. A policy
/// that has got a hair into a wall goes on through it for nothing, since neither kind of example
/// has ever begun there. The idea of a price for leaving the data is that of MOReL (Kidambi et al.
/// 2020); the estimate by a classifier against the policy's own imagined states is AMPO's (Shen et
/// al. 2020) without its change of the model.
///
/// Half of the examples that are imagined are the newest, which go where the policy now goes; half
/// are drawn from a uniform sample of all earlier ones, so that a way which the policy gave up
/// because of its price stays dear for long. It fades as the sample covers ever more fits.
///
/// Knows nothing of RPC. Not thread-safe. Fit blocks for its whole computation.
class StateClassifier {
 public:
  /// INVALID_ARGUMENT on options out of range.
  static absl::StatusOr<std::unique_ptr<StateClassifier>> Create(
      int64_t obs_dim, const StateClassifierOptions& options);

  /// Learns to tell `real` from `imagined` and the imagined ones of earlier fits, and keeps some of
  /// `imagined` for later fits. Both [B, obs_dim], B >= 1; rows that are not finite are left out,
  /// which takes a copy of the others. A fit that does not end leaves the network changed.
  /// All draws are rng's. `cancelled`, if any, is asked before each gradient step.
  /// INVALID_ARGUMENT on a shape or where no row is finite; CANCELLED; INTERNAL where a loss is not
  /// finite.
  absl::Status Fit(std::span<const float> real, std::span<const float> imagined, Rng& rng,
                   const std::function<bool()>& cancelled);

  /// The log-ratio of states, [B, obs_dim], into logits, [B]; not clipped. FAILED_PRECONDITION
  /// before the first fit; INVALID_ARGUMENT on a shape.
  absl::Status Logits(std::span<const float> states, std::span<float> logits);

  int64_t fits() const { return fits_; }
  /// Imagined states that are kept for later fits.
  int64_t memory_rows() const { return static_cast<int64_t>(memory_.size()) / obs_dim_; }

 private:
  StateClassifier(int64_t obs_dim, const StateClassifierOptions& options,
                  std::unique_ptr<nn::BinaryClassifier> network);

  /// Fills states_, inputs_ and targets_ with a batch: real states, then imagined ones.
  void Draw(std::span<const float> real, std::span<const float> imagined, Rng& rng);
  /// Reservoir sampling (Vitter 1985): memory_ stays a uniform sample of all rows ever kept.
  void Keep(std::span<const float> imagined, Rng& rng);

  const int64_t obs_dim_;
  const StateClassifierOptions options_;
  const std::unique_ptr<nn::BinaryClassifier> network_;
  dynamics::Normaliser normaliser_;
  std::vector<float> memory_;  // [<= memory_rows, obs_dim]
  int64_t kept_ = 0;           // rows that memory_ is a sample of
  int64_t fits_ = 0;
  std::vector<float> states_, inputs_, targets_, noise_;  // of a batch
};

}  // namespace tandem::objective
