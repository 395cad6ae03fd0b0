#include "services/monitor/web/http_server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace tandem::monitor {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

/// A real server, and requests over a plain socket, as no browser would send them.
class HttpServerTest : public testing::Test {
 protected:
  HttpServerTest() {
    HttpOptions options;
    options.address = "127.0.0.1:0";
    options.max_body_bytes = 100;
    options.timeout = absl::Milliseconds(300);
    auto server = HttpServer::Start(options, [](const HttpRequest& request) {
      HttpResponse response;
      response.body =
          absl::StrCat(request.method, " ", request.path, " ", request.query, " ", request.body);
      return response;
    });
    EXPECT_TRUE(server.ok()) << server.status();
    if (server.ok()) server_ = *std::move(server);
  }

  int Connect() {
    const std::string address = server_->address();
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
    const timeval wait = {5, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    return fd;
  }

  /// The whole answer, until the server hangs up.
  std::string Send(const std::string& request) {
    const int fd = Connect();
    EXPECT_EQ(send(fd, request.data(), request.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(request.size()));
    std::string answer;
    char buffer[4096];
    ssize_t got = 0;
    while ((got = recv(fd, buffer, sizeof(buffer), 0)) > 0) answer.append(buffer, got);
    close(fd);
    return answer;
  }

  std::string Ask(const std::string& first_line, const std::string& headers = "",
                  const std::string& body = "", const std::string& host = "127.0.0.1") {
    return Send(
        absl::StrCat(first_line, " HTTP/1.1\r\nHost: ", host, "\r\n", headers, "\r\n", body));
  }

  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AnswersAndLetsNoOtherSiteUseIt) {
  const std::string answer = Ask("GET /a/b?c=d");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK"));
  EXPECT_THAT(answer, HasSubstr("GET /a/b c=d"));
  EXPECT_THAT(answer, HasSubstr("Content-Security-Policy: default-src 'none'; script-src 'self'"));
  EXPECT_THAT(answer, HasSubstr("frame-ancestors 'none'"));
  EXPECT_THAT(answer, HasSubstr("X-Frame-Options: DENY"));
  EXPECT_THAT(answer, HasSubstr("X-Content-Type-Options: nosniff"));
  EXPECT_THAT(answer, Not(HasSubstr("Access-Control-Allow-Origin")));
}

TEST_F(HttpServerTest, AHeadIsAGetWithoutItsBody) {
  const std::string answer = Ask("HEAD /a");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(answer, HasSubstr("Content-Length: 8"));
  EXPECT_THAT(answer, testing::EndsWith("\r\n\r\n"));
}

TEST_F(HttpServerTest, RefusesNamesThatAreNotItsOwn) {
  EXPECT_THAT(Ask("GET /", "", "", "evil.example:80"), StartsWith("HTTP/1.1 421"));
  EXPECT_THAT(Ask("GET /", "", "", "127.0.0.1.evil.example"), StartsWith("HTTP/1.1 421"));
  EXPECT_THAT(Ask("GET /", "", "", "localhost:9999"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(Ask("GET /", "", "", "[::1]:80"), StartsWith("HTTP/1.1 200"));
  EXPECT_TRUE(IsOwnHost("tower:80", "tower:80"));
  EXPECT_FALSE(IsOwnHost("", "127.0.0.1:80"));
}

TEST_F(HttpServerTest, RefusesOtherMethods) {
  for (const char* method : {"PUT", "DELETE", "OPTIONS", "PATCH"}) {
    EXPECT_THAT(Ask(absl::StrCat(method, " /")), StartsWith("HTTP/1.1 405")) << method;
  }
}

TEST_F(HttpServerTest, TakesAPostOfItsOwnPageOnly) {
  const auto post = [this](const std::string& headers, const std::string& body) {
    return Ask("POST /x", absl::StrCat(headers, "Content-Length: ", body.size(), "\r\n"), body);
  };
  const std::string json = "Content-Type: application/json; charset=utf-8\r\n";
  EXPECT_THAT(post(json, "{}"), HasSubstr("POST /x  {}"));
  EXPECT_THAT(post(json + "Origin: http://127.0.0.1\r\n", "{}"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(post(json + "Origin: http://evil.example\r\n", "{}"), StartsWith("HTTP/1.1 403"));
  EXPECT_THAT(post(json + "Origin: null\r\n", "{}"), StartsWith("HTTP/1.1 403"));
  EXPECT_THAT(post("Content-Type: text/plain\r\n", "{}"), StartsWith("HTTP/1.1 415"));
  EXPECT_THAT(post(json, std::string(101, 'x')), StartsWith("HTTP/1.1 413"));
}

TEST_F(HttpServerTest, SurvivesWhatIsNoRequest) {
  EXPECT_THAT(Send("hello\r\n\r\n"), Not(HasSubstr("200 OK")));
  EXPECT_THAT(
      Send("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + std::string(40000, 'a') + "\r\n\r\n"),
      Not(HasSubstr("200 OK")));
  EXPECT_THAT(Ask("GET /"), StartsWith("HTTP/1.1 200"));
}

TEST_F(HttpServerTest, ServesAgainAfterEveryThreadWasHeldUp) {
  std::vector<int> silent;
  for (int i = 0; i < 8; ++i) silent.push_back(Connect());
  EXPECT_THAT(Ask("GET /"), StartsWith("HTTP/1.1 200")) << "those that say nothing are let go";
  for (const int fd : silent) close(fd);
}

TEST_F(HttpServerTest, StopsAtOnce) {
  const absl::Time start = absl::Now();
  server_.reset();
  EXPECT_LT(absl::Now() - start, absl::Seconds(1.5));
}

TEST(HttpServerStart, SaysWhatIsWrongWithAnAddress) {
  const HttpHandler nothing = [](const HttpRequest&) { return HttpResponse(); };
  HttpOptions options;
  for (const char* address : {"", "127.0.0.1", ":80", "127.0.0.1:x", "127.0.0.1:70000"}) {
    options.address = address;
    EXPECT_TRUE(absl::IsInvalidArgument(HttpServer::Start(options, nothing).status())) << address;
  }
  options.address = "127.0.0.1:0";
  const auto first = HttpServer::Start(options, nothing);
  ASSERT_TRUE(first.ok());
  options.address = (*first)->address();
  EXPECT_TRUE(absl::IsAlreadyExists(HttpServer::Start(options, nothing).status()));
  options.address = "192.0.2.1:8080";
  EXPECT_TRUE(absl::IsUnavailable(HttpServer::Start(options, nothing).status()));
}

TEST(QueryNumber, IsTheParameterOrTheDefault) {
  EXPECT_EQ(QueryNumber("from=12&events=3", "events", 0), 3);
  EXPECT_EQ(QueryNumber("from=12", "events", 7), 7);
  EXPECT_EQ(QueryNumber("from=-1", "from", 7), 7);
  EXPECT_EQ(QueryNumber("from=1x", "from", 7), 7);
  EXPECT_EQ(QueryNumber("xfrom=1&from=", "from", 7), 7);
}

}  // namespace
}  // namespace tandem::monitor
