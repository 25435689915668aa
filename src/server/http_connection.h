// One client's connection: reads requests, hands them on one at a time and in order, writes the answers.
//
// A read is pending all the time, so that a client that goes away is noticed whatever its request waits for.
// An end of input counts as gone, as with other servers: a client that only closes its own direction after
// the request gets its answer only if that is already complete.
#pragma once

#include <array>
#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/http.h"
#include "server/http_exchange.h"
#include "server/http_outbox.h"
#include "server/http_parser.h"
#include "server/http_response.h"
#include "server/http_shared.h"
#include "server/http_stream.h"

namespace beryl::server {

class HttpConnection final : public std::enable_shared_from_this<HttpConnection> {
 public:
  // `peer` is the address of the other side.
  HttpConnection(HttpShared& shared, std::unique_ptr<HttpStream> stream,
                 const boost::asio::any_io_executor& executor, std::string peer);

  // Any thread, all of these.
  void start();
  // Ends it at once.
  void cut();
  // Ends it after the answer that is in progress.
  void drain();
  // Whether no request is in progress or begun, and since when, in ticks of the steady clock; else 0.
  int64_t idle_since() const { return idle_since_.load(); }
  const std::string& peer() const { return peer_; }

  // For the exchange with this number, from any thread; nothing when the connection is past it.
  void answer(uint64_t number, HttpResponse response, HttpNotes notes);
  void begin_stream(uint64_t number, HttpResponse head);
  void write(uint64_t number, std::string piece);
  void finish(uint64_t number, HttpNotes notes);
  void abandon(uint64_t number);

 private:
  using Clock = std::chrono::steady_clock;
  using SystemError = boost::system::error_code;
  enum class State : uint8_t { kHandshake, kIdle, kHead, kBody, kAnswering, kLingering, kClosed };

  // What is known of the request in progress.
  struct Current {
    std::weak_ptr<HttpExchange> exchange = {};
    HttpRecord record = {};
    Clock::time_point start = {};
    std::vector<std::pair<std::string, std::string>> cors_headers = {};
    int minor_version = 1;
    bool keeps_alive = false;
    bool is_head = false;  // the answer has no body
    bool is_streaming = false;
    bool is_answered = false;  // nothing more will be put
    HttpFraming framing = HttpFraming::kLength;
  };

  template <typename Work>
  void post(Work work);
  // Runs `work` on the connection's thread if the exchange is still the current one.
  template <typename Work>
  void post_for(uint64_t number, Work work);

  void read_more();
  void on_read(const SystemError& error, size_t bytes);
  void on_end_of_input();
  void process_input();
  void advance_parser();
  void on_head();
  void on_request();
  // False: all connections together hold too much.
  bool charge_body();
  void arm_deadline(std::chrono::milliseconds after);
  void on_deadline();
  void check_body_rate();

  // Answers in place of the protocol; the connection ends with it.
  void refuse(const HttpResponse& response);
  void respond(const HttpResponse& response);
  // Notes down how the answer begins, and returns the bytes of its head.
  std::string start_answer(const HttpResponse& response, HttpFraming framing);
  void end_body();
  void on_all_written();
  void end_request(bool is_whole);
  void go_idle();
  void linger();
  void close();

  ObjectCount::Lease lease_;  // first: ends last
  HttpShared& shared_;
  const boost::asio::any_io_executor executor_;
  const std::unique_ptr<HttpStream> stream_;
  const std::string peer_;
  std::atomic<int64_t> idle_since_ = 0;

  State state_ = State::kHandshake;
  boost::asio::steady_timer deadline_;
  HttpParser parser_;
  std::array<char, 16 << 10> read_buffer_{};
  std::string inbox_;  // read and not yet parsed
  bool is_reading_ = false;
  Clock::time_point body_start_;
  size_t body_charge_ = 0;  // this connection's part of HttpShared::all_bodies_bytes
  int request_count_ = 0;
  uint64_t number_ = 0;  // of the request in progress
  Current current_;
  HttpOutbox outbox_;
};

}  // namespace beryl::server
