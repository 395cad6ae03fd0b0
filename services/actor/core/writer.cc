#include "services/actor/core/writer.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "common/base/transient.h"

namespace tandem::actor {
namespace {

constexpr int64_t kMaxAppendBytes = 512 << 10;  // half of what the buffer takes
constexpr int64_t kOverhead = 256;              // generous: names, shapes and lengths of a message
constexpr absl::Duration kBeforeReopening = absl::Milliseconds(50);

// The buffer was started anew, or another process writes under our name.
bool IsStaleEpoch(const absl::Status& status) {
  return absl::IsFailedPrecondition(status) || absl::IsNotFound(status) ||
         absl::IsOutOfRange(status);
}

int64_t Steps(const Recording& recording) {
  int64_t steps = 0;
  for (const Segment& segment : recording.segments) steps += segment.size();
  return steps;
}

int64_t Bytes(const Segment& segment) {
  const size_t floats = segment.observations.size() + segment.actions.size() +
                        segment.rewards.size() + segment.log_probs.size();
  return static_cast<int64_t>(floats * sizeof(float)) + kOverhead;
}

int64_t Bytes(const Episode& episode) {
  return static_cast<int64_t>(episode.initial_observation.size() * sizeof(float)) + kOverhead;
}

// The steps [begin, end) of a segment.
Segment Slice(const Segment& whole, int64_t begin, int64_t end) {
  const auto slice = [begin](const std::vector<float>& rows, int64_t count, int64_t size) {
    const auto width = static_cast<std::ptrdiff_t>(rows.size()) / size;
    const auto from = rows.begin() + begin * width;
    return std::vector<float>(from, from + (count * width));
  };
  Segment part;
  part.episode_id = whole.episode_id;
  part.first_t = whole.first_t + begin;
  part.observations = slice(whole.observations, end - begin + 1, whole.size() + 1);
  part.actions = slice(whole.actions, end - begin, whole.size());
  part.rewards = slice(whole.rewards, end - begin, whole.size());
  part.log_probs = slice(whole.log_probs, end - begin, whole.size());
  part.terminated = whole.terminated && end == whole.size();
  part.truncated = whole.truncated && end == whole.size();
  part.purpose = whole.purpose;
  part.policy_version = whole.policy_version;
  part.model_version = whole.model_version;
  return part;
}

// Cuts a segment into pieces of at most kMaxAppendBytes, or of one step where a step is larger.
std::vector<Segment> Cut(Segment whole) {
  std::vector<Segment> pieces;
  const int64_t steps = whole.size();
  const int64_t count = std::min(steps, (Bytes(whole) + kMaxAppendBytes - 1) / kMaxAppendBytes);
  if (count <= 1) {
    pieces.push_back(std::move(whole));
    return pieces;
  }
  // The last observation of a piece is the first of the next one: one row of room for each.
  const int64_t row = Bytes(whole) / steps + 1;
  const int64_t most = std::max<int64_t>(1, (kMaxAppendBytes - kOverhead) / row - 1);
  for (int64_t begin = 0; begin < steps; begin += most) {
    pieces.push_back(Slice(whole, begin, std::min(steps, begin + most)));
  }
  return pieces;
}

// Fills appends one after the other, each of at most kMaxAppendBytes.
class Parts {
 public:
  void Add(Segment segment) {
    Room(Bytes(segment));
    parts_.back().segments.push_back(std::move(segment));
  }
  void Add(Episode episode) {
    Room(Bytes(episode));
    parts_.back().episodes.push_back(std::move(episode));
  }
  std::vector<Recording> Take() { return std::move(parts_); }

 private:
  void Room(int64_t bytes) {
    if (bytes_ > 0 && bytes_ + bytes > kMaxAppendBytes) {
      parts_.emplace_back();
      bytes_ = 0;
    }
    bytes_ += bytes;
  }
  std::vector<Recording> parts_{1};
  int64_t bytes_ = 0;  // of the last part
};

// Parts small enough for one append; each episode comes with or after its last step.
std::vector<Recording> Split(Recording whole) {
  std::map<uint64_t, Episode> ended;
  for (Episode& episode : whole.episodes) ended.emplace(episode.episode_id, std::move(episode));
  Parts parts;
  for (Segment& segment : whole.segments) {
    const bool last = segment.terminated || segment.truncated;
    const uint64_t id = segment.episode_id;
    for (Segment& piece : Cut(std::move(segment))) parts.Add(std::move(piece));
    if (!last) continue;
    if (auto it = ended.find(id); it != ended.end()) {
      parts.Add(std::move(it->second));
      ended.erase(it);
    }
  }
  for (auto& [id, episode] : ended) parts.Add(std::move(episode));
  return parts.Take();
}

}  // namespace

Writer::Writer(ReplayClient& client, std::string name, std::string peer, EnvironmentSpec spec,
               Clock& clock, StopSignal& stop, ActorMetrics& metrics)
    : client_(client),
      name_(std::move(name)),
      peer_(std::move(peer)),
      spec_(std::move(spec)),
      stop_(stop),
      metrics_(metrics),
      wait_("replay_buffer at " + peer_, stop, clock) {}

absl::Status Writer::Retry(const std::function<absl::Status()>& call) {
  for (;;) {
    const absl::Status status = call();
    if (stop_.stopped()) return absl::CancelledError("the actor is stopping");
    if (status.ok()) wait_.Succeeded();
    if (status.ok() || !IsTransient(status)) return status;
    metrics_.retries.Increment();
    if (!wait_.Pause(status)) return absl::CancelledError("the actor is stopping");
  }
}

absl::Status Writer::Open() {
  WriterSession session;
  TANDEM_RETURN_IF_ERROR(Retry([&] {
    absl::StatusOr<WriterSession> opened = client_.OpenWriter(name_, spec_);
    if (opened.ok()) session = *opened;
    return opened.status();
  }));
  epoch_ = session.epoch;
  sequence_ = 0;
  LogInfo(absl::StrCat("writing to replay_buffer at ", peer_, " as ", name_, ", epoch ", epoch_,
                       "; it holds ", session.env_steps, " training steps"));
  return absl::OkStatus();
}

absl::Status Writer::Reopen(const absl::Status& why, int64_t dropped) {
  metrics_.dropped_steps.Increment(static_cast<double>(dropped));
  LogWarning(absl::StrCat("replay_buffer at ", peer_, " does not know epoch ", epoch_, " of ",
                          name_, " (", std::string(why.message()), "): opening another, dropping ",
                          dropped, " steps and the episodes under way"));
  stop_.Sleep(kBeforeReopening);
  TANDEM_RETURN_IF_ERROR(Open());
  return absl::AbortedError("the writer has a new epoch");
}

absl::Status Writer::AppendOnce(const Recording& recording) {
  const uint64_t sequence = sequence_ + 1;
  TANDEM_RETURN_IF_ERROR(Retry([&] {
    return client_.Append(name_, epoch_, sequence, recording.segments, recording.episodes).status();
  }));
  sequence_ = sequence;
  return absl::OkStatus();
}

absl::Status Writer::Append(Recording recording) {
  if (recording.empty()) return absl::OkStatus();
  int64_t left = Steps(recording);
  for (const Recording& part : Split(std::move(recording))) {
    const absl::Status status = AppendOnce(part);
    if (IsStaleEpoch(status)) return Reopen(status, left);
    TANDEM_RETURN_IF_ERROR(status);
    left -= Steps(part);
  }
  return absl::OkStatus();
}

absl::StatusOr<Grant> Writer::Advance(const Progress& progress, absl::Duration wait) {
  Grant grant;
  const absl::Status status = Retry([&] {
    absl::StatusOr<Grant> answer = client_.Advance(progress, wait);
    if (answer.ok()) grant = *std::move(answer);
    return answer.status();
  });
  if (IsStaleEpoch(status)) return Reopen(status, /*dropped=*/0);
  if (!status.ok()) return status;
  return grant;
}

}  // namespace tandem::actor
