#include "tests/integration/probe.h"

#include <arpa/inet.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/files.h"
#include "common/rpc/channel.h"
#include "common/rpc/status.h"

namespace tandem::integration {
namespace {

/// Sends one message to a method and returns the first answer: neither health nor reflection has
/// installed headers, and their messages are small enough to be written by hand.
absl::StatusOr<std::string> CallRaw(const std::string& address, const std::string& method,
                                    const std::string& request) {
  grpc::GenericStub stub(rpc::Connect(address));
  grpc::ClientContext context;
  rpc::SetDeadline(context, absl::Seconds(5));
  context.set_wait_for_ready(true);
  grpc::CompletionQueue queue;
  const auto step = [&queue] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  const grpc::Slice slice(request);
  grpc::ByteBuffer message(&slice, 1), reply;
  auto call = stub.PrepareCall(&context, method, &queue);
  call->StartCall(nullptr);
  bool ok = step();
  if (ok) {
    call->WriteLast(message, grpc::WriteOptions(), nullptr);
    ok = step();
  }
  if (ok) {
    call->Read(&reply, nullptr);
    ok = step();
  }
  grpc::Status status;
  call->Finish(&status, nullptr);
  step();
  queue.Shutdown();
  while (step()) {
  }
  if (!ok) return status.ok() ? absl::UnknownError("no answer") : rpc::FromGrpc(status);
  grpc::Slice whole;
  if (!reply.DumpToSingleSlice(&whole).ok()) return absl::InternalError("unreadable answer");
  return std::string(whole.begin(), whole.end());
}

}  // namespace

absl::StatusOr<std::string> Health(const std::string& address) {
  const auto reply = CallRaw(address, "/grpc.health.v1.Health/Check", "");
  if (!reply.ok()) return reply.status();
  // HealthCheckResponse.status is field 1: 1 is SERVING, 2 is NOT_SERVING.
  if (*reply == "\x08\x01") return "SERVING";
  if (*reply == "\x08\x02") return "NOT_SERVING";
  return absl::UnknownError("unexpected answer of the health service");
}

absl::Status WaitForHealth(const std::string& address, const std::string& wanted,
                           absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  for (;;) {
    const absl::StatusOr<std::string> health = Health(address);
    if (health.ok() && *health == wanted) return absl::OkStatus();
    if (absl::Now() >= deadline) {
      return absl::DeadlineExceededError(
          absl::StrCat("health is ", health.ok() ? *health : health.status().ToString()));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

absl::StatusOr<std::string> Reflect(const std::string& address) {
  // ServerReflectionRequest.list_services is field 7.
  return CallRaw(address, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                 "\x3a\x01*");
}

absl::StatusOr<std::string> HttpGet(const std::string& host_and_port, const std::string& path) {
  const size_t colon = host_and_port.rfind(':');
  if (colon == std::string::npos) return absl::InvalidArgumentError(host_and_port);
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval patience{5, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(std::atoi(host_and_port.c_str() + colon + 1)));
  inet_pton(AF_INET, host_and_port.substr(0, colon).c_str(), &to.sin_addr);
  std::string reply;
  const std::string request = absl::StrCat("GET ", path, " HTTP/1.0\r\nHost: test\r\n\r\n");
  if (connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to)) == 0 &&
      write(fd, request.data(), request.size()) == static_cast<ssize_t>(request.size())) {
    char buffer[65536];
    for (ssize_t n; (n = read(fd, buffer, sizeof(buffer))) > 0;) reply.append(buffer, n);
  }
  close(fd);
  const size_t body = reply.find("\r\n\r\n");
  if (!absl::StrContains(reply.substr(0, 20), " 200") || body == std::string::npos) {
    return absl::UnavailableError(absl::StrCat("GET ", host_and_port, path, ": ", reply));
  }
  return reply.substr(body + 4);
}

absl::Status CheckWithPromtool(const std::string& page) {
  // ./dev unpacks it there where the system has none.
  const char* source = std::getenv("TANDEM_SOURCE_DIR");
  const std::string path =
      absl::StrCat("PATH=$PATH:", source == nullptr ? "." : source, "/.cache/tools/bin; ");
  if (std::system((path + "command -v promtool > /dev/null").c_str()) != 0) {
    return absl::NotFoundError("promtool is not installed; ./dev installs it");
  }
  char name[] = "/tmp/tandem-promtool-XXXXXX";
  close(mkstemp(name));
  const std::string report = name;
  FILE* promtool = popen((path + "promtool check metrics > " + report + " 2>&1").c_str(), "w");
  if (promtool == nullptr) return absl::InternalError("cannot start promtool");
  fwrite(page.data(), 1, page.size(), promtool);
  const int result = pclose(promtool);
  const std::string said = ReadFile(report).value_or("");
  unlink(name);
  return result == 0 ? absl::OkStatus() : absl::InvalidArgumentError(said);
}

}  // namespace tandem::integration
