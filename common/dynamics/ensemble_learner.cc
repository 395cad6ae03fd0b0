#include "common/dynamics/ensemble_learner.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/rng.h"
#include "common/base/status_macros.h"
#include "common/dynamics/fit_data.h"
#include "common/dynamics/gaussian_ensemble_model.h"
#include "common/dynamics/holdout.h"
#include "common/dynamics/rng_state.h"
#include "common/dynamics/training_samples.h"
#include "common/env/known_reward.h"

namespace tandem::dynamics {
namespace {

constexpr int64_t kMaxScoredRows = 5000;
/// Standard deviation given to columns that do not vary: inputs pass as they are; targets keep the
/// noise of a prediction, at least e^-5 of it, small.
constexpr float kConstantInputStd = 1;
constexpr float kConstantTargetStd = 1e-3f;
constexpr char kRngKey[] = "learner.rng";
constexpr char kFitsKey[] = "learner.fits";

absl::Status Check(const EnsembleLearnerOptions& o) {
  const auto bad = [](const char* what) {
    return absl::InvalidArgumentError(absl::StrCat("model options: expected ", what));
  };
  if (o.members < 1) return bad("members >= 1");
  if (o.elites < 1 || o.elites > o.members) return bad("1 <= elites <= members");
  if (o.batch_size < 1) return bad("batch_size >= 1");
  if (o.patience_epochs < 0 || o.patience_steps < 0) return bad("patience >= 0");
  if (!(o.min_improvement >= 0 && o.min_improvement < 1)) return bad("0 <= min_improvement < 1");
  if (o.max_gradient_steps < 1) return bad("max_gradient_steps >= 1");
  if (o.first_gradient_steps < 0) return bad("first_gradient_steps >= 0");
  if (!(o.observation_margin >= 0)) return bad("observation_margin >= 0");
  if (!(o.adam.lr > 0) || !(o.adam.weight_decay >= 0)) return bad("lr > 0, weight_decay >= 0");
  return absl::OkStatus();
}

absl::Status CheckData(const TransitionBatch& batch, int64_t obs_dim, int64_t action_dim,
                       const char* what) {
  const size_t rows = static_cast<size_t>(batch.size());
  if (rows == 0) return absl::OkStatus();
  if (batch.obs_dim != obs_dim || batch.action_dim != action_dim ||
      batch.actions.size() != rows * action_dim || batch.rewards.size() != rows ||
      batch.next_observations.size() != rows * obs_dim || batch.terminated.size() != rows) {
    return absl::InvalidArgumentError(absl::StrCat(
        what, ": expected observations, actions, rewards, next observations and terminated of [",
        rows, ",", obs_dim, "] and [", rows, ",", action_dim, "]"));
  }
  return absl::OkStatus();
}

/// Best weights of each member so far, and how long ago anything got better.
class EarlyStop {
 public:
  EarlyStop(nn::GaussianEnsemble& network, const EnsembleLearnerOptions& options)
      : network_(network),
        options_(options),
        best_(network.spec().members),
        weights_(network.spec().members) {
    for (MemberScore& score : best_) score.score = std::numeric_limits<double>::infinity();
  }

  /// Scores all members after `steps` gradient steps of `epochs` epochs.
  absl::Status Score(const FitRows& rows, int epochs, int steps) {
    for (int m = 0; m < network_.spec().members; ++m) {
      TANDEM_ASSIGN_OR_RETURN(MemberScore score, ScoreMember(network_, m, rows));
      if (!(score.score < best_[m].score)) continue;
      if (score.score < best_[m].score * (1 - options_.min_improvement)) {
        gain_epoch_ = epochs;
        gain_step_ = steps;
      }
      best_[m] = std::move(score);
      network_.CopyMemberParameters(m, &weights_[m]);
    }
    return absl::OkStatus();
  }

  bool Exhausted(int epochs, int steps) const {
    return epochs - gain_epoch_ >= options_.patience_epochs &&
           steps - gain_step_ >= options_.patience_steps;
  }

  /// Puts the best weights of each member back.
  absl::Status Restore() {
    for (int m = 0; m < network_.spec().members; ++m) {
      if (weights_[m].empty()) return absl::InternalError("model fit: scores are not finite");
      TANDEM_RETURN_IF_ERROR(network_.SetMemberParameters(m, weights_[m]));
    }
    return absl::OkStatus();
  }

  const std::vector<MemberScore>& best() const { return best_; }

 private:
  nn::GaussianEnsemble& network_;
  const EnsembleLearnerOptions& options_;
  std::vector<MemberScore> best_;
  std::vector<std::vector<float>> weights_;
  int gain_epoch_ = 0;
  int gain_step_ = 0;
};

class GaussianEnsembleLearner : public EnsembleLearner {
 public:
  GaussianEnsembleLearner(const EnvironmentSpec& spec, const EnsembleLearnerOptions& options)
      : spec_(spec), options_(options), rng_(options.seed, "ensemble_learner") {
    meta_.environment = spec.name;
    meta_.obs_dim = spec.observation.dim();
    meta_.action_dim = spec.action.dim();
    meta_.members = options.members;
    meta_.hidden = options.hidden;
    meta_.termination = options.termination;
    meta_.deterministic = options.deterministic;
    meta_.known_reward = options.known_reward;
    meta_.elites.resize(options.elites);
    std::iota(meta_.elites.begin(), meta_.elites.end(), 0);
    const auto identity = [](int64_t dim) {
      return Normaliser{std::vector<float>(dim, 0), std::vector<float>(dim, 1)};
    };
    meta_.inputs = identity(meta_.obs_dim + meta_.action_dim);
    meta_.targets = identity(meta_.obs_dim + 1);
    meta_.obs_low.assign(meta_.obs_dim, std::numeric_limits<float>::lowest());
    meta_.obs_high.assign(meta_.obs_dim, std::numeric_limits<float>::max());
  }

  absl::Status MakeNetwork() {
    TANDEM_ASSIGN_OR_RETURN(network_,
                            nn::GaussianEnsemble::Create(meta_.NetworkSpec(), options_.device,
                                                         StreamSeed(options_.seed, "ensemble")));
    return absl::OkStatus();
  }

  absl::StatusOr<FitReport> Fit(const TransitionBatch& train, const TransitionBatch& holdout,
                                const std::function<bool()>& cancelled) override {
    const auto began = std::chrono::steady_clock::now();
    if (train.size() == 0) return absl::InvalidArgumentError("model fit: no training rows");
    TANDEM_RETURN_IF_ERROR(CheckData(train, meta_.obs_dim, meta_.action_dim, "training rows"));
    TANDEM_RETURN_IF_ERROR(CheckData(holdout, meta_.obs_dim, meta_.action_dim, "held-out rows"));
    Normalise(train);
    const bool learn_end = options_.termination == TerminationKind::kLearned;
    const auto make = [&](const TransitionBatch& batch) {
      return MakeFitRows(batch, meta_.inputs, meta_.targets, learn_end, options_.known_reward);
    };
    const FitRows rows = make(train);
    const FitRows scored = Thin(holdout.size() > 0 ? make(holdout) : rows, kMaxScoredRows);
    FitReport report;
    report.train_rows = train.size();
    report.holdout_rows = holdout.size();
    EarlyStop stop(*network_, options_);
    TANDEM_RETURN_IF_ERROR(Train(rows, scored, cancelled, &stop, &report));
    TANDEM_RETURN_IF_ERROR(stop.Restore());
    TANDEM_RETURN_IF_ERROR(ChooseElites(stop.best(), scored, &report));
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    report.seconds = took.count();
    report_ = report;
    ++fits_;
    return report;
  }

  void MakeNextFitLong() override { long_fit_ = true; }

  absl::Status SetSampleObjective(SampleObjective* objective) override {
    sample_objective_ = objective;
    return absl::OkStatus();
  }

  absl::Status ResetMember(int member) override {
    if (member < 0 || member >= options_.members) {
      return absl::InvalidArgumentError(absl::StrCat("model reset: expected a member below ",
                                                     options_.members, ", got ", member));
    }
    TANDEM_ASSIGN_OR_RETURN(
        const auto fresh,
        nn::GaussianEnsemble::Create(meta_.NetworkSpec(), options_.device, rng_.Next()));
    nn::TensorFile optimizer;
    network_->ExportOptimizer(kNetworkPrefix, &optimizer);
    for (auto& [name, moments] : optimizer.tensors) {
      const auto row = static_cast<std::ptrdiff_t>(moments.data.size()) / options_.members;
      std::fill_n(moments.data.begin() + member * row, row, 0.0f);
    }
    TANDEM_RETURN_IF_ERROR(network_->ImportOptimizer(kNetworkPrefix, optimizer));
    std::vector<float> weights;
    fresh->CopyMemberParameters(member, &weights);
    return network_->SetMemberParameters(member, weights);
  }

  nn::TensorFile ExportModel() const override {
    nn::TensorFile file;
    meta_.Export(&file);
    network_->ExportParameters(kNetworkPrefix, &file);
    file.metadata["fit.gradient_steps"] = absl::StrCat(report_.gradient_steps);
    file.metadata["fit.train_rows"] = absl::StrCat(report_.train_rows);
    file.metadata["fit.holdout_rows"] = absl::StrCat(report_.holdout_rows);
    file.metadata["fit.holdout_nll"] = absl::StrCat(report_.holdout_nll);
    file.metadata["fit.holdout_error"] = absl::StrCat(report_.holdout_error);
    file.metadata["fit.holdout_reward_error"] = absl::StrCat(report_.holdout_reward_error);
    file.metadata["fit.holdout_termination_loss"] = absl::StrCat(report_.holdout_termination_loss);
    return file;
  }

  nn::TensorFile SaveState() const override {
    nn::TensorFile file = ExportModel();
    network_->ExportOptimizer(kNetworkPrefix, &file);
    SaveRng(kRngKey, rng_, &file);
    file.metadata[kFitsKey] = absl::StrCat(fits_);
    return file;
  }

  absl::Status LoadState(const nn::TensorFile& state) override {
    EnsembleMetadata meta;
    TANDEM_RETURN_IF_ERROR(meta.Import(state, spec_));
    if (meta.members != meta_.members || meta.hidden != meta_.hidden ||
        meta.termination != meta_.termination || meta.elites.size() != meta_.elites.size()) {
      return absl::InvalidArgumentError(
          "model state: its members, elites, hidden sizes or termination are not those of the "
          "options");
    }
    TANDEM_ASSIGN_OR_RETURN(const Rng rng, LoadRng(kRngKey, state));
    TANDEM_RETURN_IF_ERROR(network_->ImportParameters(kNetworkPrefix, state));
    TANDEM_RETURN_IF_ERROR(network_->ImportOptimizer(kNetworkPrefix, state));
    rng_ = rng;
    fits_ = nn::FindInt(state, kFitsKey).value_or(1);
    meta.deterministic = options_.deterministic;
    meta.known_reward = options_.known_reward;
    meta_ = std::move(meta);
    return absl::OkStatus();
  }

 private:
  /// Sets the normalisation and the range of predictions from the training rows.
  void Normalise(const TransitionBatch& train) {
    meta_.inputs = Normaliser::Of(RawInputs(train), meta_.inputs.dim(), kConstantInputStd);
    meta_.targets = Normaliser::Of(RawTargets(train), meta_.targets.dim(), kConstantTargetStd);
    if (options_.observation_margin == 0) return;
    for (int64_t j = 0; j < meta_.obs_dim; ++j) {
      float low = train.observations[j], high = low;
      for (const auto* column : {&train.observations, &train.next_observations}) {
        for (size_t i = j; i < column->size(); i += meta_.obs_dim) {
          low = std::min(low, (*column)[i]);
          high = std::max(high, (*column)[i]);
        }
      }
      const float margin = static_cast<float>(options_.observation_margin) * (high - low);
      meta_.obs_low[j] = low - margin;
      meta_.obs_high[j] = high + margin;
    }
  }

  absl::Status Train(const FitRows& rows, const FitRows& scored,
                     const std::function<bool()>& cancelled, EarlyStop* stop, FitReport* report) {
    BootstrapBatches batches(rows, options_.members, options_.batch_size, rng_);
    std::vector<float> losses(options_.members);
    TANDEM_RETURN_IF_ERROR(stop->Score(scored, 0, 0));
    const bool is_long = std::exchange(long_fit_, false);
    const bool first = fits_ == 0 && options_.first_gradient_steps > 0;
    const int most =
        (is_long ? 2 : 1) * (first ? options_.first_gradient_steps : options_.max_gradient_steps);
    while (report->gradient_steps < most &&
           (is_long || !stop->Exhausted(report->epochs, report->gradient_steps))) {
      batches.Shuffle();
      double sum = 0;
      int64_t batch = 0;
      for (; batch < batches.batches_per_epoch() && report->gradient_steps < most; ++batch) {
        if (cancelled && cancelled()) return absl::CancelledError("model fit: cancelled");
        nn::EnsembleRows rows_of_step = batches.Batch(batch);
        TANDEM_RETURN_IF_ERROR(AddSampleGradients(&rows_of_step));
        TANDEM_RETURN_IF_ERROR(network_->TrainStep(rows_of_step, options_.adam, losses));
        sum += std::accumulate(losses.begin(), losses.end(), 0.0) / options_.members;
        ++report->gradient_steps;
      }
      report->train_loss = sum / static_cast<double>(batch);
      ++report->epochs;
      TANDEM_RETURN_IF_ERROR(stop->Score(scored, report->epochs, report->gradient_steps));
    }
    return absl::OkStatus();
  }

  /// Where there is a further objective: samples what the members predict for their rows, and gives
  /// the step the objective's gradient by means and log variances.
  absl::Status AddSampleGradients(nn::EnsembleRows* rows) {
    if (sample_objective_ == nullptr || !sample_objective_->active()) return absl::OkStatus();
    samples_.Resize(options_.members * rows->rows, meta_.obs_dim, meta_.action_dim);
    const int64_t inputs = meta_.inputs.dim() * rows->rows;
    for (int m = 0; m < options_.members; ++m) {
      TANDEM_RETURN_IF_ERROR(
          network_->Predict(m, rows->inputs.subspan(m * inputs, inputs), &prediction_));
      samples_.Draw(m * rows->rows, rows->inputs.subspan(m * inputs, inputs), prediction_, meta_,
                    rng_);
    }
    TANDEM_RETURN_IF_ERROR(samples_.Ask(*sample_objective_));
    samples_.CarryBack(rows->rows, meta_);
    rows->mean_gradients = samples_.mean_gradients();
    rows->log_var_gradients = samples_.log_var_gradients();
    return absl::OkStatus();
  }

  absl::Status ChooseElites(const std::vector<MemberScore>& scores, const FitRows& scored,
                            FitReport* report) {
    std::vector<int> order(options_.members);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](int a, int b) { return scores[a].score < scores[b].score; });
    order.resize(options_.elites);
    meta_.elites = order;
    report->elites = order;
    for (const MemberScore& score : scores) report->member_holdout_losses.push_back(score.score);
    for (const int m : order) {
      report->holdout_nll += scores[m].nll / options_.elites;
      report->holdout_termination_loss += scores[m].binary_loss / options_.elites;
    }
    TANDEM_ASSIGN_OR_RETURN(const std::vector<double> errors,
                            ScoreMean(*network_, meta_.elites, scored));
    report->holdout_reward_error =
        options_.known_reward ? std::numeric_limits<double>::quiet_NaN() : std::sqrt(errors.back());
    report->holdout_error = std::sqrt(std::accumulate(errors.begin(), errors.end(), 0.0) /
                                      static_cast<double>(errors.size()));
    return absl::OkStatus();
  }

  const EnvironmentSpec spec_;
  const EnsembleLearnerOptions options_;
  EnsembleMetadata meta_;
  Rng rng_;
  bool long_fit_ = false;
  int64_t fits_ = 0;
  std::unique_ptr<nn::GaussianEnsemble> network_;
  FitReport report_;
  SampleObjective* sample_objective_ = nullptr;
  TrainingSamples samples_;
  nn::EnsemblePrediction prediction_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<EnsembleLearner>> EnsembleLearner::Create(
    const EnvironmentSpec& spec, const EnsembleLearnerOptions& options) {
  TANDEM_RETURN_IF_ERROR(Validate(spec));
  TANDEM_RETURN_IF_ERROR(Check(options));
  if (options.termination == TerminationKind::kKnown) {
    TANDEM_RETURN_IF_ERROR(KnownTermination(spec.name).status());
  }
  if (options.known_reward) TANDEM_RETURN_IF_ERROR(KnownReward(spec.name).status());
  auto learner = std::make_unique<GaussianEnsembleLearner>(spec, options);
  TANDEM_RETURN_IF_ERROR(learner->MakeNetwork());
  return learner;
}

}  // namespace tandem::dynamics
