#include "text/template/json_value.h"

#include <fmt/format.h>

#include "base/error.h"
#include "text/template/limits.h"

namespace beryl::text {
namespace {

using Json = nlohmann::ordered_json;

// Recursion is bounded by kValueDepthMax.

// NOLINTBEGIN(misc-no-recursion)
class Converter {
 public:
  Converter(Arena& arena, Origin origin) : arena_(arena), origin_(origin) {}

  Value convert(const Json& json, int depth) {
    if (depth > kValueDepthMax) {
      throw Error(ErrorCode::kResource, fmt::format("JSON nested deeper than {}", kValueDepthMax));
    }
    switch (json.type()) {
      case Json::value_t::boolean:
        return Value::boolean(json.get<bool>());
      case Json::value_t::number_integer:
        return Value::integer(json.get<int64_t>());
      case Json::value_t::number_unsigned:
        return convert_unsigned(json.get<uint64_t>());
      case Json::value_t::number_float:
        return Value::real(json.get<double>());
      case Json::value_t::string:
        return convert_string(json.get_ref<const std::string&>());
      case Json::value_t::array:
        return convert_array(json, depth);
      case Json::value_t::object:
        return convert_object(json, depth);
      default:
        return Value::none();
    }
  }

 private:
  static Value convert_unsigned(uint64_t number) {
    if (number > static_cast<uint64_t>(INT64_MAX)) {
      throw Error(ErrorCode::kInvalidInput,
                  fmt::format("the integer {} does not fit in 64 bits with sign", number));
    }
    return Value::integer(static_cast<int64_t>(number));
  }

  Value convert_string(const std::string& text) { return Value::string(arena_, MarkedText(text, origin_)); }

  Value convert_array(const Json& json, int depth) {
    auto* const items = arena_.make_array<Value>(json.size());
    size_t count = 0;
    for (const Json& item : json) items[count++] = convert(item, depth + 1);
    return make_list_value(arena_, {items, count});
  }

  Value convert_object(const Json& json, int depth) {
    auto* const entries = arena_.make_array<Entry>(json.size());
    size_t count = 0;
    for (const auto& [key, value] : json.get_ref<const Json::object_t&>()) {
      entries[count++] = {convert_string(key), convert(value, depth + 1)};
    }
    return make_map_value(arena_, {entries, count});
  }

  Arena& arena_;
  Origin origin_;
};
// NOLINTEND(misc-no-recursion)

}  // namespace

Value value_of_json(Arena& arena, const Json& json, Origin origin) {
  return Converter(arena, origin).convert(json, 0);
}

}  // namespace beryl::text
