#include "services/replay_buffer/tail_call.h"

#include <limits>

#include "common/base/status_macros.h"
#include "common/codec/data_codec.h"
#include "common/codec/replay_codec.h"

namespace tandem {
namespace {

constexpr int64_t kChunkBytes = codec::kMaxMessageBytes - 4096;

}  // namespace

TailCall::TailCall(ReplayBuffer& buffer, Executor& executor, rpc::LiveCallSet& live,
                   const replay::v1::TailRequest& request)
    : PullStream(executor, live), buffer_(buffer), request_(codec::Decode(request)) {
  if (request_.ok()) cursor_ = *request_;
}

TailCall::~TailCall() { buffer_.CancelWake(ticket_); }

absl::StatusOr<rpc::Pull> TailCall::Next(replay::v1::TailResponse& message) {
  TANDEM_RETURN_IF_ERROR(request_.status());
  const bool bounded = cursor_.through_index > 0;
  if (bounded && cursor_.from_index >= cursor_.through_index) {
    End();
    return rpc::Pull::kWait;
  }
  TANDEM_ASSIGN_OR_RETURN(const TailChunk chunk, buffer_.ReadTail(cursor_, kChunkBytes));
  if (chunk.next_index == cursor_.from_index && chunk.episodes.empty()) {
    const int64_t episode =
        cursor_.from_episode < 0 ? std::numeric_limits<int64_t>::max() : cursor_.from_episode;
    ticket_ = buffer_.NewTicket();
    buffer_.WhenNewer(ticket_, cursor_.from_index, episode, wakeup_.handle());
    return rpc::Pull::kWait;
  }
  cursor_.from_index = chunk.next_index;
  cursor_.from_episode = chunk.next_episode;
  codec::Encode(chunk, &message);
  return rpc::Pull::kSend;
}

}  // namespace tandem
