#include "services/replay_buffer/service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "common/codec/data_codec.h"
#include "common/codec/replay_codec.h"
#include "services/replay_buffer/testing/service_fixture.h"

namespace tandem {
namespace {

using testing::HasSubstr;
using testing_support::kLong;
using testing_support::MakeEpisode;
using testing_support::MakeSegment;
using testing_support::MakeSpec;

class ReplayServiceTest : public testing_support::ReplayServiceFixture {};

TEST_F(ReplayServiceTest, AppendsSamplesAndTails) {
  const auto session = client_->OpenWriter("a", MakeSpec());
  ASSERT_TRUE(session.ok()) << session.status();
  EXPECT_EQ(session->end_index, 0);
  const auto result =
      client_->Append("a", session->epoch, 1, {MakeSegment(1, 0, 12, true)}, {MakeEpisode(1, 12)});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->acknowledged_sequence, 1u);
  EXPECT_EQ(result->end_index, 12);

  auto sample = client_->OpenSample({.batch_size = 100, .seed = 5});
  ASSERT_TRUE((*sample)->Request(2, 12).ok());
  const auto batch = (*sample)->Receive(kLong);
  ASSERT_TRUE(batch.ok()) << batch.status();
  EXPECT_EQ(batch->through_index, 12);
  const auto direct = buffer_->Sample({.batch_size = 100, .seed = 5}, 0, 12);
  EXPECT_EQ(batch->transitions.observations, (**direct).transitions.observations);
  EXPECT_EQ(batch->transitions.next_observations, (**direct).transitions.next_observations);
  EXPECT_EQ(batch->transitions.terminated, (**direct).transitions.terminated);
  EXPECT_EQ(batch->transitions.policy_versions, (**direct).transitions.policy_versions);
  ASSERT_TRUE((*sample)->Receive(kLong).ok());
  EXPECT_EQ((*sample)->Receive(absl::Milliseconds(20)).status().code(),
            absl::StatusCode::kDeadlineExceeded)
      << "the credit is used up";

  auto tail = client_->OpenTail({.through_index = 10, .from_episode = 0});
  const auto chunk = (*tail)->Receive(kLong);
  ASSERT_TRUE(chunk.ok()) << chunk.status();
  EXPECT_EQ(chunk->transitions.size(), 10);
  EXPECT_EQ(chunk->next_index, 10);
  ASSERT_EQ(chunk->episodes.size(), 1u);
  EXPECT_EQ(chunk->episodes[0].length, 12);
  EXPECT_EQ(chunk->episodes[0].env_steps, 12);
  EXPECT_EQ(chunk->next_episode, 1);
  EXPECT_EQ((*tail)->Receive(kLong).status().code(), absl::StatusCode::kOutOfRange);

  const auto status = client_->GetStatus();
  ASSERT_TRUE(status.ok()) << status.status();
  EXPECT_EQ(*status->spec, MakeSpec());
  EXPECT_EQ(status->env_steps, 12);
  EXPECT_EQ(status->episodes, 1);
}

TEST_F(ReplayServiceTest, SequencesAndStartStatesTravelWhole) {
  Fill(500);
  const SampleSpec sequences{
      .kind = SampleKind::kSequences, .batch_size = 3000, .sequence_length = 40, .seed = 3};
  auto stream = client_->OpenSample(sequences);
  ASSERT_TRUE((*stream)->Request(1, 0).ok());
  const auto batch = (*stream)->Receive(kLong);
  ASSERT_TRUE(batch.ok()) << batch.status();
  const auto direct = buffer_->Sample(sequences, 0, 0);
  EXPECT_EQ(batch->sequences.batch_size, 3000);
  EXPECT_EQ(batch->sequences.observations, (**direct).sequences.observations);
  EXPECT_EQ(batch->sequences.mask, (**direct).sequences.mask);
  EXPECT_EQ(batch->sequences.indices, (**direct).sequences.indices);

  const SampleSpec starts{.kind = SampleKind::kStartStates, .batch_size = 300'000, .seed = 3};
  auto start_stream = client_->OpenSample(starts);
  ASSERT_TRUE((*start_stream)->Request(1, 0).ok());
  const auto states = (*start_stream)->Receive(kLong);
  ASSERT_TRUE(states.ok()) << states.status();
  EXPECT_EQ(states->transitions.observations,
            (**buffer_->Sample(starts, 0, 0)).transitions.observations);
  EXPECT_TRUE(states->transitions.rewards.empty());
}

TEST_F(ReplayServiceTest, ABigBatchComesInPartsOfAtMostOneMebibyte) {
  Fill(1000);
  auto stub = Stub();
  grpc::ClientContext context;
  rpc::SetDeadline(context, kLong);
  auto stream = stub->Sample(&context);
  replay::v1::SampleRequest request;
  codec::Encode(SampleSpec{.batch_size = 100'000}, request.mutable_spec());
  request.set_credit(1);
  ASSERT_TRUE(stream->Write(request));
  stream->WritesDone();
  int parts = 0;
  int64_t rows = 0;
  bool last = false;
  replay::v1::SampleResponse response;
  while (stream->Read(&response)) {
    ++parts;
    EXPECT_LE(response.ByteSizeLong(), size_t{1} << 20);
    EXPECT_EQ(response.first_row(), rows);
    EXPECT_FALSE(last);
    rows += response.transitions().rewards().shape(0);
    last = response.last();
  }
  EXPECT_TRUE(last);
  EXPECT_EQ(rows, 100'000);
  EXPECT_GT(parts, 4);
  EXPECT_TRUE(stream->Finish().ok()) << "after the last message it pays its credit and ends";
}

TEST_F(ReplayServiceTest, ExactlyOnceOverTheWire) {
  const auto session = client_->OpenWriter("a", MakeSpec());
  const uint64_t epoch = session->epoch;
  ASSERT_TRUE(client_->Append("a", epoch, 1, {MakeSegment(1, 0, 3)}, {}).ok());
  EXPECT_EQ(client_->Append("a", epoch, 1, {MakeSegment(1, 0, 3)}, {})->end_index, 3);
  EXPECT_EQ(client_->Append("a", epoch, 5, {MakeSegment(1, 3, 3)}, {}).status().code(),
            absl::StatusCode::kOutOfRange);
  ASSERT_TRUE(client_->OpenWriter("a", MakeSpec()).ok());
  EXPECT_EQ(client_->Append("a", epoch, 2, {MakeSegment(1, 3, 3)}, {}).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(client_->Append("nobody", 1, 1, {}, {}).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(ReplayServiceTest, RefusesWhatBreaksTheContractAndServesOn) {
  const auto session = client_->OpenWriter("a", MakeSpec());
  const auto code = [&](const replay::v1::AppendRequest& request, std::string* message = nullptr) {
    grpc::ClientContext context;
    rpc::SetDeadline(context, kLong);
    replay::v1::AppendResponse response;
    const grpc::Status status = Stub()->Append(&context, request, &response);
    if (message != nullptr) *message = status.error_message();
    return status.error_code();
  };
  replay::v1::AppendRequest good;
  codec::Encode("a", session->epoch, 1, {MakeSegment(1, 0, 3)}, {}, &good);

  std::string message;
  auto dtype = good;
  dtype.mutable_segments(0)->mutable_rewards()->set_dtype(data::v1::DTYPE_INT64);
  EXPECT_EQ(code(dtype, &message), grpc::INVALID_ARGUMENT);
  EXPECT_THAT(message, HasSubstr("segment.rewards: expected float32 [any], got int64 [3]"));
  auto length = good;
  length.mutable_segments(0)->mutable_actions()->mutable_data()->pop_back();
  EXPECT_EQ(code(length, &message), grpc::INVALID_ARGUMENT);
  EXPECT_THAT(message, HasSubstr("segment.actions: expected 12 bytes, got 11"));

  Segment nan = MakeSegment(1, 0, 3);
  nan.actions[1] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(client_->Append("a", session->epoch, 1, {nan}, {}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(
      client_->Append("a", session->epoch, 1, {MakeSegment(1, 0, 60'000)}, {}).status().code(),
      absl::StatusCode::kInvalidArgument)
      << "more than 1 MiB of steps";
  const absl::Status giant =
      client_->Append("a", session->epoch, 1, {MakeSegment(1, 0, 400'000)}, {}).status();
  EXPECT_EQ(giant.code(), absl::StatusCode::kInvalidArgument) << "more than a message may hold";
  EXPECT_THAT(std::string(giant.message()), HasSubstr("expected at most 4194304 bytes, got "));
  EXPECT_EQ(code(good), grpc::OK);
  EXPECT_EQ(buffer_->end_index(), 3);

  EXPECT_EQ((*client_->OpenTail({.from_index = -1}))->Receive(kLong).status().code(),
            absl::StatusCode::kInvalidArgument);
  auto bad_sample = client_->OpenSample({.batch_size = 0});
  EXPECT_TRUE((*bad_sample)->Request(1, 0).ok());
  EXPECT_EQ((*bad_sample)->Receive(kLong).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(client_->Advance({.role = static_cast<Role>(7), .member = "x"}, {}).status().code(),
            absl::StatusCode::kInvalidArgument);
  for (const double rate : {std::nan(""), 1e-4, 1e7}) {
    EXPECT_EQ(
        client_->Advance({.role = Role::kMonitor, .member = "m", .updates_per_step = rate}, {})
            .status()
            .code(),
        absl::StatusCode::kInvalidArgument);
  }
  EXPECT_TRUE(
      client_->Advance({.role = Role::kMonitor, .member = "m", .updates_per_step = 0}, {}).ok());
}

TEST_F(ReplayServiceTest, BoundsTheCreditOfAStream) {
  Fill(10);
  auto greedy = client_->OpenSample({.batch_size = 1});
  ASSERT_TRUE((*greedy)->Request(65, 0).ok());
  EXPECT_EQ((*greedy)->Receive(kLong).status().code(), absl::StatusCode::kResourceExhausted);

  auto fair = client_->OpenSample({.batch_size = 1});
  ASSERT_TRUE((*fair)->Request(64, 0).ok());
  for (int i = 0; i < 64; ++i) ASSERT_TRUE((*fair)->Receive(kLong).ok());
  ASSERT_TRUE((*fair)->Request(64, 0).ok());
  EXPECT_TRUE((*fair)->Receive(kLong).ok());
}

TEST_F(ReplayServiceTest, AReopenedStreamGivesTheSameBatches) {
  Fill(1000);
  const SampleSpec spec{.batch_size = 32, .seed = 77};
  std::vector<std::vector<int64_t>> runs[2];
  for (auto& run : runs) {
    auto stream = client_->OpenSample(spec);
    for (int k = 0; k < 5; ++k) ASSERT_TRUE((*stream)->Request(1, 900 + k).ok());
    for (int k = 0; k < 5; ++k) run.push_back((*stream)->Receive(kLong)->transitions.indices);
    const auto session = client_->OpenWriter("other", MakeSpec());  // the buffer grows meanwhile
    ASSERT_TRUE(client_->Append("other", session->epoch, 1, {MakeSegment(5, 0, 50)}, {}).ok());
  }
  EXPECT_EQ(runs[0], runs[1]);
  EXPECT_NE(runs[0][0], runs[0][1]);
}

TEST_F(ReplayServiceTest, ASlowReaderHoldsUpNobody) {
  Fill(5000);
  auto slow = client_->OpenSample({.batch_size = 50'000});  // 64 batches of 3 MB each
  ASSERT_TRUE((*slow)->Request(64, 0).ok());
  auto stub = Stub();
  grpc::ClientContext context;  // reads nothing at all
  auto stuck = stub->Tail(&context, replay::v1::TailRequest());
  for (int i = 0; i < 20; ++i) {
    auto quick = client_->OpenSample({.batch_size = 10});
    ASSERT_TRUE((*quick)->Request(1, 0).ok());
    ASSERT_TRUE((*quick)->Receive(kLong).ok());
    ASSERT_TRUE(client_->GetStatus().ok());
  }
  context.TryCancel();
  stuck->Finish();
}

TEST_F(ReplayServiceTest, TailFollowsAndWakes) {
  const auto session = client_->OpenWriter("a", MakeSpec());
  auto tail = client_->OpenTail({.from_episode = 0});
  EXPECT_EQ((*tail)->Receive(absl::Milliseconds(50)).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  int64_t next_index = 0;
  int64_t episodes = 0;
  for (uint64_t i = 1; i <= 20; ++i) {
    ASSERT_TRUE(
        client_->Append("a", session->epoch, i, {MakeSegment(i, 0, 3, true)}, {MakeEpisode(i, 3)})
            .ok());
    while (next_index < static_cast<int64_t>(3 * i) || episodes < static_cast<int64_t>(i)) {
      const auto chunk = (*tail)->Receive(kLong);
      ASSERT_TRUE(chunk.ok()) << chunk.status();
      next_index = chunk->next_index;
      episodes += static_cast<int64_t>(chunk->episodes.size());
    }
  }
  EXPECT_EQ(next_index, 60);
  EXPECT_EQ(episodes, 20);
}
}  // namespace
}  // namespace tandem
