#include "common/objective/state_classifier.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/data/finite.h"
#include "common/data/rows.h"
#include "common/nn/normal_stream.h"

namespace tandem::objective {
namespace {

/// Standard deviation given to columns that do not vary: they are shifted alone.
constexpr float kConstantStd = 1;
/// Frequencies of the Fourier features, per standard deviation of the data.
constexpr float kFrequencies[] = {2, 4};
constexpr int64_t kColumns = 1 + 2 * std::size(kFrequencies);  // of a state's element

absl::Status Check(int64_t obs_dim, const StateClassifierOptions& o) {
  const auto bad = [](const char* what) {
    return absl::InvalidArgumentError(absl::StrCat("state classifier: expected ", what));
  };
  if (obs_dim < 1) return bad("states of at least 1 element");
  if (o.batch_size < 1) return bad("batch_size >= 1");
  if (o.first_steps < 1 || o.fit_steps < 1) return bad("at least 1 step in a fit");
  if (!(o.smoothing >= 0 && o.smoothing < 0.5)) return bad("0 <= smoothing < 0.5");
  if (!(o.input_noise >= 0)) return bad("input_noise >= 0");
  if (!(o.mixture >= 0 && o.mixture < 1)) return bad("0 <= mixture < 1");
  if (o.memory_rows < 1) return bad("memory_rows >= 1");
  if (!(o.adam.lr > 0) || !(o.adam.weight_decay >= 0)) return bad("lr > 0, weight_decay >= 0");
  return absl::OkStatus();
}

/// The rows that are finite: `rows` itself where all are, else a copy of them in `kept`.
std::span<const float> FiniteRows(std::span<const float> rows, int64_t dim,
                                  std::vector<float>& kept) {
  if (AllFinite(rows)) return rows;
  kept.reserve(rows.size());
  for (int64_t i = 0; i < static_cast<int64_t>(rows.size()) / dim; ++i) {
    const std::span<const float> row = Row(rows, i, dim);
    if (AllFinite(row)) kept.insert(kept.end(), row.begin(), row.end());
  }
  return kept;
}

/// What the network sees of scaled states: each element, and sine and cosine of its multiples.
void SetFeatures(std::span<const float> scaled, std::vector<float>* out) {
  out->clear();
  out->reserve(kColumns * scaled.size());
  for (const float x : scaled) {
    out->push_back(x);
    for (const float frequency : kFrequencies) {
      out->push_back(std::sin(frequency * x));
      out->push_back(std::cos(frequency * x));
    }
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<StateClassifier>> StateClassifier::Create(
    int64_t obs_dim, const StateClassifierOptions& options) {
  TANDEM_RETURN_IF_ERROR(Check(obs_dim, options));
  TANDEM_ASSIGN_OR_RETURN(
      auto network,
      nn::BinaryClassifier::Create({.input_dim = kColumns * obs_dim, .hidden = options.hidden},
                                   options.device, StreamSeed(options.seed, "state_classifier")));
  return std::unique_ptr<StateClassifier>(
      new StateClassifier(obs_dim, options, std::move(network)));
}

StateClassifier::StateClassifier(int64_t obs_dim, const StateClassifierOptions& options,
                                 std::unique_ptr<nn::BinaryClassifier> network)
    : obs_dim_(obs_dim), options_(options), network_(std::move(network)) {}

void StateClassifier::Draw(std::span<const float> real, std::span<const float> imagined, Rng& rng) {
  const int64_t rows = options_.batch_size;
  const auto smoothing = static_cast<float>(options_.smoothing);
  states_.resize(2 * rows * obs_dim_);
  targets_.resize(2 * rows);
  for (int64_t i = 0; i < 2 * rows; ++i) {
    std::span<const float> from = i < rows ? real : imagined;
    if (i >= rows && rng.Uniform(0, 1) < options_.mixture) {
      from = real;
    } else if (i >= rows && i % 2 == 1 && !memory_.empty()) {
      from = memory_;
    }
    const auto row = static_cast<int64_t>(rng.Below(static_cast<uint64_t>(from.size() / obs_dim_)));
    const std::span<const float> state = Row(from, row, obs_dim_);
    std::copy(state.begin(), state.end(), states_.begin() + i * obs_dim_);
    targets_[i] = i < rows ? 1 - smoothing : smoothing;
  }
  normaliser_.Apply(states_);
  if (options_.input_noise > 0) {
    noise_.resize(states_.size());
    nn::NormalStream(rng.Next()).Fill(noise_);
    const auto scale = static_cast<float>(options_.input_noise);
    for (size_t i = 0; i < states_.size(); ++i) states_[i] += scale * noise_[i];
  }
  SetFeatures(states_, &inputs_);
}

void StateClassifier::Keep(std::span<const float> imagined, Rng& rng) {
  const int64_t rows = static_cast<int64_t>(imagined.size()) / obs_dim_;
  for (int64_t i = 0; i < rows; ++i, ++kept_) {
    const std::span<const float> row = Row(imagined, i, obs_dim_);
    if (kept_ < options_.memory_rows) {
      memory_.insert(memory_.end(), row.begin(), row.end());
      continue;
    }
    const auto at = static_cast<int64_t>(rng.Below(static_cast<uint64_t>(kept_ + 1)));
    if (at < options_.memory_rows) {
      std::copy(row.begin(), row.end(), memory_.begin() + at * obs_dim_);
    }
  }
}

absl::Status StateClassifier::Fit(std::span<const float> real, std::span<const float> imagined,
                                  Rng& rng, const std::function<bool()>& cancelled) {
  std::vector<float> kept_real, kept_imagined;
  const std::span<const float> finite_real = FiniteRows(real, obs_dim_, kept_real);
  const std::span<const float> finite_imagined = FiniteRows(imagined, obs_dim_, kept_imagined);
  if (real.size() % obs_dim_ != 0 || imagined.size() % obs_dim_ != 0 || finite_real.empty() ||
      finite_imagined.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "state classifier: expected finite real and imagined states of ", obs_dim_,
        " elements, got ", real.size(), " and ", imagined.size(), " numbers, of which ",
        finite_real.size(), " and ", finite_imagined.size(), " in finite states"));
  }
  normaliser_ = dynamics::Normaliser::Of(finite_real, obs_dim_, kConstantStd);
  const int steps = fits_ == 0 ? options_.first_steps : options_.fit_steps;
  for (int step = 0; step < steps; ++step) {
    if (cancelled && cancelled()) return absl::CancelledError("state classifier: cancelled");
    Draw(finite_real, finite_imagined, rng);
    TANDEM_RETURN_IF_ERROR(
        network_
            ->TrainStep(
                {.rows = 2 * int64_t{options_.batch_size}, .inputs = inputs_, .targets = targets_},
                {.adam = options_.adam})
            .status());
  }
  Keep(finite_imagined, rng);
  ++fits_;
  return absl::OkStatus();
}

absl::Status StateClassifier::Logits(std::span<const float> states, std::span<float> logits) {
  if (fits_ == 0) return absl::FailedPreconditionError("state classifier: not fitted yet");
  if (states.size() != logits.size() * obs_dim_) {
    return absl::InvalidArgumentError(absl::StrCat("state classifier: expected ", logits.size(),
                                                   " states of ", obs_dim_, " elements, got ",
                                                   states.size(), " numbers"));
  }
  states_.assign(states.begin(), states.end());
  normaliser_.Apply(states_);
  SetFeatures(states_, &inputs_);
  return network_->Logits(inputs_, logits);
}

}  // namespace tandem::objective
