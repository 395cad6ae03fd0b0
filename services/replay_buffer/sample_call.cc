#include "services/replay_buffer/sample_call.h"

#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/codec/replay_codec.h"
#include "services/replay_buffer/core/slicing.h"

namespace tandem {
namespace {

constexpr int64_t kMaxCredit = 64;

}  // namespace

SampleCall::SampleCall(ReplayBuffer& buffer, Executor& executor, rpc::LiveCallSet& live)
    : PullStream(executor, live), buffer_(buffer) {
  StartRead(&request_);
}

SampleCall::~SampleCall() { buffer_.CancelWake(ticket_); }

void SampleCall::OnReadDone(bool ok) {
  bool read_on = false;
  {
    MutexLock lock(mu_);
    if (ok) {
      bad_request_ = Take(request_);
      read_on = bad_request_.ok();
    } else {
      reads_done_ = true;
    }
  }
  Wake();
  if (read_on) StartRead(&request_);
}

absl::Status SampleCall::Take(const replay::v1::SampleRequest& request) {
  if (spec_.has_value() == request.has_spec()) {
    return absl::InvalidArgumentError(
        spec_ ? "sample: spec: expected it in the first message only"
              : "sample: spec: expected it in the first message, got none");
  }
  if (request.has_spec()) {
    TANDEM_ASSIGN_OR_RETURN(const SampleSpec spec, codec::Decode(request.spec()));
    TANDEM_RETURN_IF_ERROR(Validate(spec));
    spec_ = spec;
  }
  if (request.credit() < 0 || request.through_index() < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("sample: expected credit and through_index >= 0, got ", request.credit(),
                     " and ", request.through_index()));
  }
  const auto owed = static_cast<int64_t>(credit_.size());
  if (request.credit() > kMaxCredit - owed) {
    return absl::ResourceExhaustedError(
        absl::StrCat("sample: credit: expected at most ", kMaxCredit, " batches outstanding, got ",
                     owed, " and ", request.credit(), " more; ask when some have come"));
  }
  credit_.insert(credit_.end(), static_cast<size_t>(request.credit()), request.through_index());
  return absl::OkStatus();
}

absl::StatusOr<rpc::Pull> SampleCall::Next(replay::v1::SampleResponse& message) {
  if (!sampled_) {
    SampleSpec spec;
    int64_t through_index = 0;
    {
      MutexLock lock(mu_);
      TANDEM_RETURN_IF_ERROR(bad_request_);
      if (credit_.empty()) {
        if (reads_done_) End();
        return rpc::Pull::kWait;
      }
      spec = *spec_;
      through_index = credit_.front();
    }
    TANDEM_ASSIGN_OR_RETURN(const bool there, Cut(spec, through_index));
    if (!there) return rpc::Pull::kWait;
  }
  next_row_ = codec::EncodePart(*sampled_, batch_, next_row_, &message);
  if (message.last()) {
    sampled_.reset();
    next_row_ = 0;
    ++batch_;
    MutexLock lock(mu_);
    credit_.pop_front();
  }
  return rpc::Pull::kSend;
}

absl::StatusOr<bool> SampleCall::Cut(const SampleSpec& spec, int64_t through_index) {
  const int64_t end = buffer_.end_index();
  TANDEM_ASSIGN_OR_RETURN(sampled_, buffer_.Sample(spec, batch_, through_index));
  if (sampled_) return true;
  buffer_.CancelWake(ticket_);  // every message of the client asks again
  ticket_ = buffer_.NewTicket();
  buffer_.WhenNewer(ticket_, end, std::numeric_limits<int64_t>::max(), wakeup_.handle());
  return false;
}

}  // namespace tandem
