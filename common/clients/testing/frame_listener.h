#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <string>
#include <string_view>
#include <thread>

#include "common/base/mutex.h"

namespace tandem::clients {

/// The server's side of a socket for frames, for tests: each connection is served in a thread of
/// its own, by blocking calls, and closed when `serve` returns. Thread-safe.
class FrameListener {
 public:
  /// Listens at `path` from now on; ends the process where that cannot be.
  FrameListener(const std::string& path, std::function<void(int socket)> serve);
  /// Shuts every connection down, and waits for their threads.
  ~FrameListener();
  FrameListener(const FrameListener&) = delete;
  FrameListener& operator=(const FrameListener&) = delete;

  int connections() const;

 private:
  void Accept();
  void Serve(int socket);

  const std::string path_;
  const std::function<void(int)> serve_;
  int listener_ = -1;
  mutable Mutex mu_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  int connections_ ABSL_GUARDED_BY(mu_) = 0;
  std::list<int> open_ ABSL_GUARDED_BY(mu_);
  std::list<std::thread> threads_;  // accept_'s own until that has ended
  std::thread accept_;
};

/// False at the end of the stream, and for what is no frame.
bool ReadFrame(int socket, std::string* message);
bool WriteBytes(int socket, std::string_view bytes);
/// A frame with this message; code: of a gRPC status.
std::string Frame(std::string_view message, uint32_t code = 0);
/// Takes the client's greeting and gives it back.
bool Greet(int socket);

}  // namespace tandem::clients
