#include "services/monitor/web/http_server.h"

#include <arpa/inet.h>
#include <civetweb.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/address.h"
#include "common/base/status_macros.h"
#include "common/metrics/stop_web_server.h"

namespace tandem::monitor {
namespace {

constexpr char kHeaders[] =
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'\r\n"
    "X-Frame-Options: DENY\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "Referrer-Policy: no-referrer\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\n"
    "Cross-Origin-Opener-Policy: same-origin\r\n"
    "Cache-Control: no-store\r\n"
    "Connection: close\r\n";

const char* Reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 413:
      return "Payload Too Large";
    case 415:
      return "Unsupported Media Type";
    case 421:
      return "Misdirected Request";
    case 429:
      return "Too Many Requests";
    case 503:
      return "Service Unavailable";
    default:
      return status < 500 ? "Refused" : "Internal Server Error";
  }
}

std::string Header(mg_connection* connection, const char* name) {
  const char* value = mg_get_header(connection, name);
  return value == nullptr ? "" : value;
}

bool IsJson(const std::string& content_type) {
  return absl::EqualsIgnoreCase(
      absl::StripAsciiWhitespace(content_type.substr(0, content_type.find(';'))),
      "application/json");
}

/// Whether another listens at the numeric `address`: what the web server does not tell.
bool IsTaken(const std::string& address) {
  const size_t colon = address.rfind(':');
  const std::string host(absl::StripSuffix(absl::StripPrefix(address.substr(0, colon), "["), "]"));
  const addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_PASSIVE, .ai_socktype = SOCK_STREAM};
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), address.substr(colon + 1).c_str(), &hints, &found) != 0) {
    return false;
  }
  const int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int reuse = 1;  // as the web server: a connection that lingers is none that listens
  const bool taken = fd >= 0 &&
                     setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof(reuse)) == 0 &&
                     bind(fd, found->ai_addr, found->ai_addrlen) != 0 && errno == EADDRINUSE;
  if (fd >= 0) close(fd);
  freeaddrinfo(found);
  return taken;
}

class CivetwebServer : public HttpServer {
 public:
  CivetwebServer(const HttpOptions& options, HttpHandler handler)
      : options_(options), handler_(std::move(handler)) {}
  ~CivetwebServer() override {
    if (context_ == nullptr) return;
    metrics::StopWebServer(port_, [this] { mg_stop(context_); });
  }

  absl::Status Listen(const std::string& host, const std::string& port) {
    // The web server takes numbers only.
    const std::string bind = absl::StrCat(host == "localhost" ? "127.0.0.1" : host, ":", port);
    const std::string threads = absl::StrCat(options_.threads);
    const std::string timeout = absl::StrCat(absl::ToInt64Milliseconds(options_.timeout));
    const char* settings[] = {"listening_ports",
                              bind.c_str(),
                              "num_threads",
                              threads.c_str(),
                              "request_timeout_ms",
                              timeout.c_str(),
                              "enable_keep_alive",
                              "no",
                              "max_request_size",
                              "16384",
                              nullptr};
    mg_callbacks callbacks{};
    callbacks.begin_request = [](mg_connection* connection) {
      return Of(connection)->Serve(connection);
    };
    callbacks.http_error = [](mg_connection* connection, int status, const char*) {
      Send(connection, TextResponse(status, Reason(status)), /*with_body=*/true);
      return 0;
    };
    callbacks.log_message = [](const mg_connection*, const char*) { return 1; };  // say nothing
    context_ = mg_start(&callbacks, this, settings);
    mg_server_port bound{};
    if (context_ == nullptr || mg_get_server_ports(context_, 1, &bound) != 1) {
      if (IsTaken(bind)) {
        return absl::AlreadyExistsError(
            absl::StrCat("cannot serve pages at ", options_.address, ": the port is taken"));
      }
      return absl::UnavailableError(absl::StrCat("cannot serve pages at ", options_.address,
                                                 ": it may not be, or the address is not one of "
                                                 "this machine (a number or localhost)"));
    }
    port_ = bound.port;
    address_ = absl::StrCat(host, ":", port_);
    return absl::OkStatus();
  }

  std::string address() const override { return address_; }

 private:
  static CivetwebServer* Of(mg_connection* connection) {
    return static_cast<CivetwebServer*>(mg_get_user_data(mg_get_context(connection)));
  }

  /// Returns the status, which tells the web server that it is answered.
  int Serve(mg_connection* connection) {
    const mg_request_info* info = mg_get_request_info(connection);
    const bool head = std::string_view(info->request_method) == "HEAD";
    const HttpResponse response = Answer(connection, *info);
    Send(connection, response, !head);
    return response.status;
  }

  HttpResponse Answer(mg_connection* connection, const mg_request_info& info) {
    HttpRequest request;
    request.method = info.request_method;
    request.path = info.local_uri == nullptr ? "" : info.local_uri;
    request.query = info.query_string == nullptr ? "" : info.query_string;
    const std::string host = Header(connection, "Host");
    if (!IsOwnHost(host, options_.address)) {
      return TextResponse(421, "this server goes by its IP address or localhost");
    }
    if (request.method == "HEAD") request.method = "GET";
    if (request.method == "GET") return handler_(request);
    if (request.method != "POST") return TextResponse(405, "only GET, HEAD and POST");
    const std::string origin = Header(connection, "Origin");
    if (!origin.empty() && origin != "http://" + host && origin != "https://" + host) {
      return TextResponse(403, "only from this server's own page");
    }
    if (!IsJson(Header(connection, "Content-Type")))
      return TextResponse(415, "expected application/json");
    // Without a length there is nothing to bound what comes.
    if (info.content_length < 0) return TextResponse(400, "expected a Content-Length");
    if (info.content_length > static_cast<long long>(options_.max_body_bytes)) {
      return TextResponse(413, absl::StrCat("more than ", options_.max_body_bytes, " bytes"));
    }
    request.body.resize(static_cast<size_t>(info.content_length));
    size_t filled = 0;
    while (filled < request.body.size()) {
      const int got =
          mg_read(connection, request.body.data() + filled, request.body.size() - filled);
      if (got <= 0) return TextResponse(400, "the body ended early");
      filled += static_cast<size_t>(got);
    }
    return handler_(request);
  }

  static void Send(mg_connection* connection, const HttpResponse& response, bool with_body) {
    std::string head = absl::StrCat("HTTP/1.1 ", response.status, " ", Reason(response.status),
                                    "\r\n", kHeaders, "Content-Type: ", response.type,
                                    "\r\nContent-Length: ", response.body.size(), "\r\n");
    if (response.status == 405) absl::StrAppend(&head, "Allow: GET, HEAD, POST\r\n");
    if (!response.download.empty()) {
      absl::StrAppend(&head, "Content-Disposition: attachment; filename=\"", response.download,
                      "\"\r\n");
    }
    absl::StrAppend(&head, "\r\n");
    // A browser that has gone away is no error of ours.
    if (mg_write(connection, head.data(), head.size()) <= 0 || !with_body) return;
    (void)mg_write(connection, response.body.data(), response.body.size());
  }

  const HttpOptions options_;
  const HttpHandler handler_;
  mg_context* context_ = nullptr;
  int port_ = 0;
  std::string address_;
};

/// "example.org" of "example.org:80", "[::1]" of "[::1]:80".
std::string_view WithoutPort(std::string_view host) {
  const size_t colon = host.rfind(':');
  if (colon == std::string_view::npos || host.find(']', colon) != std::string_view::npos) {
    return host;
  }
  return host.substr(0, colon);
}

bool IsIpAddress(std::string_view host) {
  unsigned char address[sizeof(in6_addr)];
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    return inet_pton(AF_INET6, std::string(host.substr(1, host.size() - 2)).c_str(), address) == 1;
  }
  return inet_pton(AF_INET, std::string(host).c_str(), address) == 1;
}

}  // namespace

HttpResponse TextResponse(int status, std::string_view line) {
  HttpResponse response;
  response.status = status;
  response.body.append(line).append("\n");
  return response;
}

bool IsOwnHost(std::string_view host, std::string_view bound) {
  host = WithoutPort(host);
  return IsIpAddress(host) ||
         absl::EqualsIgnoreCase(absl::string_view(host.data(), host.size()), "localhost") ||
         (!host.empty() && host == WithoutPort(bound));
}

int64_t QueryNumber(std::string_view query, std::string_view name, int64_t otherwise) {
  while (!query.empty()) {
    const size_t end = std::min(query.find('&'), query.size());
    const std::string_view part = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    const size_t equals = part.find('=');
    if (equals == std::string_view::npos || part.substr(0, equals) != name) continue;
    int64_t value = -1;
    const char* const last = part.data() + part.size();
    const auto [stop, error] = std::from_chars(part.data() + equals + 1, last, value);
    if (error == std::errc() && stop == last && value >= 0) return value;
  }
  return otherwise;
}

absl::Status CheckHttpAddress(const std::string& address) {
  const absl::StatusOr<HostPort> parts = ParseHostPort(address);
  if (parts.ok() && !parts->host.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      parts.ok() ? absl::StrCat("dashboard address \"", address, "\": the host is missing")
                 : absl::StrCat("dashboard address ", parts.status().message()));
}

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const HttpOptions& options,
                                                              HttpHandler handler) {
  TANDEM_RETURN_IF_ERROR(CheckHttpAddress(options.address));
  const size_t colon = options.address.rfind(':');
  auto server = std::make_unique<CivetwebServer>(options, std::move(handler));
  TANDEM_RETURN_IF_ERROR(
      server->Listen(options.address.substr(0, colon), options.address.substr(colon + 1)));
  return server;
}

}  // namespace tandem::monitor
