#include "common/objective/classifier_learner.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/data/finite.h"
#include "common/data/rows.h"
#include "common/dynamics/rng_state.h"
#include "common/nn/cross_entropy.h"
#include "common/nn/normal_stream.h"
#include "common/nn/snapshot_checks.h"

namespace tandem::objective {
namespace {

constexpr int64_t kMaxScoredRows = 5000;
constexpr int64_t kScoredBlock = 1024;
/// Standard deviation given to columns that do not vary: they pass as they are.
constexpr float kConstantStd = 1;
/// Of 1 - target beside a range given in decimals.
constexpr double kRounding = 1e-9;
constexpr char kFitsKey[] = "classifier.fits";
constexpr char kRngKey[] = "classifier.rng";

absl::Status Check(const ClassifierLearnerOptions& o) {
  const auto bad = [](const char* what) {
    return absl::InvalidArgumentError(absl::StrCat("classifier options: expected ", what));
  };
  if (o.batch_size < 1) return bad("batch_size >= 1");
  if (o.first_steps < 1 || o.fit_steps < 1) return bad("at least 1 step in a fit");
  if (!(o.smoothing >= 0 && o.smoothing < 0.5)) return bad("0 <= smoothing < 0.5");
  if (!(o.label_range >= 0 && o.label_range <= o.smoothing + kRounding)) {
    return bad("0 <= label_range <= smoothing");
  }
  if (!(o.input_noise >= 0)) return bad("input_noise >= 0");
  if (!(o.max_gradient_norm >= 0)) return bad("max_gradient_norm >= 0");
  if (!(o.adam.lr > 0) || !(o.adam.weight_decay >= 0)) return bad("lr > 0, weight_decay >= 0");
  return absl::OkStatus();
}

/// Adds up what the logits of scored rows say.
class Scores {
 public:
  void Add(float logit, bool real) {
    ++rows_;
    loss_ += nn::BinaryCrossEntropy(logit, real ? 1 : 0);
    right_ += (real ? logit > 0 : logit < 0) ? 1 : 0;
    if (real) {
      real_sum_ += logit;
      return;
    }
    model_sum_ += logit;
    min_ = std::min<double>(min_, logit);
    max_ = std::max<double>(max_, logit);
  }

  void Report(ClassifierReport* report) const {
    const double pairs = static_cast<double>(rows_) / 2;
    report->scored_rows = rows_ / 2;
    report->loss = loss_ / (2 * pairs);
    report->accuracy = right_ / (2 * pairs);
    report->real_logit = real_sum_ / pairs;
    report->model_logit = model_sum_ / pairs;
    report->model_logit_min = min_;
    report->model_logit_max = max_;
  }

 private:
  int64_t rows_ = 0;
  double loss_ = 0, right_ = 0;
  double real_sum_ = 0, model_sum_ = 0;
  double min_ = std::numeric_limits<double>::infinity();
  double max_ = -std::numeric_limits<double>::infinity();
};

/// Keeps the rows that are finite in both, at the same places; returns their number.
int64_t KeepFinitePairs(int64_t dim, std::vector<float>* real, std::vector<float>* modelled) {
  const int64_t rows = static_cast<int64_t>(real->size()) / dim;
  int64_t kept = 0;
  for (int64_t i = 0; i < rows; ++i) {
    const std::span<const float> from = Row(*real, i, dim), model_from = Row(*modelled, i, dim);
    if (!AllFinite(from) || !AllFinite(model_from)) continue;
    if (kept != i) {
      std::copy(from.begin(), from.end(), real->begin() + kept * dim);
      std::copy(model_from.begin(), model_from.end(), modelled->begin() + kept * dim);
    }
    ++kept;
  }
  real->resize(kept * dim);
  modelled->resize(kept * dim);
  return kept;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ClassifierLearner>> ClassifierLearner::Create(
    const EnvironmentSpec& spec, const ClassifierLearnerOptions& options) {
  TANDEM_RETURN_IF_ERROR(Validate(spec));
  TANDEM_RETURN_IF_ERROR(Check(options));
  const int64_t inputs = TransitionClassifier::InputDim(spec.observation.dim(), spec.action.dim());
  TANDEM_ASSIGN_OR_RETURN(
      auto network,
      nn::BinaryClassifier::Create(
          {.input_dim = inputs, .hidden = options.hidden, .layer_norm = options.layer_norm},
          options.device, StreamSeed(options.seed, "classifier")));
  return std::unique_ptr<ClassifierLearner>(
      new ClassifierLearner(spec, options, std::move(network)));
}

ClassifierLearner::ClassifierLearner(const EnvironmentSpec& spec,
                                     const ClassifierLearnerOptions& options,
                                     std::unique_ptr<nn::BinaryClassifier> network)
    : obs_dim_(spec.observation.dim()),
      action_dim_(spec.action.dim()),
      options_(options),
      rng_(options.seed, "classifier_learner"),
      network_(std::move(network)) {
  const int64_t inputs = TransitionClassifier::InputDim(obs_dim_, action_dim_);
  normaliser_ = {std::vector<float>(inputs, 0), std::vector<float>(inputs, 1)};
}

absl::Status ClassifierLearner::CheckData(const TransitionBatch& batch, const char* what) const {
  const size_t rows = static_cast<size_t>(batch.size());
  if (rows == 0) return absl::OkStatus();
  if (batch.obs_dim != obs_dim_ || batch.action_dim != action_dim_ ||
      batch.actions.size() != rows * action_dim_ ||
      batch.next_observations.size() != rows * obs_dim_) {
    return absl::InvalidArgumentError(absl::StrCat(
        "classifier's ", what, ": expected observations, actions and next ", "observations of [",
        rows, ",", obs_dim_, "] and [", rows, ",", action_dim_, "]"));
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> ClassifierLearner::Draw(const TransitionBatch& from,
                                                dynamics::DynamicsModel& model) {
  GatherRows(from.observations, obs_dim_, rows_, &observations_);
  GatherRows(from.actions, action_dim_, rows_, &actions_);
  GatherRows(from.next_observations, obs_dim_, rows_, &next_observations_);
  TANDEM_RETURN_IF_ERROR(model.Step(observations_, actions_, rng_, &model_step_));
  ClassifierInputs(obs_dim_, action_dim_, observations_, actions_, next_observations_, &inputs_);
  ClassifierInputs(obs_dim_, action_dim_, observations_, actions_, model_step_.next_observations,
                   &model_inputs_);
  normaliser_.Apply(inputs_);
  normaliser_.Apply(model_inputs_);
  const int64_t kept = KeepFinitePairs(normaliser_.dim(), &inputs_, &model_inputs_);
  inputs_.insert(inputs_.end(), model_inputs_.begin(), model_inputs_.end());
  return kept;
}

void ClassifierLearner::DrawTargets(int64_t pairs) {
  targets_.assign(2 * pairs, static_cast<float>(options_.smoothing));
  std::fill_n(targets_.begin(), pairs, static_cast<float>(1 - options_.smoothing));
  if (options_.label_range == 0) return;
  for (float& target : targets_) {
    const double moved = target + rng_.Uniform(-options_.label_range, options_.label_range);
    target = static_cast<float>(std::clamp(moved, 0.0, 1.0));
  }
}

absl::Status ClassifierLearner::Step(const TransitionBatch& train, dynamics::DynamicsModel& model) {
  rows_.resize(options_.batch_size);
  for (int64_t& row : rows_) row = static_cast<int64_t>(rng_.Below(train.size()));
  TANDEM_ASSIGN_OR_RETURN(const int64_t pairs, Draw(train, model));
  if (pairs == 0) return absl::InternalError("classifier fit: no sample of the model is finite");
  if (options_.input_noise > 0) {
    noise_.resize(inputs_.size());
    nn::NormalStream(rng_.Next()).Fill(noise_);
    const float scale = static_cast<float>(options_.input_noise);
    for (size_t i = 0; i < inputs_.size(); ++i) inputs_[i] += scale * noise_[i];
  }
  DrawTargets(pairs);
  return network_
      ->TrainStep({.rows = 2 * pairs, .inputs = inputs_, .targets = targets_},
                  {.adam = options_.adam, .max_gradient_norm = options_.max_gradient_norm})
      .status();
}

absl::Status ClassifierLearner::Score(const TransitionBatch& from, dynamics::DynamicsModel& model,
                                      ClassifierReport* report) {
  Scores scores;
  const int64_t count = std::min(kMaxScoredRows, from.size());
  std::vector<float> logits;
  for (int64_t first = 0; first < count; first += kScoredBlock) {
    const int64_t end = std::min(count, first + kScoredBlock);
    rows_.clear();
    for (int64_t i = first; i < end; ++i) rows_.push_back(i * from.size() / count);
    TANDEM_ASSIGN_OR_RETURN(const int64_t pairs, Draw(from, model));
    if (pairs == 0) continue;
    logits.resize(2 * pairs);
    TANDEM_RETURN_IF_ERROR(network_->Logits(inputs_, logits));
    for (int64_t i = 0; i < 2 * pairs; ++i) scores.Add(logits[i], i < pairs);
  }
  scores.Report(report);
  return absl::OkStatus();
}

absl::StatusOr<ClassifierReport> ClassifierLearner::Fit(const TransitionBatch& train,
                                                        const TransitionBatch& holdout,
                                                        dynamics::DynamicsModel& model,
                                                        const std::function<bool()>& cancelled) {
  const auto began = std::chrono::steady_clock::now();
  if (train.size() == 0) return absl::InvalidArgumentError("classifier fit: no training rows");
  TANDEM_RETURN_IF_ERROR(CheckData(train, "training rows"));
  TANDEM_RETURN_IF_ERROR(CheckData(holdout, "held-out rows"));
  normaliser_ = dynamics::Normaliser::Of(
      train.size(), normaliser_.dim(),
      [&](int64_t first, int64_t rows) {
        const auto part = [&](const std::vector<float>& column, int64_t dim) {
          return std::span(column).subspan(first * dim, rows * dim);
        };
        ClassifierInputs(obs_dim_, action_dim_, part(train.observations, obs_dim_),
                         part(train.actions, action_dim_), part(train.next_observations, obs_dim_),
                         &inputs_);
        return std::span<const float>(inputs_);
      },
      kConstantStd);
  ClassifierReport report;
  const int steps = fits_ == 0 ? options_.first_steps : options_.fit_steps;
  for (; report.gradient_steps < steps; ++report.gradient_steps) {
    if (cancelled && cancelled()) return absl::CancelledError("classifier fit: cancelled");
    TANDEM_RETURN_IF_ERROR(Step(train, model));
  }
  report.held_out = holdout.size() > 0;
  TANDEM_RETURN_IF_ERROR(Score(report.held_out ? holdout : train, model, &report));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  report.seconds = took.count();
  ++fits_;
  return report;
}

void ClassifierLearner::Export(nn::TensorFile* snapshot) const {
  network_->ExportParameters(kClassifierPrefix, snapshot);
  normaliser_.Export(kClassifierInputsName, snapshot);
  snapshot->metadata[kClassifierHiddenKey] = nn::JoinInts(options_.hidden);
  if (options_.layer_norm) snapshot->metadata[kClassifierLayerNormKey] = std::string(1, '1');
  snapshot->metadata[kFitsKey] = absl::StrCat(fits_);
}

void ClassifierLearner::SaveState(nn::TensorFile* state) const {
  Export(state);
  network_->ExportOptimizer(kClassifierPrefix, state);
  dynamics::SaveRng(kRngKey, rng_, state);
}

absl::Status ClassifierLearner::LoadState(const nn::TensorFile& state) {
  TANDEM_RETURN_IF_ERROR(nn::SnapshotChecks("classifier state")
                             .Text(state, kClassifierHiddenKey, nn::JoinInts(options_.hidden)));
  if (state.metadata.contains(kClassifierLayerNormKey) != options_.layer_norm) {
    return absl::InvalidArgumentError(absl::StrCat("classifier state: expected one with",
                                                   options_.layer_norm ? "" : "out",
                                                   " a normalised first layer"));
  }
  TANDEM_ASSIGN_OR_RETURN(const int64_t fits, nn::FindInt(state, kFitsKey));
  dynamics::Normaliser normaliser;
  TANDEM_RETURN_IF_ERROR(normaliser.Import(kClassifierInputsName, normaliser_.dim(), state));
  TANDEM_ASSIGN_OR_RETURN(const Rng rng, dynamics::LoadRng(kRngKey, state));
  TANDEM_RETURN_IF_ERROR(network_->ImportParameters(kClassifierPrefix, state));
  TANDEM_RETURN_IF_ERROR(network_->ImportOptimizer(kClassifierPrefix, state));
  normaliser_ = std::move(normaliser);
  rng_ = rng;
  fits_ = fits;
  return absl::OkStatus();
}

}  // namespace tandem::objective
