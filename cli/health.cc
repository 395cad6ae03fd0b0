#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <iostream>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "cli/commands.h"
#include "common/rpc/channel.h"

namespace tandem::cli {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(2);

/// grpc.health.v1.HealthCheckResponse with status SERVING, field 1 = 1. Debian's gRPC serves the
/// health service without shipping its messages; an empty request asks for the whole server.
constexpr char kServing[] = "\x08\x01";

std::string Flatten(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (!buffer.Dump(&slices).ok()) return bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

}  // namespace

int CheckHealth(const std::string& address) {
  grpc::GenericStub stub(rpc::Connect(address));
  grpc::ClientContext context;
  rpc::SetDeadline(context, kTimeout);
  grpc::CompletionQueue queue;
  const grpc::Slice empty;
  const grpc::ByteBuffer request(&empty, 1);
  auto call = stub.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check", request, &queue);
  call->StartCall();
  grpc::ByteBuffer response;
  grpc::Status status;
  call->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);  // ends by the deadline
  queue.Shutdown();
  while (queue.Next(&tag, &ok)) {
  }
  if (!status.ok()) {
    return Fail(absl::UnavailableError(absl::StrCat(address, ": ", status.error_message())));
  }
  if (Flatten(response) != kServing) {
    return Fail(absl::UnavailableError(address + " is not serving"));
  }
  std::cout << "serving\n";
  return kDone;
}

}  // namespace tandem::cli
