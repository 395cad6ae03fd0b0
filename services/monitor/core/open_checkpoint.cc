#include "services/monitor/core/open_checkpoint.h"

#include <algorithm>
#include <utility>

#include "services/monitor/core/rows.h"

namespace tandem::monitor {
namespace {

/// Keeps the rows from `begin` on.
void DropFront(TransitionBatch* rows, int64_t begin) {
  if (begin == 0) return;
  TransitionBatch rest = EmptyLike(*rows);
  rest.Append(*rows, begin, rows->size());
  *rows = std::move(rest);
}

}  // namespace

int64_t OpenCheckpoint::CountBelow(int64_t index) const {
  return std::lower_bound(rows_.indices.begin(), rows_.indices.end(), index) -
         rows_.indices.begin();
}

int64_t OpenCheckpoint::DropSeen() {
  const int64_t seen = model_.has_value() ? CountBelow(model_->through_index) : 0;
  const int64_t begin = std::max(seen, rows_.size() - capacity_);
  DropFront(&rows_, begin);
  return begin;
}

int64_t OpenCheckpoint::Add(const TransitionBatch& rows) {
  if (rows.size() == 0) return 0;
  int64_t lost = 0;
  if (rows_.size() > 0 && rows.indices.front() <= rows_.indices.back()) {
    lost = rows_.size();
    rows_ = {};
  }
  rows_.Append(rows);
  return lost + DropSeen();
}

int64_t OpenCheckpoint::Follow(const HeldModel& newest, const HeldPolicy& at_fit,
                               int64_t read_index) {
  if (begun() && (newest.version == model_->version || read_index < newest.through_index ||
                  CountBelow(newest.through_index) > 0)) {
    return 0;
  }
  model_ = newest;
  at_fit_ = at_fit;
  return DropSeen();
}

std::optional<int64_t> OpenCheckpoint::EndsAt(const HeldModel& newest, int64_t read_index) const {
  if (!begun()) return std::nullopt;
  const int64_t end = rows_.size() == 0 ? 0 : rows_.indices.back() + 1;
  if (newest.version != model_->version) {
    if (read_index < newest.through_index && rows_.size() < capacity_) return std::nullopt;
    if (CountBelow(newest.through_index) >= least_rows_) return newest.through_index;
    if (rows_.size() >= least_rows_) return end;
    return std::nullopt;
  }
  if (rows_.size() >= most_rows_) return end;
  return std::nullopt;
}

TransitionBatch OpenCheckpoint::Close(int64_t through_index, const HeldModel& newest,
                                      const HeldPolicy& at_fit) {
  const int64_t count = CountBelow(through_index);
  TransitionBatch taken = EmptyLike(rows_);
  taken.Append(rows_, 0, count);
  DropFront(&rows_, count);
  if (newest.version != model_->version) at_fit_ = at_fit;
  model_ = newest;
  DropSeen();
  return taken;
}

}  // namespace tandem::monitor
