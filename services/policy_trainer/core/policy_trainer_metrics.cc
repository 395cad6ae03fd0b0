#include "services/policy_trainer/core/policy_trainer_metrics.h"

#include <string>

namespace tandem::policy_trainer {
namespace {

std::string Name(const char* rest) { return std::string("tandem_policy_trainer_") + rest; }

}  // namespace

PolicyTrainerMetrics::PolicyTrainerMetrics(metrics::Registry& registry)
    : updates(registry.AddCounter(Name("updates_total"), "Policy updates since the start.")),
      failed_updates(registry.AddCounter(Name("failed_updates_total"),
                                         "Updates that failed, such as on a loss not finite.")),
      update_seconds(registry.AddHistogram(Name("update_seconds"), "Time of one update.",
                                           metrics::LatencyBuckets())),
      critic_loss(registry.AddGauge(Name("critic_loss"), "Critic loss, mean over the last grant.")),
      actor_loss(registry.AddGauge(Name("actor_loss"), "Actor loss, mean over the last grant.")),
      temperature(
          registry.AddGauge(Name("temperature"), "Weight of the entropy, after the last grant.")),
      entropy(registry.AddGauge(Name("entropy_nats"),
                                "Entropy of the actor, mean over the last grant.")),
      q_mean(registry.AddGauge(Name("q_mean"), "Critics' value, mean over the last grant.")),
      target_mean(
          registry.AddGauge(Name("target_mean"), "Critics' target, mean over the last grant.")),
      policy_updates(
          registry.AddGauge(Name("policy_updates"), "Updates of the policy, over all restarts.")),
      real_share(registry.AddGauge(Name("real_share_ratio"),
                                   "Share of real rows in the last grant's batches.")),
      rollouts(registry.AddCounter("tandem_rollouts_total", "Imagined rollouts started.")),
      truncated_rollouts(
          registry.AddCounter("tandem_rollouts_truncated_total",
                              "Imagined rollouts ended where the model's members disagreed.")),
      imagined_steps(registry.AddCounter(Name("imagined_steps_total"), "Imagined steps kept.")),
      dropped_rows(registry.AddCounter(Name("dropped_rows_total"),
                                       "Imagined steps dropped because a number was not finite.")),
      imagine_seconds(registry.AddHistogram(
          Name("imagine_seconds"), "Time of the rollouts after one refit, with their log-ratios.",
          {0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100})),
      horizon(registry.AddGauge(Name("horizon_steps"), "Length of the last rollouts.")),
      pool_rows(registry.AddGauge(Name("pool_rows"), "Imagined steps in the pool.")),
      model_version(
          registry.AddGauge(Name("model_version"), "Version of the model imagined with.")),
      model_through_index(registry.AddGauge(
          Name("model_through_index"),
          "Global index below which all steps were used by the model imagined with.")),
      sample_seconds(registry.AddHistogram(Name("sample_seconds"),
                                           "Time to fetch real rows from the replay buffer.",
                                           metrics::LatencyBuckets())),
      publish_seconds(registry.AddHistogram(Name("publish_seconds"),
                                            "Time to export and publish the policy.",
                                            metrics::LatencyBuckets())),
      waiting_seconds(registry.AddCounter(Name("waiting_seconds_total"),
                                          "Time spent waiting for the replay buffer's grant.")),
      model_waiting_seconds(registry.AddCounter(Name("model_waiting_seconds_total"),
                                                "Time spent waiting for a model.")) {}

}  // namespace tandem::policy_trainer
