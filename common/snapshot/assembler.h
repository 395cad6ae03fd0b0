#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "common/snapshot/snapshot.h"
#include "tandem/snapshot/v1/snapshot.pb.h"

namespace tandem::snapshot {

/// The largest part that a publisher sends [bytes].
inline constexpr uint64_t kPartBytes = 512 << 10;
/// The largest snapshot that a watcher takes [bytes].
inline constexpr uint64_t kMaxSnapshotBytes = uint64_t{1} << 30;

/// Initial metadata of a call that a publisher has accepted; a refused one has none.
inline constexpr char kAcceptedKey[] = "tandem-accepted";

/// Puts the parts of snapshots together, trusting none of them. Not thread-safe.
class Assembler {
 public:
  /// have: snapshots up to this one are refused.
  explicit Assembler(Version have) : have_(have) {}

  /// Takes the next part. Returns a snapshot where the part completes it, else nullptr.
  /// INVALID_ARGUMENT says which part did not fit; DATA_LOSS that the hash differs. After an error
  /// the assembler is of no more use.
  absl::StatusOr<std::shared_ptr<const Snapshot>> Add(const v1::WatchResponse& part);

 private:
  absl::Status CheckFirst(const v1::WatchResponse& part) const;
  absl::Status CheckNext(const v1::WatchResponse& part) const;

  Version have_;
  Version version_;
  uint64_t total_ = 0;  ///< 0: no snapshot has begun.
  uint64_t hash_ = 0;
  std::string bytes_;
};

}  // namespace tandem::snapshot
