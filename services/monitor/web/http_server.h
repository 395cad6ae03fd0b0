#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace tandem::monitor {

struct HttpRequest {
  std::string method;  ///< "GET" or "POST"; a HEAD is a GET whose body is not sent.
  std::string path;    ///< Without the query, such as "/api/report".
  std::string query;   ///< "from=3&events=0"; empty where there is none.
  std::string body;
};

struct HttpResponse {
  int status = 200;
  std::string type = "text/plain; charset=utf-8";
  std::string body;
  std::string download;  ///< Where not empty, the browser saves the body under this name.
};

/// One line of text, as for a refusal.
HttpResponse TextResponse(int status, std::string_view line);

/// Answers one request. Called from several threads at once.
using HttpHandler = std::function<HttpResponse(const HttpRequest&)>;

struct HttpOptions {
  std::string address;  ///< "host:port": an IP address or localhost; port 0 for a free one.
  int threads = 4;      ///< Requests served at once.
  size_t max_body_bytes = 4096;
  absl::Duration timeout = absl::Seconds(3);  ///< For a request to arrive.
};

/// A small web server for pages of people on this machine or behind a proxy: GET, HEAD and POST,
/// one request a connection, bounded threads, sizes and times. It lets no other site use it:
///  - a request must name this host as an IP address, localhost, or as the address it was bound to
///    says (a name that an attacker points at this machine is refused: 421);
///  - a POST must be JSON and, if it names an origin, from this page (403);
///  - answers carry a Content-Security-Policy of this server only, may not be framed, sniffed or
///    cached, and allow no other origin.
/// Thread-safe. The destructor stops the threads; no handler runs afterwards.
class HttpServer {
 public:
  /// ALREADY_EXISTS where another listens at the address, UNAVAILABLE where it cannot be bound for
  /// another reason, INVALID_ARGUMENT where it is none.
  static absl::StatusOr<std::unique_ptr<HttpServer>> Start(const HttpOptions& options,
                                                           HttpHandler handler);
  virtual ~HttpServer() = default;

  /// "127.0.0.1:40123", with the real port.
  virtual std::string address() const = 0;
};

/// INVALID_ARGUMENT where this is no "host:port".
absl::Status CheckHttpAddress(const std::string& address);

/// Whether a server bound to `bound` ("127.0.0.1:80") serves requests for `host` (the Host header).
bool IsOwnHost(std::string_view host, std::string_view bound);

/// The value of a parameter of a query as a number >= 0; `otherwise` where it is absent or none.
int64_t QueryNumber(std::string_view query, std::string_view name, int64_t otherwise);

}  // namespace tandem::monitor
