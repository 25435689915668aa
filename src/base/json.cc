#include "base/json.h"

#include <fmt/format.h>

#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/quote.h"

namespace beryl {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

// Builds the value while it checks the limits. nlohmann's own parser is not recursive, so depth costs no
// stack.
template <typename Json>
class BoundedBuilder final : public nlohmann::json_sax<Json> {
 public:
  using Base = nlohmann::json_sax<Json>;
  using typename Base::binary_t;
  using typename Base::number_float_t;
  using typename Base::number_integer_t;
  using typename Base::number_unsigned_t;
  using typename Base::string_t;

  BoundedBuilder(std::string_view source, JsonLimits limits) : source_(source), limits_(limits) {}

  Json take() { return std::move(root_); }

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, const string_t&) override { return add(value); }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t&) override { return false; }

  bool start_object(std::size_t) override { return open(Json::object()); }
  bool start_array(std::size_t) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& name) override {
    if (!is_new_key(name)) fail(fmt::format("key {} appears twice", quote(name)));
    key_ = std::move(name);
    return true;
  }

  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    fail(fmt::format("not valid JSON at byte {}: {}", position, parse_error_reason(error)));
    return false;  // GCC 12 does not see that fail() never returns
  }

 private:
  [[noreturn]] void fail(std::string message) const {
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: {}", source_, message));
  }

  static constexpr bool kIsOrdered = std::is_same_v<Json, ordered_json>;

  bool is_new_key(const string_t& name) {
    if constexpr (kIsOrdered) {
      return keys_.back().insert(name).second;
    } else {
      return !stack_.back()->contains(name);
    }
  }

  // A new entry of the innermost object, which has no such key yet.
  Json& entry(string_t name, Json value) {
    if constexpr (kIsOrdered) {
      // Its own insertion would look through all keys.
      auto& entries = stack_.back()->template get_ref<ordered_json::object_t&>();
      return entries.emplace_back(std::move(name), std::move(value)).second;
    } else {
      return (*stack_.back())[std::move(name)] = std::move(value);
    }
  }

  Json* place(Json value) {
    if (++values_ > limits_.values_max) fail(fmt::format("more than {} JSON values", limits_.values_max));
    if (stack_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    if (stack_.back()->is_array()) {
      stack_.back()->push_back(std::move(value));
      return &stack_.back()->back();
    }
    return &entry(std::move(key_), std::move(value));
  }

  bool add(Json value) {
    place(std::move(value));
    return true;
  }

  bool open(Json container) {
    if (static_cast<int>(stack_.size()) >= limits_.depth_max) {
      fail(fmt::format("JSON nested deeper than {}", limits_.depth_max));
    }
    stack_.push_back(place(std::move(container)));
    if constexpr (kIsOrdered) keys_.emplace_back();
    return true;
  }

  bool close() {
    stack_.pop_back();
    if constexpr (kIsOrdered) keys_.pop_back();
    return true;
  }

  std::string_view source_;
  JsonLimits limits_;
  Json root_;
  std::vector<Json*> stack_;              // open containers, all inside root_
  std::vector<std::set<string_t>> keys_;  // of each, where the order of keys is kept
  std::string key_;
  int64_t values_ = 0;
};

template <typename Json>
Json parse_bounded(std::string_view text, std::string_view source, JsonLimits limits) {
  // nlohmann's reader takes a NUL for the end of its input, so whatever follows one would go unseen.
  if (const size_t nul = text.find('\0'); nul != std::string_view::npos) {
    throw Error(ErrorCode::kInvalidInput, fmt::format("{}: not valid JSON at byte {}: a NUL", source, nul));
  }
  BoundedBuilder<Json> builder(source, limits);
  Json::sax_parse(text.begin(), text.end(), &builder);
  return builder.take();
}

}  // namespace

json parse_json(std::string_view text, std::string_view source, JsonLimits limits) {
  return parse_bounded<json>(text, source, limits);
}

ordered_json parse_ordered_json(std::string_view text, std::string_view source, JsonLimits limits) {
  return parse_bounded<ordered_json>(text, source, limits);
}

std::string parse_error_reason(const nlohmann::detail::exception& error) {
  // The text starts with "[json.exception.parse_error.101] "; the rest is for people.
  std::string_view reason = error.what();
  if (const size_t bracket = reason.find("] "); bracket != std::string_view::npos) {
    reason.remove_prefix(bracket + 2);
  }
  return printable(reason);
}

std::string_view json_kind(nlohmann::json::value_t type) {
  using Type = nlohmann::json::value_t;
  switch (type) {
    case Type::null:
      return "null";
    case Type::object:
      return "an object";
    case Type::array:
      return "a list";
    case Type::string:
      return "a string";
    case Type::boolean:
      return "a boolean";
    default:
      return "a number";
  }
}

}  // namespace beryl
