#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "common/data/batch.h"
#include "services/monitor/core/inbox.h"
#include "services/monitor/core/snapshot_history.h"

namespace tandem::monitor {

/// Bounds on what one checkpoint costs, and the scatter of its figures.
struct SurveyOptions {
  int64_t max_rows = 1000;  ///< Fresh steps scored; of more, evenly spread stretches [steps] >= 1.
  int action_samples = 2;   ///< Actions behind each V(s), >= 1.
  int model_samples = 5;    ///< Model outcomes of each step, >= 1; at least the elites.
  int rollouts = 20;        ///< Most model rollouts for each start state of an episode, >= 1.
  int64_t model_steps = 60'000;  ///< Most model steps for the gaps of a checkpoint, >= 1 [steps].
  int64_t imagined_rows = 512;   ///< Imagined steps that are held against real ones, >= 1.
  int64_t kernel_rows = 256;     ///< Of those, for the kernel test, >= 2.
  double bias_bound = 10;        ///< Steps whose |b| exceeds so many return scales are clipped.
  double updates_tolerance =
      100;  ///< How far a policy's updates may be off an episode's [updates].
};

/// What one checkpoint is made from. Plain data.
struct Material {
  HeldModel model;
  HeldPolicy policy;  ///< The newest that trained in the model.
  HeldPolicy at_fit;  ///< The newest when the model came.
  const PolicyHistory* policies = nullptr;
  TransitionBatch fresh;          ///< Not seen by the model; by episode, then time.
  TransitionBatch heldout;        ///< Held out and older than the model.
  TransitionBatch train;          ///< Seen by the model.
  std::vector<Episode> episodes;  ///< Training episodes that ended in the checkpoint.
  WorldFigures world;
  double episode_length = 0;      ///< Mean of training episodes [steps]; NaN: not known.
  int64_t max_episode_steps = 0;  ///< 0: no limit.
  /// Whether to give up. Asked between the parts of a survey and at each model step, so whoever
  /// must show that it is alive while it computes does it here.
  std::function<bool()> cancelled = [] { return false; };
};

}  // namespace tandem::monitor
