#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/data/batch.h"
#include "services/replay_buffer/core/step_store.h"

namespace tandem {

/// An episode that has begun and not ended.
struct OpenEpisode {
  int64_t ordinal = 0;  ///< Of the episode in the replay buffer.
  Split split = Split::kTrain;
  Purpose purpose = Purpose::kTraining;
  int64_t next_t = 0;       ///< Steps stored so far.
  int64_t last_index = -1;  ///< Global index of its last step.
  double episode_return = 0;
  uint64_t policy_version = 0;  ///< That acted at its last step.
  std::vector<float> initial_observation;
};

/// One writer's place in its stream of appends.
struct Writer {
  uint64_t epoch = 0;
  uint64_t last_sequence = 0;
  std::map<uint64_t, OpenEpisode> open;  ///< By episode_id.
};

/// What to do with an append that came.
enum class AppendStep { kStore, kRepeated };

/// The sequence rule: the next number is stored, an earlier one was stored before. OUT_OF_RANGE for
/// a gap, FAILED_PRECONDITION for an epoch that is not the writer's, INVALID_ARGUMENT for 0.
absl::StatusOr<AppendStep> CheckSequence(const Writer& writer, const std::string& name,
                                         uint64_t epoch, uint64_t sequence);

/// The content rule: each segment goes on where its episode stands (t and observation), and a
/// summary belongs to an episode that is not open after it, or names the failure that ends it with
/// its last step stored. Changes nothing. INVALID_ARGUMENT names the episode.
absl::Status CheckContinuity(const Writer& writer, const StepStore& store,
                             const std::vector<Segment>& segments,
                             const std::vector<Episode>& episodes);

/// Whether training episode number `ordinal` is held out: every 1/fraction-th, evenly spread.
bool IsHoldout(int64_t ordinal, double fraction);

}  // namespace tandem
