#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/nn/safetensors.h"

namespace tandem::snapshot {

/// Names of the two series of a run.
inline constexpr char kModelSeries[] = "model";
inline constexpr char kPolicySeries[] = "policy";

/// Orders the snapshots of a series: a publisher that starts again has a higher epoch.
struct Version {
  uint64_t epoch = 0;
  uint64_t version = 0;
  auto operator<=>(const Version&) const = default;

  /// Both in one number below 2^63, > 0, by which a step says which policy took it: versions begin
  /// anew at 1 with each epoch. The epoch's last 23 bits, then 40 bits of the version.
  uint64_t Tag() const {
    return (epoch & ((uint64_t{1} << 23) - 1)) << kTagBits | (version & kTagVersions);
  }
  static constexpr int kTagBits = 40;
  static constexpr uint64_t kTagVersions = (uint64_t{1} << kTagBits) - 1;
};

/// Whether `version`, got from a source, is newer than `held`, got from it before. Epochs grow, but
/// for a publisher that lost its state folder: it begins anew at a low one, and that is newer, too.
inline bool IsNewer(Version version, Version held) {
  return version.epoch != held.epoch || version.version > held.version;
}

/// Immutable weights: the bytes of a safetensors file, which are the same on the wire and on disk.
/// Share freely; never copied.
struct Snapshot {
  Version version;
  uint64_t hash = 0;  ///< XXH3-64 of bytes
  std::shared_ptr<const std::string> bytes;

  /// Parses the bytes; hostile ones are INVALID_ARGUMENT.
  absl::StatusOr<nn::TensorFile> Parse() const { return nn::ReadSafetensors(*bytes); }
};

/// XXH3-64.
uint64_t ContentHash(std::string_view bytes);

/// Metadata keys that every snapshot carries, beside those of its kind.
inline constexpr char kThroughIndexKey[] =
    "through_index";                                 ///< Watermark: all steps below were used.
inline constexpr char kEnvStepsKey[] = "env_steps";  ///< Training steps when it was made.
inline constexpr char kPolicyUpdatesKey[] =
    "policy_updates";  ///< Policy series: updates it has had.
inline constexpr char kModelVersionKey[] =
    "model_version";  ///< Policy series: model it imagined with.

/// Model series, with the joint objective: the smallest reward of the steps that it used.
inline constexpr char kSmallestRewardKey[] = "smallest_reward";

/// Policy series, what was in force; absent: not known.
inline constexpr char kHorizonKey[] = "horizon";                 ///< Of imagined rollouts [steps].
inline constexpr char kRealShareKey[] = "real_share";            ///< Of real rows in a batch.
inline constexpr char kPessimismKey[] = "pessimism";             ///< Weight of the penalty.
inline constexpr char kTruncatedShareKey[] = "truncated_share";  ///< Rollouts cut, newest refit.

/// Where snapshots of one series come from. Thread-safe.
class SnapshotSource {
 public:
  virtual ~SnapshotSource() = default;
  /// The newest snapshot; nullptr before the first. Never blocks.
  virtual std::shared_ptr<const Snapshot> Latest() = 0;
  /// Those newer than `have`, oldest first: the newest, and of the earlier ones that are still held
  /// those whose version is a multiple of `stride` (0: none). Never blocks, but
  /// for a sparse watcher of a remote publisher (WatchRemote).
  virtual std::vector<std::shared_ptr<const Snapshot>> Since(Version have, uint64_t stride) = 0;
  /// Waits until the newest IsNewer than `have`, at most `timeout`. Returns the newest, or nullptr
  /// when none came or after Stop().
  virtual std::shared_ptr<const Snapshot> WaitNewer(Version have, absl::Duration timeout) = 0;
  /// Ends every wait.
  virtual void Stop() = 0;
};

/// Where a trainer puts them. Thread-safe. Never blocks on a watcher.
class SnapshotPublisher {
 public:
  virtual ~SnapshotPublisher() = default;
  /// Makes `file` the newest snapshot of the series and returns it.
  virtual absl::StatusOr<std::shared_ptr<const Snapshot>> Publish(const nn::TensorFile& file) = 0;
};

}  // namespace tandem::snapshot
