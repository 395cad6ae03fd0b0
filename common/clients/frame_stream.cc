#include "common/clients/frame_stream.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/clients/env_messages.h"
#include "common/clients/patience.h"
#include "common/rpc/socket_files.h"

namespace tandem::clients {
namespace {

static_assert(std::endian::native == std::endian::little, "headers are little-endian");

constexpr absl::Duration kGreeting = absl::Seconds(1);
/// What one read may take: most answers are smaller.
constexpr size_t kFirstBuffer = 1 << 16;
/// By so much before and after its usual time an answer is looked for without sleeping.
constexpr std::chrono::microseconds kEarly{250};
/// Answers that take longer are slept for: what a waking costs is nothing beside them.
constexpr std::chrono::milliseconds kLongestAwaited{10};
constexpr int kMemory = 8;  // answers in the mean of their times

std::string_view Bytes(const FrameHeader& header) {
  return {reinterpret_cast<const char*>(&header), sizeof(header)};
}

bool WouldBlock(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

}  // namespace

std::string FramesPath(const std::string& address) {
  const std::string path = rpc::UnixSocketPath(address);
  return path.empty() ? "" : absl::StrCat(path, ".frames");
}

FrameStream::FrameStream(std::shared_ptr<rpc::CallSet> calls, int socket)
    : calls_(std::move(calls)), socket_(socket), buffer_(kFirstBuffer, '\0') {}

FrameStream::~FrameStream() { close(socket_); }

absl::StatusOr<std::unique_ptr<FrameStream>> FrameStream::Connect(
    const std::string& path, std::shared_ptr<rpc::CallSet> calls, TimePoint deadline) {
  if (calls->stopped()) return calls->Cancelled();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return absl::UnavailableError(absl::StrCat(path, ": too long for a socket"));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return absl::UnavailableError(absl::StrCat(path, ": ", std::strerror(errno)));
  std::unique_ptr<FrameStream> stream(new FrameStream(std::move(calls), fd));
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return absl::UnavailableError(absl::StrCat(path, ": ", std::strerror(errno)));
  }
  const absl::Status greeted = stream->Greet(std::min(deadline, After(kGreeting)));
  if (greeted.ok()) return stream;
  if (absl::IsCancelled(greeted)) return greeted;
  return absl::UnavailableError(absl::StrCat(path, ": ", greeted.message()));
}

absl::Status FrameStream::Greet(TimePoint deadline) {
  TANDEM_RETURN_IF_ERROR(Send(Bytes(FrameHeader{}), deadline));
  return Receive(deadline).status();
}

absl::Status FrameStream::Exchange(const google::protobuf::MessageLite& request,
                                   google::protobuf::MessageLite* response, TimePoint deadline) {
  FrameHeader header;
  const size_t size = request.ByteSizeLong();
  if (size > static_cast<size_t>(kMaxEnvMessageBytes)) {
    return absl::ResourceExhaustedError(absl::StrCat("a request of ", size, " bytes"));
  }
  header.length = static_cast<uint32_t>(size);
  request_.assign(Bytes(header));
  request.AppendPartialToString(&request_);
  // A server that refuses stops reading, and its words are still to be read.
  const auto asked = std::chrono::steady_clock::now();
  const absl::Status sent = Send(request_, deadline);
  if (!sent.ok() && !absl::IsUnavailable(sent)) return sent;
  if (sent.ok()) Await(asked, deadline);
  TANDEM_ASSIGN_OR_RETURN(const std::string_view message, Receive(deadline));
  usual_ += (std::chrono::steady_clock::now() - asked - usual_) / kMemory;
  if (response->ParseFromArray(message.data(), static_cast<int>(message.size()))) {
    return absl::OkStatus();
  }
  return absl::DataLossError(absl::StrCat(calls_->peer(), ": an answer that cannot be read"));
}

absl::Status FrameStream::Send(std::string_view bytes, TimePoint deadline) {
  while (!bytes.empty()) {
    const ssize_t sent = send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<size_t>(sent));
    } else if (WouldBlock(errno)) {
      TANDEM_RETURN_IF_ERROR(Wait(POLLOUT, deadline));
    } else {
      return absl::UnavailableError(absl::StrCat(calls_->peer(), ": ", std::strerror(errno)));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string_view> FrameStream::Receive(TimePoint deadline) {
  have_ = 0;
  TANDEM_RETURN_IF_ERROR(Fill(sizeof(FrameHeader), deadline));
  FrameHeader header;
  std::memcpy(&header, buffer_.data(), sizeof(header));
  if (std::memcmp(header.magic, FrameHeader{}.magic, sizeof(header.magic)) != 0) {
    return absl::DataLossError(absl::StrCat(calls_->peer(), ": expected a frame, got other bytes"));
  }
  if (header.length > static_cast<uint32_t>(kMaxEnvMessageBytes)) {
    return absl::DataLossError(absl::StrCat(calls_->peer(), ": expected a frame of at most ",
                                            kMaxEnvMessageBytes, " bytes, got ", header.length));
  }
  const size_t whole = sizeof(header) + header.length;
  TANDEM_RETURN_IF_ERROR(Fill(whole, deadline));
  const std::string_view message(buffer_.data() + sizeof(header), header.length);
  if (header.code != 0) {
    const absl::Status status =
        calls_->Explain({static_cast<grpc::StatusCode>(header.code), std::string(message)});
    return status.ok() ? absl::DataLossError("an error without a code") : status;
  }
  if (have_ == whole) return message;
  return absl::DataLossError(
      absl::StrCat(calls_->peer(), ": ", have_ - whole, " bytes more than were asked for"));
}

absl::Status FrameStream::Fill(size_t size, TimePoint deadline) {
  if (buffer_.size() < size) buffer_.resize(size);
  while (have_ < size) {
    const ssize_t got = recv(socket_, buffer_.data() + have_, buffer_.size() - have_, 0);
    if (got > 0) {
      have_ += static_cast<size_t>(got);
    } else if (got < 0 && WouldBlock(errno)) {
      TANDEM_RETURN_IF_ERROR(Wait(POLLIN, deadline));
    } else {
      const char* why = got == 0 ? "the server ended the stream" : std::strerror(errno);
      return absl::UnavailableError(absl::StrCat(calls_->peer(), ": ", why));
    }
  }
  return absl::OkStatus();
}

void FrameStream::Await(TimePoint sent, TimePoint deadline) {
  static const bool several_cores = std::thread::hardware_concurrency() > 1;
  if (!several_cores || usual_ > kLongestAwaited) return;
  const TimePoint from = sent + usual_ - kEarly;
  const auto sleep = std::min(from, deadline) - std::chrono::steady_clock::now();
  pollfd waited{socket_, POLLIN, 0};
  if (sleep > kEarly) {
    const timespec limit{0, std::chrono::nanoseconds(sleep).count()};
    if (ppoll(&waited, 1, &limit, nullptr) != 0) return;
  }
  const TimePoint until = std::max(from, sent) + 2 * kEarly;
  while (poll(&waited, 1, 0) == 0 && std::chrono::steady_clock::now() < until) {
  }
}

absl::Status FrameStream::Wait(int16_t events, TimePoint deadline) {
  for (;;) {
    if (calls_->stopped()) return calls_->Cancelled();
    const auto now = std::chrono::steady_clock::now();
    if (now >= deadline) {
      return absl::DeadlineExceededError(absl::StrCat(calls_->peer(), ": no answer in time"));
    }
    const auto left =
        std::min<std::chrono::nanoseconds>(deadline - now, absl::ToChronoNanoseconds(kStopPoll));
    const timespec limit{0, static_cast<int64_t>(left.count())};
    pollfd waited{socket_, events, 0};
    if (ppoll(&waited, 1, &limit, nullptr) > 0) return absl::OkStatus();
  }
}

}  // namespace tandem::clients
