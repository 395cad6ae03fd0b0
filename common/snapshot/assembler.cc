#include "common/snapshot/assembler.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace tandem::snapshot {
namespace {

// What is set aside before the bytes have come: a peer may announce more than it sends.
constexpr uint64_t kMaxReserve = 16 << 20;

std::string Text(Version version) { return absl::StrCat(version.epoch, ".", version.version); }

}  // namespace

absl::Status Assembler::CheckFirst(const v1::WatchResponse& part) const {
  const Version version{part.epoch(), part.version()};
  if (version.epoch == 0 || version.version == 0 || version <= have_) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected a snapshot newer than ", Text(have_), ", got ", Text(version)));
  }
  if (part.total_size() == 0 || part.total_size() > kMaxSnapshotBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "expected a snapshot of 1 to ", kMaxSnapshotBytes, " bytes, got ", part.total_size()));
  }
  return absl::OkStatus();
}

absl::Status Assembler::CheckNext(const v1::WatchResponse& part) const {
  if (Version{part.epoch(), part.version()} != version_ || part.total_size() != total_ ||
      part.hash() != hash_) {
    return absl::InvalidArgumentError(absl::StrCat(
        "expected the rest of snapshot ", Text(version_), " (", total_, " bytes), got a part of ",
        Text({part.epoch(), part.version()}), " (", part.total_size(), " bytes)"));
  }
  if (part.offset() != bytes_.size() || part.data().empty() ||
      part.data().size() > total_ - bytes_.size()) {
    return absl::InvalidArgumentError(absl::StrCat("expected a part at byte ", bytes_.size(),
                                                   " of ", total_, ", got ", part.data().size(),
                                                   " bytes at ", part.offset()));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const Snapshot>> Assembler::Add(const v1::WatchResponse& part) {
  if (total_ == 0) {
    TANDEM_RETURN_IF_ERROR(CheckFirst(part));
    version_ = {part.epoch(), part.version()};
    total_ = part.total_size();
    hash_ = part.hash();
    bytes_.clear();
    bytes_.reserve(std::min(total_, kMaxReserve));
  }
  TANDEM_RETURN_IF_ERROR(CheckNext(part));
  bytes_.append(part.data());
  if (bytes_.size() < total_) return std::shared_ptr<const Snapshot>();

  if (ContentHash(bytes_) != hash_) {
    return absl::DataLossError(absl::StrCat("snapshot ", Text(version_), " is damaged"));
  }
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->version = version_;
  snapshot->hash = hash_;
  snapshot->bytes = std::make_shared<const std::string>(std::move(bytes_));
  bytes_ = std::string();
  have_ = version_;
  total_ = 0;
  return std::shared_ptr<const Snapshot>(std::move(snapshot));
}

}  // namespace tandem::snapshot
