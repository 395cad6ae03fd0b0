#include "common/clients/testing/frame_listener.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <utility>

#include "common/base/log.h"
#include "common/clients/frame_stream.h"

namespace tandem::clients {

FrameListener::FrameListener(const std::string& path, std::function<void(int)> serve)
    : path_(path), serve_(std::move(serve)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  TANDEM_CHECK(path.size() < sizeof(address.sun_path));
  std::memcpy(address.sun_path, path.data(), path.size());
  listener_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  unlink(path.c_str());
  TANDEM_CHECK(bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  TANDEM_CHECK(listen(listener_, 16) == 0);
  accept_ = std::thread([this] { Accept(); });
}

FrameListener::~FrameListener() {
  {
    MutexLock lock(mu_);
    stopping_ = true;
    for (const int socket : open_) shutdown(socket, SHUT_RDWR);
  }
  shutdown(listener_, SHUT_RDWR);
  accept_.join();
  for (std::thread& thread : threads_) thread.join();
  close(listener_);
  unlink(path_.c_str());
}

int FrameListener::connections() const {
  MutexLock lock(mu_);
  return connections_;
}

void FrameListener::Accept() {
  for (;;) {
    const int socket = accept(listener_, nullptr, nullptr);
    if (socket < 0) return;
    MutexLock lock(mu_);
    if (stopping_) {
      close(socket);
      return;
    }
    ++connections_;
    open_.push_back(socket);
    threads_.emplace_back([this, socket] { Serve(socket); });
  }
}

void FrameListener::Serve(int socket) {
  serve_(socket);
  MutexLock lock(mu_);
  open_.remove(socket);
  close(socket);
}

bool WriteBytes(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

bool ReadFrame(int socket, std::string* message) {
  FrameHeader header;
  if (recv(socket, &header, sizeof(header), MSG_WAITALL) != sizeof(header)) return false;
  if (std::memcmp(header.magic, FrameHeader{}.magic, sizeof(header.magic)) != 0) return false;
  message->resize(header.length);
  if (header.length == 0) return true;
  return recv(socket, message->data(), header.length, MSG_WAITALL) ==
         static_cast<ssize_t>(header.length);
}

std::string Frame(std::string_view message, uint32_t code) {
  FrameHeader header;
  header.code = code;
  header.length = static_cast<uint32_t>(message.size());
  std::string frame(reinterpret_cast<const char*>(&header), sizeof(header));
  return frame.append(message);
}

bool Greet(int socket) {
  std::string message;
  return ReadFrame(socket, &message) && message.empty() && WriteBytes(socket, Frame(""));
}

}  // namespace tandem::clients
