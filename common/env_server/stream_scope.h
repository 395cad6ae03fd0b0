#pragma once

#include <grpcpp/grpcpp.h>

#include "common/rpc/live_calls.h"

namespace tandem::env_server {

/// A stream of a service, for as long as its handler runs: the server can end it. `live` and
/// `context` outlive it.
class StreamScope : private rpc::LiveCall {
 public:
  StreamScope(rpc::LiveCallSet& live, grpc::ServerContext& context)
      : live_(live), context_(context), added_(live.Add(this)) {}
  ~StreamScope() override { live_.Remove(this); }
  StreamScope(const StreamScope&) = delete;
  StreamScope& operator=(const StreamScope&) = delete;

  /// False where the server is ending.
  bool live() const { return added_; }

 private:
  void Cancel() override { context_.TryCancel(); }

  rpc::LiveCallSet& live_;
  grpc::ServerContext& context_;
  const bool added_;
};

}  // namespace tandem::env_server
