#include "base/json.h"

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/quote.h"

namespace beryl {
namespace {

using nlohmann::json;

// Builds the value while it checks the limits. nlohmann's own parser is not recursive, so depth costs no
// stack.
class BoundedBuilder final : public nlohmann::json_sax<json> {
 public:
  BoundedBuilder(std::string_view source, JsonLimits limits) : source_(source), limits_(limits) {}

  json take() { return std::move(root_); }

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, const string_t&) override { return add(value); }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t&) override { return false; }

  bool start_object(std::size_t) override { return open(json::object()); }
  bool start_array(std::size_t) override { return open(json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    if (stack_.back()->contains(name)) fail(fmt::format("key {} appears twice", quote(name)));
    key_ = std::move(name);
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    // nlohmann's text starts with "[json.exception.parse_error.101] "; the rest is for people. It may quote
    // the file at length.
    std::string_view reason = error.what();
    if (const size_t bracket = reason.find("] "); bracket != std::string_view::npos) {
      reason.remove_prefix(bracket + 2);
    }
    fail(fmt::format("not valid JSON at byte {}: {}", position, printable(reason)));
  }

 private:
  [[noreturn]] void fail(std::string message) const {
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: {}", source_, message));
  }

  json* place(json value) {
    if (++values_ > limits_.values_max) fail(fmt::format("more than {} JSON values", limits_.values_max));
    if (stack_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    if (stack_.back()->is_array()) {
      stack_.back()->push_back(std::move(value));
      return &stack_.back()->back();
    }
    json& slot = (*stack_.back())[key_];
    slot = std::move(value);
    return &slot;
  }

  bool add(json value) {
    place(std::move(value));
    return true;
  }

  bool open(json container) {
    if (static_cast<int>(stack_.size()) >= limits_.depth_max) {
      fail(fmt::format("JSON nested deeper than {}", limits_.depth_max));
    }
    stack_.push_back(place(std::move(container)));
    return true;
  }

  bool close() {
    stack_.pop_back();
    return true;
  }

  std::string_view source_;
  JsonLimits limits_;
  json root_;
  std::vector<json*> stack_;  // open containers, all inside root_
  std::string key_;
  int64_t values_ = 0;
};

}  // namespace

json parse_json(std::string_view text, std::string_view source, JsonLimits limits) {
  // nlohmann's reader takes a NUL for the end of its input, so whatever follows one would go unseen.
  if (const size_t nul = text.find('\0'); nul != std::string_view::npos) {
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: not valid JSON at byte {}: a NUL", source, nul));
  }
  BoundedBuilder builder(source, limits);
  json::sax_parse(text.begin(), text.end(), &builder);
  return builder.take();
}

}  // namespace beryl
