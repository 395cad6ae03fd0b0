#include "common/clients/grpc_replay_client.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <thread>

#include "common/codec/replay_codec.h"
#include "tandem/replay/v1/replay.grpc.pb.h"

namespace tandem::clients {
namespace {

using ::testing::HasSubstr;

EnvironmentSpec MakeSpec() { return {"toy", {{-1}, {1}}, {{-1}, {1}}, 10}; }

/// Takes every call and answers none, until the client gives up.
class LatePeer : public replay::v1::ReplayBufferService::Service {
  template <typename T>
  using Reader = grpc::ServerReaderWriter<replay::v1::SampleResponse, T>;

  grpc::Status OpenWriter(grpc::ServerContext* context, const replay::v1::OpenWriterRequest*,
                          replay::v1::OpenWriterResponse*) override {
    return Wait(context);
  }
  grpc::Status Append(grpc::ServerContext* context, const replay::v1::AppendRequest*,
                      replay::v1::AppendResponse*) override {
    return Wait(context);
  }
  grpc::Status Advance(grpc::ServerContext* context, const replay::v1::AdvanceRequest*,
                       replay::v1::AdvanceResponse*) override {
    return Wait(context);
  }
  grpc::Status GetStatus(grpc::ServerContext* context, const replay::v1::GetStatusRequest*,
                         replay::v1::GetStatusResponse*) override {
    return Wait(context);
  }
  grpc::Status Sample(grpc::ServerContext* context, Reader<replay::v1::SampleRequest>*) override {
    return Wait(context);
  }
  grpc::Status Tail(grpc::ServerContext* context, const replay::v1::TailRequest*,
                    grpc::ServerWriter<replay::v1::TailResponse>*) override {
    return Wait(context);
  }
  static grpc::Status Wait(grpc::ServerContext* context) {
    while (!context->IsCancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return grpc::Status::CANCELLED;
  }
};

/// Answers each stream with one message of the test's making.
class HostilePeer : public replay::v1::ReplayBufferService::Service {
 public:
  replay::v1::SampleResponse sample;
  replay::v1::TailResponse tail;

 private:
  grpc::Status Sample(grpc::ServerContext*,
                      grpc::ServerReaderWriter<replay::v1::SampleResponse,
                                               replay::v1::SampleRequest>* stream) override {
    replay::v1::SampleRequest request;
    stream->Read(&request);
    stream->Write(sample);
    return grpc::Status::OK;
  }
  grpc::Status Tail(grpc::ServerContext*, const replay::v1::TailRequest*,
                    grpc::ServerWriter<replay::v1::TailResponse>* writer) override {
    writer->Write(tail);
    return grpc::Status::OK;
  }
};

class GrpcReplayClientTest : public testing::Test {
 protected:
  GrpcReplayClientTest() {
    char name[] = "/tmp/tandem-client-XXXXXX";
    dir_ = mkdtemp(name);
    address_ = "unix:" + dir_ + "/r.sock";
  }
  ~GrpcReplayClientTest() override {
    client_.reset();
    if (server_) server_->Shutdown(std::chrono::system_clock::now());
    server_.reset();
    std::filesystem::remove_all(dir_);
  }

  void Serve(grpc::Service& service) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address_, grpc::InsecureServerCredentials());
    builder.RegisterService(&service);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
    const absl::Duration short_time = absl::Milliseconds(300);
    client_ = ConnectReplay(address_, {short_time, short_time, short_time, short_time, short_time});
  }

  std::string dir_, address_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<ReplayClient> client_;
};

TEST_F(GrpcReplayClientTest, ALatePeerHoldsUpNoCallBeyondItsDeadline) {
  LatePeer late;
  Serve(late);
  const auto expect_late = [&](const char* what, const std::function<absl::Status()>& call) {
    const auto start = std::chrono::steady_clock::now();
    const absl::Status status = call();
    EXPECT_TRUE(absl::IsDeadlineExceeded(status) || absl::IsUnavailable(status))
        << what << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(address_)) << what;
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(3)) << what;
  };
  expect_late("OpenWriter", [&] { return client_->OpenWriter("a", MakeSpec()).status(); });
  expect_late("Append", [&] { return client_->Append("a", 1, 1, {}, {}).status(); });
  expect_late("Advance", [&] {
    return client_->Advance({.role = Role::kActor, .member = "a"}, absl::Milliseconds(100))
        .status();
  });
  expect_late("GetStatus", [&] { return client_->GetStatus().status(); });

  auto sample = client_->OpenSample({.batch_size = 1});
  ASSERT_TRUE(sample.ok()) << sample.status();
  EXPECT_TRUE((*sample)->Request(1, 0).ok());
  expect_late("Sample, early", [&] { return (*sample)->Receive(absl::Milliseconds(20)).status(); });
  // Far longer than a stream may take: it is the stream that ends, not the wait for a batch.
  expect_late("Sample", [&] { return (*sample)->Receive(absl::Seconds(60)).status(); });
  expect_late("Request", [&] { return (*sample)->Request(1, 0); });

  auto tail = client_->OpenTail({});
  ASSERT_TRUE(tail.ok()) << tail.status();
  expect_late("Tail", [&] { return (*tail)->Receive(absl::Seconds(60)).status(); });
  EXPECT_TRUE(absl::IsUnavailable((*tail)->Receive(absl::Seconds(60)).status()));
}

TEST_F(GrpcReplayClientTest, DataOfTheWrongTypeOrShapeIsInvalid) {
  HostilePeer hostile;
  Serve(hostile);
  SampledBatch batch;
  batch.transitions.obs_dim = 2;
  batch.transitions.observations.assign(2 * 3, 0.5F);
  codec::EncodePart(batch, 0, 0, &hostile.sample);
  TailChunk chunk;
  chunk.transitions = batch.transitions;
  codec::Encode(chunk, &hostile.tail);
  const auto sample = [&](int64_t batch_size) {
    auto stream = client_->OpenSample({.batch_size = batch_size});
    EXPECT_TRUE((*stream)->Request(1, 0).ok());
    return (*stream)->Receive(absl::Seconds(20)).status();
  };
  const auto tail = [&] { return (*client_->OpenTail({}))->Receive(absl::Seconds(20)).status(); };
  EXPECT_TRUE(sample(3).ok()) << "the peer is honest so far";
  EXPECT_TRUE(tail().ok());
  EXPECT_TRUE(absl::IsInvalidArgument(sample(2))) << "more rows than were asked for";

  const replay::v1::SampleResponse good_sample = hostile.sample;
  const replay::v1::TailResponse good_tail = hostile.tail;
  using Damage = std::function<void(data::v1::TransitionBatch*)>;
  const Damage damages[] = {
      [](auto* rows) { rows->mutable_observations()->set_dtype(data::v1::DTYPE_INT64); },
      [](auto* rows) { rows->mutable_observations()->set_shape(0, int64_t{1} << 60); },
      [](auto* rows) { rows->mutable_observations()->set_shape(1, -2); },
      [](auto* rows) { rows->mutable_observations()->clear_shape(); },
      [](auto* rows) { *rows->mutable_rewards() = rows->observations(); },
  };
  for (const Damage& damage : damages) {
    hostile.sample = good_sample;
    hostile.tail = good_tail;
    damage(hostile.sample.mutable_transitions());
    damage(hostile.tail.mutable_transitions());
    EXPECT_TRUE(absl::IsInvalidArgument(sample(3))) << hostile.sample.ShortDebugString();
    EXPECT_TRUE(absl::IsInvalidArgument(tail())) << hostile.tail.ShortDebugString();
  }
}

}  // namespace
}  // namespace tandem::clients
