// One request's answer on its way from the protocol, on any thread, to the connection's own.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/http.h"

namespace beryl::server {

class HttpConnection;

using HttpNotes = std::vector<std::pair<std::string, std::string>>;

// Outlives its connection when the protocol holds it for longer; then its calls do nothing.
class HttpExchange final : public HttpResponder {
 public:
  // `number` tells the connection's requests apart.
  HttpExchange(std::shared_ptr<HttpConnection> connection, uint64_t number);
  // The protocol let go of it without a whole answer: the client gets an error, or its stream is cut.
  ~HttpExchange() override;

  void send(HttpResponse response) override;
  void begin_stream(HttpResponse head) override;
  void write(std::string piece) override;
  void finish() override;
  void on_gone(std::function<void()> callback) override;
  void note(std::string_view name, std::string_view value) override;

  // For the connection, on its thread: the client is gone. Calls what on_gone() was given.
  void lose();

 private:
  enum class State : uint8_t { kOpen, kStreaming, kAnswered, kLost };

  // The connection if the state is `from`, which becomes `to`; else null. With the last word the exchange
  // lets go of the connection.
  std::shared_ptr<HttpConnection> advance(State from, State to);

  const uint64_t number_;
  std::mutex mutex_;
  State state_ = State::kOpen;
  std::shared_ptr<HttpConnection> connection_;  // null when kAnswered or kLost
  std::function<void()> gone_callback_;
  HttpNotes notes_;
};

}  // namespace beryl::server
