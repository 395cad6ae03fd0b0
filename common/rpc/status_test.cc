#include "common/rpc/status.h"

#include <gtest/gtest.h>

namespace tandem::rpc {
namespace {

TEST(StatusTest, EveryCodeAndMessageComesBack) {
  EXPECT_TRUE(ToGrpc(absl::OkStatus()).ok());
  EXPECT_TRUE(FromGrpc(grpc::Status::OK).ok());
  for (int code = 1; code <= 16; ++code) {
    const absl::Status status(static_cast<absl::StatusCode>(code), "why");
    EXPECT_EQ(ToGrpc(status).error_code(), code);
    EXPECT_EQ(FromGrpc(ToGrpc(status)), status);
  }
}

TEST(StatusTest, StreamRemovedMayBeTriedAgain) {
  EXPECT_TRUE(
      absl::IsUnavailable(FromGrpc(grpc::Status(grpc::StatusCode::UNKNOWN, "Stream removed"))));
  EXPECT_TRUE(absl::IsUnknown(FromGrpc(grpc::Status(grpc::StatusCode::UNKNOWN, "else"))));
}

TEST(StatusTest, LongMessagesFitAHeader) {
  const grpc::Status status = ToGrpc(absl::InternalError(std::string(100'000, 'x')));
  EXPECT_EQ(status.error_message(), std::string(2000, 'x'));
}

}  // namespace
}  // namespace tandem::rpc
