// Limits on what clients may ask of a server: each far above what real clients need, and low enough that the
// worst client costs no more than its share.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace beryl::server {

// What the transport holds connections to.
struct HttpLimits {
  // Method, target and version. Browsers and proxies stop at about the same length.
  size_t request_line_bytes_max = 8 << 10;
  // All header lines with their line ends. Clients of this interface send about one kilobyte.
  size_t header_bytes_max = 16 << 10;
  // Clients send about 20; each costs a look-up and an allocation.
  size_t header_count_max = 64;
  // Text of a million tokens is 4 MB; escapes of JSON may double it.
  size_t body_bytes_max = 8 << 20;
  // A chunk's size takes 8 digits; what else stands in its line is ignored.
  size_t chunk_line_bytes_max = 256;
  // Trailers are read and ignored.
  size_t trailer_bytes_max = 1 << 10;
  // Bodies that are being received or read by the protocol, of all connections: 32 of the largest ones.
  size_t all_bodies_bytes_max = 256 << 20;

  // From the first byte of a request (of the first one: from the connection) to the end of its header. Not
  // per read: a client that sends a byte now and then must not hold a connection.
  std::chrono::milliseconds header_time_max{10'000};
  // For the whole body; the largest takes 140 kB/s.
  std::chrono::milliseconds body_time_max{60'000};
  // Below this a body is stalled, counted after the grace.
  size_t body_bytes_per_second_min = 1 << 10;
  std::chrono::milliseconds body_rate_grace{5'000};
  // Between requests; longer than the pauses of a client that polls.
  std::chrono::milliseconds idle_time_max{15'000};
  // A client that takes nothing for so long has stopped reading.
  std::chrono::milliseconds write_stall_max{30'000};
  // Closing waits so long for the client to read the last answer.
  std::chrono::milliseconds linger_time_max{2'000};

  // Spreads long-lived clients over the servers behind a balancer, and bounds what a leak per request can
  // cost.
  int requests_per_connection_max = 1'000;
  // Two descriptors each at most, half of the usual limit of 1,024 each; a stream takes about 100 kB.
  size_t connections_max = 512;
  // A client's pool rarely has more than 20. Not held against this machine's own addresses: behind a proxy
  // all connections come from one of them.
  size_t connections_per_peer_max = 64;

  // What a stream has produced and its client not yet taken, besides what the system buffers: a minute of
  // text at a thousand tokens a second.
  size_t stream_buffer_bytes_max = 256 << 10;
  // Of requests that were sent before the answer to the one before. When there is more, reading pauses.
  size_t pipelined_bytes_max = 64 << 10;
};

// What the protocol holds requests to.
struct ApiLimits {
  int json_depth_max = 64;
  int64_t json_values_max = 1'000'000;
  size_t messages_max = 4'096;
  size_t parts_per_message_max = 64;
  size_t tools_max = 128;
  int tool_schema_depth_max = 32;
  size_t tool_schema_bytes_max = 64 << 10;
  int32_t samples_max = 8;        // `n`: each takes a place in the batch
  int32_t top_logprobs_max = 20;  // as OpenAI's
  size_t stops_max = 16;
  size_t stop_bytes_max = 256;
  size_t logit_bias_max = 1'024;
};

}  // namespace beryl::server
