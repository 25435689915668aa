// A client that waits for its answer.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <utility>

#include "server/http.h"

namespace beryl::server {

// Collects an answer on any thread.
class WaitingResponder final : public HttpResponder {
 public:
  void send(HttpResponse response) override {
    const std::lock_guard lock(mutex_);
    status_ = response.status;
    body_ = std::move(response.body);
    end();
  }
  void begin_stream(HttpResponse head) override {
    const std::lock_guard lock(mutex_);
    status_ = head.status;
  }
  void write(std::string piece) override {
    const std::lock_guard lock(mutex_);
    body_ += piece;
  }
  void finish() override {
    const std::lock_guard lock(mutex_);
    end();
  }
  void on_gone(std::function<void()> callback) override {
    const std::lock_guard lock(mutex_);
    gone_ = std::move(callback);
  }
  // The client goes away; nothing happens if nobody listens yet.
  void lose() {
    std::function<void()> gone;
    {
      const std::lock_guard lock(mutex_);
      gone = std::exchange(gone_, nullptr);
    }
    if (gone) gone();
  }
  // The body once it is whole.
  std::string wait() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(ended_.wait_for(lock, std::chrono::seconds(60), [&] { return is_over_; }));
    return body_;
  }
  int status() {
    const std::lock_guard lock(mutex_);
    return status_;
  }

 private:
  void end() {
    EXPECT_FALSE(is_over_);
    is_over_ = true;
    gone_ = nullptr;
    ended_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable ended_;
  std::function<void()> gone_;
  std::string body_;
  int status_ = 0;
  bool is_over_ = false;
};

}  // namespace beryl::server
