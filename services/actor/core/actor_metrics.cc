#include "services/actor/core/actor_metrics.h"

namespace tandem::actor {
namespace {

ActorMetrics::ForPurpose MakeFor(metrics::Registry& registry, const char* purpose) {
  const metrics::Labels labels = {{"purpose", purpose}};
  return {registry.AddCounter("tandem_actor_env_steps_total", "Environment steps taken.", labels),
          registry.AddCounter("tandem_actor_episodes_total", "Episodes ended.", labels),
          registry.AddGauge("tandem_actor_episode_return",
                            "Sum of rewards of the last episode that ended.", labels)};
}

// A batch of environments takes microseconds to milliseconds.
std::vector<double> StepBuckets() {
  return {1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 1};
}

}  // namespace

ActorMetrics::ActorMetrics(metrics::Registry& registry)
    : training(MakeFor(registry, "training")),
      evaluation(MakeFor(registry, "evaluation")),
      evaluation_return(registry.AddGauge("tandem_actor_evaluation_return",
                                          "Mean return of the last whole evaluation.")),
      env_step_seconds(registry.AddHistogram("tandem_actor_env_step_seconds",
                                             "Time to step all environments once.", StepBuckets())),
      policy_updates(registry.AddGauge("tandem_actor_policy_updates",
                                       "Updates that the policy held has had.")),
      policy_age_seconds(registry.AddGauge("tandem_actor_policy_age_seconds",
                                           "Time since the policy held was loaded.")),
      policies_refused(registry.AddCounter("tandem_actor_policies_refused_total",
                                           "Policy snapshots that could not be loaded.")),
      retries(registry.AddCounter("tandem_actor_replay_retries_total",
                                  "Calls to the replay buffer that had to be repeated.")),
      dropped_steps(registry.AddCounter(
          "tandem_actor_dropped_steps_total",
          "Steps taken but dropped because the replay buffer no longer knew the writer's epoch.")),
      random_actions(registry.AddCounter(
          "tandem_actor_random_actions_total",
          "Actions of the policy replaced by random ones because the monitor asked for it.")) {}

}  // namespace tandem::actor
