#include "server/http_exchange.h"

#include "server/http_connection.h"

namespace beryl::server {

HttpExchange::HttpExchange(std::shared_ptr<HttpConnection> connection, uint64_t number)
    : number_(number), connection_(std::move(connection)) {}

HttpExchange::~HttpExchange() {
  if (connection_) connection_->abandon(number_);
}

std::shared_ptr<HttpConnection> HttpExchange::advance(State from, State to) {
  std::function<void()> callback;  // is destroyed without the lock, since it may hold this exchange
  const std::lock_guard lock(mutex_);
  if (state_ != from) return nullptr;
  state_ = to;
  if (to == State::kAnswered) {
    callback.swap(gone_callback_);
    return std::move(connection_);
  }
  return connection_;
}

void HttpExchange::send(HttpResponse response) {
  if (const auto connection = advance(State::kOpen, State::kAnswered)) {
    connection->answer(number_, std::move(response), std::move(notes_));
  }
}

void HttpExchange::begin_stream(HttpResponse head) {
  if (const auto connection = advance(State::kOpen, State::kStreaming)) {
    connection->begin_stream(number_, std::move(head));
  }
}

void HttpExchange::write(std::string piece) {
  if (const auto connection = advance(State::kStreaming, State::kStreaming)) {
    connection->write(number_, std::move(piece));
  }
}

void HttpExchange::finish() {
  if (const auto connection = advance(State::kStreaming, State::kAnswered)) {
    connection->finish(number_, std::move(notes_));
  }
}

void HttpExchange::on_gone(std::function<void()> callback) {
  {
    const std::lock_guard lock(mutex_);
    if (state_ == State::kAnswered) return;
    if (state_ != State::kLost) {
      gone_callback_ = std::move(callback);
      return;
    }
  }
  callback();
}

void HttpExchange::note(std::string_view name, std::string_view value) {
  const std::lock_guard lock(mutex_);
  if (connection_) notes_.emplace_back(name, value);
}

void HttpExchange::lose() {
  std::shared_ptr<HttpConnection> connection;
  std::function<void()> callback;
  {
    const std::lock_guard lock(mutex_);
    if (!connection_) return;
    state_ = State::kLost;
    connection.swap(connection_);
    callback.swap(gone_callback_);
  }
  if (callback) callback();
}

}  // namespace beryl::server
