#include "services/actor/core/writer.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"

namespace tandem::actor {
namespace {

constexpr int64_t kMaxAppendFloats = 128 << 10;  // 512 KiB, half of what the buffer takes
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

// Parts small enough for one append; each episode goes with the last segment of it.
std::vector<Recording> Split(Recording whole) {
  std::map<uint64_t, Episode> ended;
  for (Episode& episode : whole.episodes) ended.emplace(episode.episode_id, std::move(episode));
  std::vector<Recording> parts(1);
  int64_t floats = 0;
  for (Segment& segment : whole.segments) {
    const int64_t size = static_cast<int64_t>(segment.observations.size() + segment.actions.size() +
                                              2 * segment.rewards.size());
    if (floats > 0 && floats + size > kMaxAppendFloats) {
      parts.emplace_back();
      floats = 0;
    }
    floats += size;
    if (segment.terminated || segment.truncated) {
      if (auto it = ended.find(segment.episode_id); it != ended.end()) {
        parts.back().episodes.push_back(std::move(it->second));
        ended.erase(it);
      }
    }
    parts.back().segments.push_back(std::move(segment));
  }
  for (auto& [id, episode] : ended) parts.back().episodes.push_back(std::move(episode));
  return parts;
}

}  // namespace

Writer::Writer(ReplayClient& client, std::string name, std::string peer, EnvironmentSpec spec,
               Clock& clock, training::StopSignal& stop, ActorMetrics& metrics)
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
    if (status.ok() || !training::IsTransient(status)) return status;
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
