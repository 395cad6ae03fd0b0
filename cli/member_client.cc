#include "cli/member_client.h"

#include <utility>

#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "common/rpc/channel.h"
#include "tandem/member/v1/member.grpc.pb.h"

namespace tandem::cli {
namespace {

class GrpcMemberClient : public MemberClient {
 public:
  GrpcMemberClient(const nlohmann::json& run, absl::Duration timeout) : timeout_(timeout) {
    for (const auto& member : run.value("members", nlohmann::json::array())) {
      members_.push_back({member.value("name", ""), member::v1::MemberService::NewStub(rpc::Connect(
                                                        member.value("address", "")))});
    }
  }

  void Refresh(TroubleMap* troubles) override {
    for (const auto& [name, stub] : members_) {
      grpc::ClientContext context;
      rpc::SetDeadline(context, timeout_);
      member::v1::GetTroublesResponse response;
      if (!stub->GetTroubles(&context, {}, &response).ok()) continue;
      if (response.troubles().empty()) {
        troubles->erase(name);
      } else {
        (*troubles)[name] = absl::StrJoin(response.troubles(), "\n");
      }
    }
  }

 private:
  const absl::Duration timeout_;
  std::vector<std::pair<std::string, std::unique_ptr<member::v1::MemberService::Stub>>> members_;
};

}  // namespace

std::unique_ptr<MemberClient> ConnectMembers(const nlohmann::json& run, absl::Duration timeout) {
  return std::make_unique<GrpcMemberClient>(run, timeout);
}

}  // namespace tandem::cli
