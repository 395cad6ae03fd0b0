#include "common/rpc/member_service.h"

#include <string>

#include "common/base/trouble.h"

namespace tandem::rpc {

grpc::ServerUnaryReactor* MemberServiceImpl::GetTroubles(
    grpc::CallbackServerContext* context, const member::v1::GetTroublesRequest* /*request*/,
    member::v1::GetTroublesResponse* response) {
  for (const std::string& trouble : Troubles()) response->add_troubles(trouble);
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

}  // namespace tandem::rpc
