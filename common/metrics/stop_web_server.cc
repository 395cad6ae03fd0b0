#include "common/metrics/stop_web_server.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace tandem::metrics {
namespace {

/// Connects to a port of this machine and hangs up.
void Poke(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  // Whether it connects does not matter: without, stopping only takes longer.
  (void)connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to));
  close(fd);
}

}  // namespace

void StopWebServer(int port, const std::function<void()>& stop) {
  std::atomic<bool> stopped{false};
  std::thread waker([&stopped, port] {
    while (!stopped) {
      Poke(port);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  });
  stop();
  stopped = true;
  waker.join();
}

}  // namespace tandem::metrics
