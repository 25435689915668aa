// What a connection has to send: written as fast as the client takes it.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "server/http_stream.h"

namespace beryl::server {

// Everything happens on the stream's executor, callbacks included.
class HttpOutbox {
 public:
  // `on_empty`: all that was put has been handed to the system. `on_failed`: the client is gone, or took
  // nothing for `stall_max`; nothing is written any more.
  struct Callbacks {
    std::function<void()> on_empty;
    std::function<void()> on_failed;
  };
  HttpOutbox(HttpStream& stream, const boost::asio::any_io_executor& executor,
             std::chrono::milliseconds stall_max, Callbacks callbacks);

  // Whoever owns the outbox and the stream, kept while something is being written. Before the first put().
  void set_owner(std::weak_ptr<void> owner) { owner_ = std::move(owner); }

  void put(std::string_view bytes);
  bool empty() const { return !is_writing_; }
  size_t unsent_bytes() const { return writing_.size() - written_ + pending_.size(); }
  // Drops what is left.
  void stop();

 private:
  void write_more();
  void on_written(const boost::system::error_code& error, size_t bytes);
  void fail();

  HttpStream& stream_;
  const std::chrono::milliseconds stall_max_;
  const Callbacks callbacks_;
  std::weak_ptr<void> owner_;
  boost::asio::steady_timer stall_;
  std::string writing_;  // being written, from written_ on
  size_t written_ = 0;
  std::string pending_;  // to be written next
  bool is_writing_ = false;
  bool is_stopped_ = false;
};

}  // namespace beryl::server
