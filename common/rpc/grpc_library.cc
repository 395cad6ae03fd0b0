#include "common/rpc/grpc_library.h"

#include <grpc/grpc.h>
#include <grpc/support/log.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>

#include <atomic>
#include <cstdlib>
#include <mutex>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"

namespace tandem::rpc {
namespace {

std::atomic<int> quiet{0};

void GrpcLog(gpr_log_func_args* args) {
  if (quiet == 0) LogWarning(absl::StrCat("grpc: ", args->message));
}

}  // namespace

void InitGrpc() {
  static std::once_flag once;
  std::call_once(once, [] {
    if (getenv("GRPC_VERBOSITY") == nullptr) gpr_set_log_function(GrpcLog);
    // Between calls nobody moves a connection on but gRPC's backup poller, every 5 s by default: a
    // peer that comes up would be found that late, for calls to a channel that failed before end at
    // once.
    setenv("GRPC_CLIENT_CHANNEL_BACKUP_POLL_INTERVAL_MS", "100", /*overwrite=*/0);
    grpc_init();  // never undone
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  });
}

QuietGrpc::QuietGrpc() { ++quiet; }
QuietGrpc::~QuietGrpc() { --quiet; }

}  // namespace tandem::rpc
