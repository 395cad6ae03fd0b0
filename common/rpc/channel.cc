#include "common/rpc/channel.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/rng.h"
#include "common/rpc/grpc_library.h"
#include "common/rpc/limits.h"

namespace tandem::rpc {

std::shared_ptr<grpc::Channel> Connect(const std::string& address, bool bulk,
                                       int max_message_bytes) {
  InitGrpc();
  grpc::ChannelArguments args;
  args.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  args.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  args.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  args.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  args.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  args.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS,
              2000);  // really the time that one attempt may take
  args.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  args.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  args.SetMaxReceiveMessageSize(max_message_bytes);
  args.SetMaxSendMessageSize(max_message_bytes);
  // Channels with equal arguments share connections by themselves; one with a pool of its own does
  // not, so that a large transfer never delays a small call.
  if (bulk) args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), args);
}

void SetDeadline(grpc::ClientContext& context, absl::Duration timeout) {
  context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoMicroseconds(timeout));
}

absl::Duration Backoff::Next() {
  // Peers that start together must not come back together: each object draws its own numbers.
  static std::atomic<uint64_t> objects{0};
  static const auto process = static_cast<uint64_t>(absl::ToUnixNanos(Clock::Real()->Now()));
  Rng rng(process + objects.fetch_add(1), "backoff");
  const double whole = std::min(absl::ToDoubleSeconds(longest_), 0.1 * std::pow(2.0, tries_));
  tries_ = std::min(tries_ + 1, 16);
  return absl::Seconds(whole * rng.Uniform(0.5, 1.0));
}

void PeerLog::Failed(const absl::Status& status) {
  const absl::Duration now = Clock::Real()->Monotonic();
  if (!waiting_) {
    waiting_ = true;
    since_ = now;
    next_ = now + absl::Seconds(1);
  }
  if (now < next_) return;
  next_ = now + absl::Seconds(5);
  told_ = true;
  // "Unavailable" says no more than the line itself does.
  const std::string why =
      absl::IsUnavailable(status) ? "" : absl::StrCat(" (", status.ToString(), ")");
  LogInfo(absl::StrCat("waiting for ", peer_, " at ", address_, ", ",
                       absl::ToInt64Seconds(now - since_), " s", why));
}

void PeerLog::Connected() {
  if (told_) LogInfo(absl::StrCat("connected to ", peer_, " at ", address_));
  waiting_ = told_ = false;
}

bool AwaitConnection(grpc::Channel& channel, PeerLog& log, const std::function<bool()>& keep_on) {
  const auto step = std::chrono::milliseconds(50);
  while (!channel.WaitForConnected(std::chrono::system_clock::now() + step)) {
    if (!keep_on()) return false;
    log.Failed(absl::UnavailableError("not connected"));
  }
  return true;
}

}  // namespace tandem::rpc
