// What all connections of a server share.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>

#include "server/http.h"
#include "server/http_exchange.h"
#include "server/http_gate.h"
#include "server/limits.h"

namespace beryl::server {

// How a request ended, for logs and metrics.
struct HttpRecord {
  std::chrono::system_clock::time_point start = {};
  std::string id;
  std::string client;
  std::string method;    // empty when the request could not be read
  std::string path;      // as sent, without the query, which may hold secrets
  int status = 0;        // 0: the client went away before there was one
  bool is_whole = true;  // the answer was handed to the system in full
  uint64_t bytes = 0;    // of the answer
  double seconds = 0;
  double first_byte_seconds = 0;  // until the answer began
  HttpNotes notes = {};
};

// Counts objects that exist, so that what they stand on can outlive them.
class ObjectCount {
 public:
  class Lease {
   public:
    explicit Lease(ObjectCount& count) : count_(count) {
      const std::lock_guard lock(count_.mutex_);
      ++count_.value_;
    }
    ~Lease() {
      const std::lock_guard lock(count_.mutex_);
      if (--count_.value_ == 0) count_.is_zero_.notify_all();
    }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;

   private:
    ObjectCount& count_;
  };

  void wait_for_zero() {
    std::unique_lock lock(mutex_);
    is_zero_.wait(lock, [this] { return value_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable is_zero_;
  size_t value_ = 0;
};

struct HttpShared {
  HttpLimits limits;
  HttpGate gate;
  HttpHandler handler;
  std::function<void(const HttpRecord&)> on_record;      // any thread of the transport
  std::function<void(const HttpConnection&)> on_closed;  // it no longer counts
  std::atomic<bool> is_draining = false;
  std::atomic<size_t> all_bodies_bytes = 0;
  ObjectCount connections;
};

}  // namespace beryl::server
