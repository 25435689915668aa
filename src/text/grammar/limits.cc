#include "text/grammar/limits.h"

#include <fmt/format.h>

#include "base/error.h"

namespace beryl::text::grammar {
namespace {

constexpr uint32_t kChecksPerClock = 256;

[[noreturn]] void fail(std::string_view what, size_t limit) {
  throw Error(ErrorCode::kInvalidInput, fmt::format("the grammar is too large: more than {} {}", limit, what),
              "make the schema, expression or grammar smaller");
}

}  // namespace

Budget::Budget(const GrammarLimits& limits) : limits_(limits), start_(std::chrono::steady_clock::now()) {}

void Budget::add_text(size_t bytes) {
  text_bytes_ += bytes;
  if (text_bytes_ > limits_.text_bytes_max) fail("bytes of text", limits_.text_bytes_max);
}

void Budget::add_nodes(size_t count) {
  nodes_ += count;
  if (nodes_ > limits_.nodes_max) fail("nodes", limits_.nodes_max);
  check_time();
}

void Budget::add_states(size_t count) {
  states_ += count;
  if (states_ > limits_.states_max) fail("states", limits_.states_max);
  check_time();
}

void Budget::check_time() {
  if (++checks_ % kChecksPerClock == 0) check_clock();
}

void Budget::check_clock() const {
  if (std::chrono::steady_clock::now() - start_ > limits_.compile_time_max) {
    fail("milliseconds to compile", static_cast<size_t>(limits_.compile_time_max.count()));
  }
}

}  // namespace beryl::text::grammar
