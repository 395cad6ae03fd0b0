#pragma once

namespace tandem::rpc {

/// What both ends of a connection agree on. No message comes near the largest size: batches and
/// snapshots travel in parts of at most 1 MiB.
inline constexpr int kMaxMessageBytes = 4 << 20;
/// A peer is pinged when nothing has come from it for so long, and given up when no answer comes.
inline constexpr int kKeepaliveMs = 10'000;
inline constexpr int kKeepaliveTimeoutMs = 5'000;
/// A server takes pings more often than this for an attack.
inline constexpr int kMinPingIntervalMs = 5'000;

}  // namespace tandem::rpc
