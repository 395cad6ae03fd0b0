#include "common/clients/frame_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <thread>

#include "common/clients/env_messages.h"
#include "common/clients/patience.h"
#include "common/clients/testing/frame_listener.h"
#include "tandem/env/v1/env.pb.h"

namespace tandem::clients {
namespace {

using ::testing::HasSubstr;

class FrameStreamTest : public testing::Test {
 protected:
  FrameStreamTest() {
    char name[] = "/tmp/tandem-frames-XXXXXX";
    dir_ = mkdtemp(name);
    path_ = dir_ + "/env.sock.frames";
    request_.set_session("key");
    request_.add_actions(std::string(100'000, 'a'));
    answer_.set_step_id(7);
    answer_.set_rewards(std::string(300'000, 'r'));
  }
  ~FrameStreamTest() override {
    stream_.reset();
    listener_.reset();
    std::filesystem::remove_all(dir_);
  }

  absl::Status Connect(absl::Duration timeout = absl::Seconds(10)) {
    auto stream = FrameStream::Connect(path_, calls_, After(timeout));
    if (stream.ok()) stream_ = *std::move(stream);
    return stream.status();
  }
  /// An exchange with a server that does `answer` once it was greeted and has the request.
  absl::Status Exchange(const std::function<void(int)>& answer,
                        absl::Duration timeout = absl::Seconds(10)) {
    listener_ = std::make_unique<FrameListener>(path_, [this, answer](int socket) {
      std::string raw;
      if (!Greet(socket) || !ReadFrame(socket, &raw)) return;
      env::v1::StepRequest got;
      EXPECT_TRUE(got.ParseFromString(raw));
      EXPECT_EQ(got.actions(0), request_.actions(0));
      answer(socket);
    });
    const absl::Status connected = Connect();
    if (!connected.ok()) return connected;
    return stream_->Exchange(request_, &response_, After(timeout));
  }
  /// One in which the server writes `bytes` and ends the connection.
  absl::Status ExchangeFor(const std::string& bytes) {
    return Exchange([bytes](int socket) { WriteBytes(socket, bytes); });
  }

  std::string dir_, path_;
  std::shared_ptr<rpc::CallSet> calls_ = std::make_shared<rpc::CallSet>("the test");
  env::v1::StepRequest request_;
  env::v1::StepResponse answer_, response_;
  std::unique_ptr<FrameListener> listener_;
  std::unique_ptr<FrameStream> stream_;
};

TEST_F(FrameStreamTest, FramesInPiecesAreOneAnswer) {
  const std::string whole = Frame(answer_.SerializeAsString());
  const absl::Status status = Exchange([&](int socket) {
    size_t at = 0;
    for (const size_t cut : {size_t{1}, size_t{5}, size_t{12}, size_t{70'000}, whole.size()}) {
      WriteBytes(socket, std::string_view(whole).substr(at, cut - at));
      at = cut;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  });
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(response_.step_id(), 7u);
  EXPECT_EQ(response_.rewards(), answer_.rewards());
}

TEST_F(FrameStreamTest, AServerThatDiesWithinAFrameIsUnavailable) {
  const std::string whole = Frame(answer_.SerializeAsString());
  for (const size_t cut : {size_t{0}, size_t{6}, size_t{12}, size_t{100}, whole.size() - 1}) {
    listener_.reset();
    const absl::Status status = ExchangeFor(whole.substr(0, cut));
    EXPECT_TRUE(absl::IsUnavailable(status)) << cut << ": " << status;
  }
}

TEST_F(FrameStreamTest, WhatIsNoAnswerIsDataLoss) {
  std::string huge = Frame("");
  const uint32_t length = kMaxEnvMessageBytes + 1;
  huge.replace(8, 4, reinterpret_cast<const char*>(&length), 4);
  const std::pair<std::string, const char*> cases[] = {
      {"HTTP/1.1 200 OK\r\n", "expected a frame"},
      {huge, "expected a frame of at most"},
      {Frame("\xff\xff"), "cannot be read"},
      {Frame("") + "more", "4 bytes more"},
  };
  for (const auto& [bytes, text] : cases) {
    listener_.reset();
    const absl::Status status = ExchangeFor(bytes);
    EXPECT_TRUE(absl::IsDataLoss(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(text));
  }
}

TEST_F(FrameStreamTest, AnErrorComesWithItsCodeAlsoWhereTheRequestWasNotRead) {
  const absl::Status status = ExchangeFor(Frame("no such session", /*code=*/5));
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("the test: no such session"));

  request_.add_actions(std::string(4 << 20, 'a'));  // more than the socket holds
  listener_.reset();
  listener_ = std::make_unique<FrameListener>(path_, [](int socket) {
    char byte;
    if (!Greet(socket) || recv(socket, &byte, 1, 0) != 1) return;
    WriteBytes(socket, Frame("too large", /*code=*/8));
  });
  ASSERT_TRUE(Connect().ok());
  const absl::Status refused = stream_->Exchange(request_, &response_, After(absl::Seconds(10)));
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
}

TEST_F(FrameStreamTest, ADeadlineAndAStopEndAWait) {
  const auto wait = [](int socket) {
    char byte;
    recv(socket, &byte, 1, 0);  // until the client is gone
  };
  const absl::Status late = Exchange(wait, absl::Milliseconds(50));
  EXPECT_TRUE(absl::IsDeadlineExceeded(late)) << late;
  std::thread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    calls_->Stop();
  });
  stream_.reset();
  listener_.reset();
  const absl::Status stopped = Exchange(wait, absl::Seconds(60));
  stopper.join();
  EXPECT_TRUE(absl::IsCancelled(stopped)) << stopped;
}

TEST(FramesPathTest, IsThatOfTheClientsOwnAddress) {
  EXPECT_EQ(FramesPath("unix:/run/env.sock"), "/run/env.sock.frames");
  EXPECT_EQ(FramesPath("unix:///run/env.sock"), "/run/env.sock.frames");
  EXPECT_EQ(FramesPath("localhost:7000"), "");
  EXPECT_EQ(FramesPath("unix:"), "");
}

TEST_F(FrameStreamTest, WhoDoesNotGreetIsNoServerOfFrames) {
  EXPECT_TRUE(absl::IsUnavailable(Connect())) << "nobody";
  listener_ = std::make_unique<FrameListener>(path_, [](int) {});
  EXPECT_TRUE(absl::IsUnavailable(Connect())) << "hangs up";
  listener_.reset();
  listener_ = std::make_unique<FrameListener>(
      path_, [](int socket) { WriteBytes(socket, "220 mail.example ready\r\n"); });
  EXPECT_TRUE(absl::IsUnavailable(Connect())) << "speaks something else";
  listener_.reset();
  listener_ = std::make_unique<FrameListener>(path_, [](int socket) {
    std::string message;
    while (ReadFrame(socket, &message)) {
    }
  });
  EXPECT_TRUE(absl::IsUnavailable(Connect(absl::Milliseconds(50)))) << "is silent";
  path_ = dir_ + "/" + std::string(200, 'x');
  EXPECT_TRUE(absl::IsUnavailable(Connect())) << "too long a path";
}

}  // namespace
}  // namespace tandem::clients
