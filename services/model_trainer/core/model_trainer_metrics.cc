#include "services/model_trainer/core/model_trainer_metrics.h"

namespace tandem::model_trainer {

ModelTrainerMetrics::ModelTrainerMetrics(metrics::Registry& registry)
    : fit_seconds(registry.AddHistogram("tandem_model_trainer_fit_seconds",
                                        "Time of a fit of the model.",
                                        {0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250})),
      fetch_seconds(registry.AddHistogram("tandem_model_trainer_fetch_seconds",
                                          "Time to fetch the new transitions for a fit.",
                                          metrics::LatencyBuckets())),
      fits(registry.AddCounter("tandem_model_trainer_fits_total", "Fits that were published.")),
      fit_failures(registry.AddCounter("tandem_model_trainer_fit_failures_total",
                                       "Fits that failed and were not published.")),
      gradient_steps(registry.AddCounter("tandem_model_trainer_gradient_steps_total",
                                         "Gradient steps of all fits.")),
      waiting_seconds(registry.AddCounter("tandem_model_trainer_waiting_seconds_total",
                                          "Time spent waiting for the replay buffer's grant.")),
      train_loss(
          registry.AddGauge("tandem_model_trainer_train_loss",
                            "Training loss of the last fit's last epoch, mean over members.")),
      holdout_nll(registry.AddGauge("tandem_model_trainer_holdout_nll_nats",
                                    "Negative log likelihood of held-out steps, for each "
                                    "dimension, mean over elites; without a known reward.")),
      holdout_error(registry.AddGauge("tandem_model_trainer_holdout_error_ratio",
                                      "Root mean squared error of the elites' mean on held-out "
                                      "steps, in standard deviations; without a known reward.")),
      holdout_reward_error(registry.AddGauge(
          "tandem_model_trainer_holdout_reward_error_ratio",
          "Root mean squared error of the reward on held-out steps, in standard deviations; NaN "
          "where the reward is known.")),
      holdout_termination_loss(
          registry.AddGauge("tandem_model_trainer_holdout_termination_loss_nats",
                            "Binary cross-entropy of learned termination on held-out steps; 0 "
                            "unless it is learned.")),
      train_rows(
          registry.AddGauge("tandem_model_trainer_train_rows", "Training steps of the last fit.")),
      holdout_rows(registry.AddGauge("tandem_model_trainer_holdout_rows",
                                     "Held-out steps of the last fit.")),
      model_version(registry.AddGauge("tandem_model_trainer_model_version",
                                      "Version of the published model.")),
      model_through_index(registry.AddGauge(
          "tandem_model_trainer_model_through_index",
          "Global index below which all steps were used by the published model.")) {}

}  // namespace tandem::model_trainer
