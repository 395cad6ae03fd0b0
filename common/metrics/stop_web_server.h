#pragma once

#include <functional>

namespace tandem::metrics {

/// Runs `stop`, which stops a civetweb server that listens at `port` of this machine, and makes
/// that quick: its accepting thread looks only every two seconds whether it shall stop, or when
/// somebody connects, so this connects to it meanwhile. Blocks until `stop` returns.
void StopWebServer(int port, const std::function<void()>& stop);

}  // namespace tandem::metrics
