#include "server/http_connection.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

#include "server/http_error.h"
#include "server/http_request_id.h"

namespace beryl::server {

using std::chrono::milliseconds;

HttpConnection::HttpConnection(HttpShared& shared, std::unique_ptr<HttpStream> stream,
                               const boost::asio::any_io_executor& executor, std::string peer)
    : lease_(shared.connections),
      shared_(shared),
      executor_(executor),
      stream_(std::move(stream)),
      peer_(std::move(peer)),
      deadline_(executor),
      parser_(shared.limits),
      outbox_(*stream_, executor, shared.limits.write_stall_max,
              {.on_empty = [this] { on_all_written(); }, .on_failed = [this] { close(); }}) {}

template <typename Work>
void HttpConnection::post(Work work) {
  boost::asio::post(executor_, [self = shared_from_this(), work = std::move(work)]() mutable { work(); });
}

template <typename Work>
void HttpConnection::post_for(uint64_t number, Work work) {
  post([this, number, work = std::move(work)]() mutable {
    if (state_ == State::kAnswering && number == number_ && !current_.is_answered) work();
  });
}

void HttpConnection::start() {
  post([this] {
    outbox_.set_owner(weak_from_this());
    arm_deadline(shared_.limits.header_time_max);
    stream_->handshake([self = shared_from_this()](const SystemError& error) {
      if (self->state_ != State::kHandshake) return;
      if (error) return self->close();
      self->state_ = State::kIdle;
      self->idle_since_ = Clock::now().time_since_epoch().count();
      self->arm_deadline(self->shared_.limits.header_time_max);
      self->read_more();
    });
  });
}

void HttpConnection::cut() {
  post([this] { close(); });
}

void HttpConnection::drain() {
  post([this] {
    if (state_ == State::kHandshake || state_ == State::kIdle) close();
  });
}

// ---- Reading.

void HttpConnection::read_more() {
  if (is_reading_ || state_ == State::kClosed) return;
  if (inbox_.size() >= shared_.limits.pipelined_bytes_max) return;
  is_reading_ = true;
  stream_->read_some(
      boost::asio::buffer(read_buffer_),
      [self = shared_from_this()](const SystemError& error, size_t bytes) { self->on_read(error, bytes); });
}

void HttpConnection::on_read(const SystemError& error, size_t bytes) {
  is_reading_ = false;
  if (state_ == State::kClosed) return;
  if (error) return on_end_of_input();
  if (state_ != State::kLingering) inbox_.append(read_buffer_.data(), bytes);
  process_input();
  read_more();
}

void HttpConnection::on_end_of_input() {
  // What is answered in full may still be on its way.
  if (state_ == State::kAnswering && current_.is_answered) {
    current_.keeps_alive = false;
    return;
  }
  close();
}

void HttpConnection::process_input() {
  while (!inbox_.empty() && (state_ == State::kIdle || state_ == State::kHead || state_ == State::kBody)) {
    if (state_ == State::kIdle) {
      state_ = State::kHead;
      idle_since_ = 0;
      ++number_;
      current_ = {.start = Clock::now()};
      current_.record = {.start = std::chrono::system_clock::now(), .client = peer_};
      arm_deadline(shared_.limits.header_time_max);
    }
    advance_parser();
  }
}

void HttpConnection::advance_parser() {
  inbox_.erase(0, parser_.put(inbox_));
  if (state_ == State::kBody && !charge_body()) {
    return refuse(http_error(503, "the server holds too many request bodies; try again later"));
  }
  switch (parser_.state()) {
    case HttpParserState::kHeadDone:
      return on_head();
    case HttpParserState::kDone:
      return on_request();
    case HttpParserState::kRefused:
      return refuse(http_error(parser_.refusal().status, parser_.refusal().message));
    default:
      return;
  }
}

void HttpConnection::on_head() {
  const HttpHead& head = parser_.head();
  HttpRecord& record = current_.record;
  record.id = http_request_id(head.header("x-request-id"));
  record.method = head.method;
  record.path = head.path;
  current_.minor_version = head.minor_version;
  current_.is_head = head.method == "HEAD";
  current_.keeps_alive = head.keeps_alive && ++request_count_ < shared_.limits.requests_per_connection_max;
  current_.cors_headers = shared_.gate.cors_headers(head);
  HttpGate::Verdict verdict = shared_.gate.check(head);
  if (!verdict.caller.empty()) record.client = verdict.caller;
  if (verdict.answer) {
    if (head.has_body()) return refuse(*verdict.answer);
    return respond(*verdict.answer);
  }
  if (head.has_body()) {
    state_ = State::kBody;
    body_start_ = Clock::now();
    arm_deadline(std::min(shared_.limits.body_rate_grace, shared_.limits.body_time_max));
    if (head.expects_continue && inbox_.empty()) outbox_.put("HTTP/1.1 100 Continue\r\n\r\n");
  }
  parser_.go_on();
  if (!head.has_body()) on_request();
}

void HttpConnection::on_request() {
  deadline_.cancel();
  state_ = State::kAnswering;
  if (shared_.is_draining) {
    HttpResponse response = http_error(503, "the server is shutting down");
    response.headers.emplace_back("Retry-After", "5");
    return refuse(response);
  }
  HttpHead& head = parser_.head();
  HttpRequest request = {.method = current_.is_head ? "GET" : head.method,
                         .path = std::move(head.path),
                         .query = std::move(head.query),
                         .headers = std::move(head.headers),
                         .body = std::move(parser_.body()),
                         .id = current_.record.id,
                         .client = current_.record.client};
  // The protocol has no use for the key, and what is not there cannot be logged.
  request.headers.erase("authorization");
  request.headers.erase("x-api-key");
  const auto exchange = std::make_shared<HttpExchange>(shared_from_this(), number_);
  current_.exchange = exchange;
  try {
    shared_.handler(std::move(request), exchange);
  } catch (const std::exception&) {
    exchange->send(http_error(500, "the server failed to handle the request"));
  }
}

bool HttpConnection::charge_body() {
  const size_t bytes = parser_.body().size();
  const size_t more = bytes - body_charge_;
  if ((shared_.all_bodies_bytes += more) > shared_.limits.all_bodies_bytes_max) {
    shared_.all_bodies_bytes -= more;  // refused, and no reason to refuse others meanwhile
    return false;
  }
  body_charge_ = bytes;
  return true;
}

void HttpConnection::arm_deadline(milliseconds after) {
  deadline_.expires_after(after);
  deadline_.async_wait([self = shared_from_this()](const SystemError& error) {
    // It may have been armed anew when this was already on its way.
    if (!error && self->deadline_.expiry() <= Clock::now()) self->on_deadline();
  });
}

void HttpConnection::on_deadline() {
  switch (state_) {
    case State::kHandshake:
    case State::kIdle:
    case State::kLingering:
      return close();
    case State::kHead:
      return refuse(http_error(408, "the head of the request did not come in time"));
    case State::kBody:
      return check_body_rate();
    default:
      return;
  }
}

void HttpConnection::check_body_rate() {
  const HttpLimits& limits = shared_.limits;
  const auto elapsed = std::chrono::duration_cast<milliseconds>(Clock::now() - body_start_);
  const auto counted = std::max(milliseconds(0), elapsed - limits.body_rate_grace);
  const uint64_t wanted = limits.body_bytes_per_second_min * static_cast<uint64_t>(counted.count()) / 1000;
  if (elapsed >= limits.body_time_max || parser_.body_bytes_received() < wanted) {
    return refuse(http_error(408, "the body of the request did not come in time"));
  }
  arm_deadline(std::min({limits.body_rate_grace, limits.body_time_max - elapsed, milliseconds(1000)}));
}

// ---- Answering.

void HttpConnection::answer(uint64_t number, HttpResponse response, HttpNotes notes) {
  post_for(number, [this, response = std::move(response), notes = std::move(notes)]() mutable {
    current_.record.notes = std::move(notes);
    respond(response);
  });
}

void HttpConnection::begin_stream(uint64_t number, HttpResponse head) {
  post_for(number, [this, head = std::move(head)] {
    current_.is_streaming = true;
    outbox_.put(
        start_answer(head, current_.minor_version == 1 ? HttpFraming::kChunked : HttpFraming::kUntilClose));
  });
}

void HttpConnection::write(uint64_t number, std::string piece) {
  post_for(number, [this, piece = std::move(piece)] {
    if (piece.empty() || current_.is_head) return;
    const bool is_behind = !outbox_.empty();
    outbox_.put(current_.framing == HttpFraming::kChunked ? http_chunk(piece) : piece);
    current_.record.bytes += piece.size();
    if (is_behind && outbox_.unsent_bytes() > shared_.limits.stream_buffer_bytes_max) close();
  });
}

void HttpConnection::finish(uint64_t number, HttpNotes notes) {
  post_for(number, [this, notes = std::move(notes)]() mutable {
    current_.record.notes = std::move(notes);
    if (current_.framing == HttpFraming::kChunked && !current_.is_head) outbox_.put(kHttpLastChunk);
    end_body();
  });
}

void HttpConnection::abandon(uint64_t number) {
  post_for(number, [this] {
    if (current_.is_streaming) return close();
    respond(http_error(500, "the request was dropped"));
  });
}

void HttpConnection::refuse(const HttpResponse& response) {
  current_.keeps_alive = false;
  respond(response);
}

void HttpConnection::respond(const HttpResponse& response) {
  deadline_.cancel();
  state_ = State::kAnswering;
  std::string bytes = start_answer(response, HttpFraming::kLength);
  if (!current_.is_head && http_status_has_body(response.status)) {
    bytes += response.body;
    current_.record.bytes = response.body.size();
  }
  outbox_.put(bytes);
  end_body();
}

std::string HttpConnection::start_answer(const HttpResponse& response, HttpFraming framing) {
  if (shared_.is_draining || framing == HttpFraming::kUntilClose) current_.keeps_alive = false;
  current_.framing = framing;
  current_.record.status = response.status;
  current_.record.first_byte_seconds = std::chrono::duration<double>(Clock::now() - current_.start).count();
  return http_response_head(response, {.framing = framing,
                                       .keeps_alive = current_.keeps_alive,
                                       .minor_version = current_.minor_version,
                                       .request_id = current_.record.id,
                                       .more_headers = &current_.cors_headers});
}

void HttpConnection::end_body() {
  current_.is_answered = true;
  // Not at once: the next request may be in the inbox already, and one must not be answered inside another.
  if (outbox_.empty()) post([this] { on_all_written(); });
}

void HttpConnection::on_all_written() {
  if (state_ != State::kAnswering || !current_.is_answered) return;
  end_request(true);
  if (!current_.keeps_alive || shared_.is_draining) return linger();
  go_idle();
  process_input();
  read_more();
}

void HttpConnection::end_request(bool is_whole) {
  shared_.all_bodies_bytes -= body_charge_;
  body_charge_ = 0;
  current_.record.is_whole = is_whole;
  current_.record.seconds = std::chrono::duration<double>(Clock::now() - current_.start).count();
  if (shared_.on_record) shared_.on_record(current_.record);
}

void HttpConnection::go_idle() {
  parser_.reset();
  state_ = State::kIdle;
  idle_since_ = Clock::now().time_since_epoch().count();
  arm_deadline(shared_.limits.idle_time_max);
}

void HttpConnection::linger() {
  // Closing with bytes unread would reset the connection, and with it what the client has not read yet.
  state_ = State::kLingering;
  inbox_.clear();
  stream_->end_writing(shared_from_this());
  arm_deadline(shared_.limits.linger_time_max);
  read_more();
}

void HttpConnection::close() {
  if (state_ == State::kClosed) return;
  const bool is_in_request = state_ == State::kHead || state_ == State::kBody || state_ == State::kAnswering;
  state_ = State::kClosed;
  idle_since_ = 0;
  deadline_.cancel();
  outbox_.stop();
  stream_->close();
  if (is_in_request) end_request(false);
  if (const auto exchange = current_.exchange.lock()) exchange->lose();
  if (shared_.on_closed) shared_.on_closed(*this);
}

}  // namespace beryl::server
