#include "server/http_outbox.h"

#include <utility>

namespace beryl::server {

HttpOutbox::HttpOutbox(HttpStream& stream, const boost::asio::any_io_executor& executor,
                       std::chrono::milliseconds stall_max, Callbacks callbacks)
    : stream_(stream), stall_max_(stall_max), callbacks_(std::move(callbacks)), stall_(executor) {}

void HttpOutbox::put(std::string_view bytes) {
  if (is_stopped_) return;
  pending_ += bytes;
  if (!is_writing_ && !pending_.empty()) write_more();
}

void HttpOutbox::stop() {
  is_stopped_ = true;
  stall_.cancel();
  pending_.clear();
}

void HttpOutbox::write_more() {
  is_writing_ = true;
  if (written_ == writing_.size()) {
    writing_.clear();
    writing_.swap(pending_);
    written_ = 0;
  }
  const auto owner = owner_.lock();
  stall_.expires_after(stall_max_);
  stall_.async_wait([this, owner](const boost::system::error_code& error) {
    if (!error && stall_.expiry() <= std::chrono::steady_clock::now()) fail();
  });
  stream_.write_some(
      boost::asio::buffer(writing_) + written_,
      [this, owner](const boost::system::error_code& error, size_t bytes) { on_written(error, bytes); });
}

void HttpOutbox::on_written(const boost::system::error_code& error, size_t bytes) {
  if (is_stopped_) return;
  if (error) return fail();
  written_ += bytes;
  if (written_ < writing_.size() || !pending_.empty()) return write_more();
  is_writing_ = false;
  writing_.clear();
  written_ = 0;
  stall_.cancel();
  callbacks_.on_empty();
}

void HttpOutbox::fail() {
  if (is_stopped_) return;
  stop();
  callbacks_.on_failed();
}

}  // namespace beryl::server
