#pragma once

#include <google/protobuf/message_lite.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/rpc/call_scope.h"

namespace tandem::clients {

/// What stands before each message of tandem.env.v1's frames, little-endian.
struct FrameHeader {
  char magic[4] = {'T', 'E', 'F', '1'};
  uint32_t code = 0;    ///< Of a gRPC status; not 0: the message is its words, and no more comes.
  uint32_t length = 0;  ///< Of the message [bytes].
};
static_assert(sizeof(FrameHeader) == 12);

/// The socket for frames of a server at `address`: beside its Unix socket; empty where that is
/// none. It follows from what the client was told, so that no server can send it elsewhere.
std::string FramesPath(const std::string& address);

/// Client side of the frames of tandem.env.v1: the same requests and answers as on a stream of
/// gRPC, one request in flight, over a Unix socket that the thread which waits reads by itself. Its
/// errors are ExchangeStream's. Not thread-safe, but calls->Stop() ends a wait from any thread,
/// within 20 ms.
class FrameStream {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  /// Connects to `path`, and waits for the greeting: 1 s at most, and not beyond `deadline`.
  /// UNAVAILABLE where nobody is there who speaks frames, such as a server behind a mounted file
  /// system; CANCELLED after Stop.
  static absl::StatusOr<std::unique_ptr<FrameStream>> Connect(const std::string& path,
                                                              std::shared_ptr<rpc::CallSet> calls,
                                                              TimePoint deadline);
  ~FrameStream();
  FrameStream(const FrameStream&) = delete;
  FrameStream& operator=(const FrameStream&) = delete;

  /// Sends `request` and waits for its response. DEADLINE_EXCEEDED where none comes in time; else
  /// the status that the server has sent, UNAVAILABLE where the connection just ended, be it within
  /// a frame; DATA_LOSS for what is no frame, one above kMaxEnvMessageBytes, and what is no such
  /// message. The stream is of no more use after an error.
  absl::Status Exchange(const google::protobuf::MessageLite& request,
                        google::protobuf::MessageLite* response, TimePoint deadline);

 private:
  FrameStream(std::shared_ptr<rpc::CallSet> calls, int socket);

  absl::Status Greet(TimePoint deadline);
  absl::Status Send(std::string_view bytes, TimePoint deadline);
  /// The next frame; its message stays in buffer_.
  absl::StatusOr<std::string_view> Receive(TimePoint deadline);
  /// Reads until `size` bytes are in buffer_.
  absl::Status Fill(size_t size, TimePoint deadline);
  absl::Status Wait(int16_t events, TimePoint deadline);
  /// Sleeps until shortly before the answer is to be expected, and then looks for it without
  /// sleeping, for as short a time: waking a core that sleeps takes longer than the answer's way.
  void Await(TimePoint sent, TimePoint deadline);

  const std::shared_ptr<rpc::CallSet> calls_;
  const int socket_;
  std::string request_;                // header and message; kept for its memory
  std::string buffer_;                 // grows only
  size_t have_ = 0;                    // bytes of the present frame in it
  std::chrono::nanoseconds usual_{0};  // what an answer took of late
};

}  // namespace tandem::clients
