// A server on a free port of this machine with a protocol that tests decide.
#pragma once

#include <dirent.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "server/http_server.h"

namespace beryl::server {

// Answers with what was asked: "METHOD PATH?QUERY BODY".
inline void answer_with_echo(const HttpRequest& request, HttpResponder& responder) {
  responder.send({.content_type = "text/plain",
                  .body = request.method + " " + request.path + "?" + request.query + " " + request.body});
}

// Holds requests back until the test answers them.
class HeldRequests {
 public:
  struct Held {
    HttpRequest request;
    std::shared_ptr<HttpResponder> responder;
  };

  HttpHandler handler() {
    return [this](HttpRequest request, std::shared_ptr<HttpResponder> responder) {
      responder->on_gone([this] {
        const std::lock_guard lock(mutex_);
        ++gone_;
        changed_.notify_all();
      });
      const std::lock_guard lock(mutex_);
      held_.push_back({std::move(request), std::move(responder)});
      changed_.notify_all();
    };
  }

  // Waits for the next request.
  Held take() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, kWait, [this] { return !held_.empty(); })) return {};
    Held first = std::move(held_.front());
    held_.erase(held_.begin());
    return first;
  }
  bool wait_for_gone(int count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kWait, [&] { return gone_ >= count; });
  }
  int gone() {
    const std::lock_guard lock(mutex_);
    return gone_;
  }

 private:
  static constexpr std::chrono::seconds kWait{20};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Held> held_;
  int gone_ = 0;
};

class Records {
 public:
  std::function<void(const HttpRecord&)> sink() {
    return [this](const HttpRecord& record) {
      const std::lock_guard lock(mutex_);
      records_.push_back(record);
      changed_.notify_all();
    };
  }
  // Waits for so many.
  std::vector<HttpRecord> wait_for(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(20), [&] { return records_.size() >= count; });
    return records_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<HttpRecord> records_;
};

inline HttpServerOptions options_for_tests() {
  HttpServerOptions options;
  options.gate.accepts_any_host = true;
  return options;
}

inline HttpHandler echo_handler() {
  return [](const HttpRequest& request, const std::shared_ptr<HttpResponder>& responder) {
    answer_with_echo(request, *responder);
  };
}

inline size_t open_descriptor_count() {
  size_t count = 0;
  DIR* folder = ::opendir("/proc/self/fd");
  while (::readdir(folder) != nullptr) ++count;
  ::closedir(folder);
  return count;
}

// Waits for a condition that becomes true by itself.
template <typename Condition>
bool eventually(Condition condition) {
  for (int i = 0; i < 2000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

}  // namespace beryl::server
