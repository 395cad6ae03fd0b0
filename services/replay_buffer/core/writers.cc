#include "services/replay_buffer/core/writers.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"

namespace tandem {
namespace {

constexpr size_t kMaxOpenEpisodes = 1 << 16;

/// Where an episode stands while the segments of one append are gone through.
struct Standing {
  int64_t next_t = 0;
  Purpose purpose = Purpose::kTraining;
  std::span<const float> last;  ///< Observation after its last step; empty where it is unknown.
  bool ended = false;
};

absl::Status Bad(const Segment& segment, const std::string& what) {
  return absl::InvalidArgumentError(
      absl::StrCat("segment of episode ", segment.episode_id, ": ", what));
}

Standing Start(const Writer& writer, const StepStore& store, const Segment& segment) {
  Standing standing;
  standing.purpose = segment.purpose;
  const auto open = writer.open.find(segment.episode_id);
  if (open == writer.open.end()) return standing;
  standing.next_t = open->second.next_t;
  standing.purpose = open->second.purpose;
  if (store.Holds(open->second.last_index)) {
    standing.last = store.next_observation(open->second.last_index);
  }
  return standing;
}

absl::Status Follow(const Segment& segment, int64_t obs_dim, Standing* standing) {
  if (standing->ended) return Bad(segment, "expected no step after its end");
  if (segment.first_t != standing->next_t) {
    return Bad(segment,
               absl::StrCat("expected first_t ", standing->next_t, ", got ", segment.first_t));
  }
  if (segment.purpose != standing->purpose) {
    return Bad(segment, "expected the purpose of its earlier steps");
  }
  const std::span<const float> rows(segment.observations);
  const auto width = static_cast<size_t>(obs_dim);
  if (!standing->last.empty() && !std::ranges::equal(rows.first(width), standing->last)) {
    return Bad(segment, absl::StrCat("expected its first observation to be the one after step ",
                                     standing->next_t - 1));
  }
  standing->next_t += segment.size();
  standing->last = rows.last(width);
  standing->ended = segment.terminated || segment.truncated;
  return absl::OkStatus();
}

absl::Status CheckSummary(const Episode& episode, const Writer& writer,
                          const std::map<uint64_t, Standing>& touched) {
  const auto it = touched.find(episode.episode_id);
  const auto begun = writer.open.find(episode.episode_id);
  const bool known = it != touched.end() || begun != writer.open.end();
  const bool open = it == touched.end() ? known : !it->second.ended;
  if (open && episode.failure.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "episode ", episode.episode_id, ": expected a summary after its last step, got it before"));
  }
  if (!known) return absl::OkStatus();
  const int64_t length = it != touched.end() ? it->second.next_t : begun->second.next_t;
  if (episode.length != length) {
    return absl::InvalidArgumentError(absl::StrCat(
        "episode ", episode.episode_id, ": expected length ", length, ", got ", episode.length));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<AppendStep> CheckSequence(const Writer& writer, const std::string& name,
                                         uint64_t epoch, uint64_t sequence) {
  if (epoch != writer.epoch) {
    return absl::FailedPreconditionError(absl::StrCat("append of ", name, ": expected epoch ",
                                                      writer.epoch, ", got ", epoch,
                                                      ": call OpenWriter"));
  }
  if (sequence == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("append of ", name, ": sequence: expected at least 1, got 0"));
  }
  if (sequence <= writer.last_sequence) return AppendStep::kRepeated;
  if (sequence > writer.last_sequence + 1) {
    return absl::OutOfRangeError(absl::StrCat("append of ", name, ": expected sequence ",
                                              writer.last_sequence + 1, ", got ", sequence));
  }
  return AppendStep::kStore;
}

absl::Status CheckContinuity(const Writer& writer, const StepStore& store,
                             const std::vector<Segment>& segments,
                             const std::vector<Episode>& episodes) {
  std::map<uint64_t, Standing> touched;
  for (const Segment& segment : segments) {
    auto it = touched.find(segment.episode_id);
    if (it == touched.end()) {
      it = touched.emplace(segment.episode_id, Start(writer, store, segment)).first;
    }
    if (auto status = Follow(segment, store.obs_dim(), &it->second); !status.ok()) return status;
  }
  if (writer.open.size() + touched.size() > kMaxOpenEpisodes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("expected at most ", kMaxOpenEpisodes, " open episodes of a writer"));
  }
  for (const Episode& episode : episodes) {
    if (auto status = CheckSummary(episode, writer, touched); !status.ok()) return status;
  }
  return absl::OkStatus();
}

bool IsHoldout(int64_t ordinal, double fraction) {
  const auto held_out = [fraction](int64_t n) {
    return std::floor(static_cast<double>(n) * fraction + 1e-9);
  };
  return held_out(ordinal + 4) > held_out(ordinal + 3);
}

}  // namespace tandem
