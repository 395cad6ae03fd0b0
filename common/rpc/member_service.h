#pragma once

#include "tandem/member/v1/member.grpc.pb.h"

namespace tandem::rpc {

/// Tells what keeps this process from its work (common/base/trouble.h). Every ServerRunner serves
/// it. Thread-safe; never blocks.
class MemberServiceImpl : public member::v1::MemberService::CallbackService {
 public:
  grpc::ServerUnaryReactor* GetTroubles(grpc::CallbackServerContext* context,
                                        const member::v1::GetTroublesRequest* request,
                                        member::v1::GetTroublesResponse* response) override;
};

}  // namespace tandem::rpc
