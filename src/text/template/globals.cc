#include "text/template/globals.h"

#include <fmt/format.h>

#include <array>
#include <ctime>
#include <vector>

#include "base/error.h"
#include "base/quote.h"
#include "text/template/arguments.h"
#include "text/template/limits.h"
#include "text/template/unicode.h"
#include "text/template/value_order.h"
#include "text/template/value_text.h"

namespace beryl::text {
namespace {

Value call_range(Runtime& runtime, const Arguments& arguments) {
  const BoundArguments bound("range", arguments, {"start", "stop", "step"}, 1);
  const int64_t start = bound.has(1) ? bound.integer_or(0, 0) : 0;
  const int64_t stop = bound.has(1) ? bound.integer_or(1, 0) : bound.integer_or(0, 0);
  const int64_t step = bound.integer_or(2, 1);
  if (step == 0) fail_render("range() arg 3 must not be zero");
  const bool is_empty = step > 0 ? start >= stop : start <= stop;
  if (is_empty) return Value::range(runtime.arena().make(Range{start, step, 0}));
  // Without the sign, as the distance of two integers may need 64 bits.
  const uint64_t low = static_cast<uint64_t>(step > 0 ? start : stop);
  const uint64_t high = static_cast<uint64_t>(step > 0 ? stop : start);
  const uint64_t stride = step > 0 ? static_cast<uint64_t>(step) : ~static_cast<uint64_t>(step) + 1;
  const uint64_t size = (high - low - 1) / stride + 1;
  if (size > static_cast<uint64_t>(kRangeItemsMax)) {
    throw Error(ErrorCode::kResource, fmt::format("range() of more than {} items", kRangeItemsMax));
  }
  return Value::range(runtime.arena().make(Range{start, step, static_cast<int64_t>(size)}));
}

// The entries of the one positional argument, if any, then the named ones; later ones win.
std::vector<Entry> entries_of(Runtime& runtime, const Arguments& arguments, std::string_view callee) {
  std::vector<Entry> entries;
  if (arguments.positional.size() > 1) fail_render(fmt::format("{}() takes at most one argument", callee));
  if (!arguments.positional.empty()) {
    const Value& source = arguments.positional[0];
    if (source.is(Kind::kMap)) {
      entries.assign(source.entries().begin(), source.entries().end());
    } else {
      for (const Value& pair : items_of(runtime, source)) {
        const auto parts = items_of(runtime, pair);
        if (parts.size() != 2) fail_render(fmt::format("{}(): expected pairs", callee));
        put_entry(runtime, entries, parts[0], parts[1]);
      }
    }
  }
  for (const NamedValue& argument : arguments.named) {
    const MarkedText name(argument.name, Origin::kTemplate);
    put_entry(runtime, entries, Value::string(runtime.arena(), name), argument.value);
  }
  return entries;
}

Value call_dict(Runtime& runtime, const Arguments& arguments) {
  return make_map_value(runtime.arena(), entries_of(runtime, arguments, "dict"));
}

Value call_namespace(Runtime& runtime, const Arguments& arguments) {
  auto* const space = runtime.arena().make(Namespace{});
  for (const Entry& entry : entries_of(runtime, arguments, "namespace")) {
    if (!entry.key.is(Kind::kString)) fail_render("namespace(): names must be strings");
    set_in_namespace(runtime.arena(), *space, entry.key.string(), entry.value);
  }
  return Value::name_space(space);
}

// The template's words to the user may hold the caller's text: no control characters but line ends and tabs,
// and not without bound.
std::string shown_message(std::string_view text) {
  constexpr size_t kCharactersMax = 2000;
  std::string shown(text.substr(0, offset_of_character(text, kCharactersMax)));
  for (char& c : shown) {
    const bool is_control = (c >= 0 && c < ' ' && c != '\n' && c != '\t') || c == 0x7F;
    if (is_control) c = '?';
  }
  return shown;
}

Value call_raise_exception(Runtime& runtime, const Arguments& arguments) {
  const BoundArguments bound("raise_exception", arguments, {"message"}, 1);
  const std::string message = shown_message(to_text(runtime, bound.at(0)).text());
  runtime.is_raised_by_template = true;
  fail_render(message);
}

Value call_strftime_now(Runtime& runtime, const Arguments& arguments) {
  const BoundArguments bound("strftime_now", arguments, {"format"}, 1);
  const std::string format(bound.string_at(0).text());
  constexpr std::string_view kConversions = "aAbBcdHIjmMpSUwWxXyYZz%-eFTDR";
  std::array<char, 1024> buffer{};
  bool is_supported = format.size() <= 128;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') continue;
    ++i;
    is_supported =
        is_supported && i < format.size() && kConversions.find(format[i]) != std::string_view::npos;
  }
  if (!is_supported) fail_render(fmt::format("strftime_now(): unsupported format {}", quote(format)));
  const std::tm now = runtime.now();
  const size_t size = std::strftime(buffer.data(), buffer.size(), format.c_str(), &now);
  const std::string_view copy = runtime.arena().copy({buffer.data(), size});
  return Value::string(runtime.arena(), MarkedText(copy, kComputed));
}

}  // namespace

Value find_global(std::string_view name) {
  if (name == "range") return Value::function(call_range);
  if (name == "dict") return Value::function(call_dict);
  if (name == "namespace") return Value::function(call_namespace);
  if (name == "raise_exception") return Value::function(call_raise_exception);
  if (name == "strftime_now") return Value::function(call_strftime_now);
  return {};
}

}  // namespace beryl::text
