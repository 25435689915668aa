#include "text/stop_matcher.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace beryl::text {

StopMatcher::StopMatcher(std::vector<std::string> stops, StopText stop_text) : stop_text_(stop_text) {
  if (stops.size() > kStringsMax) {
    throw Error(ErrorCode::kInvalidInput,
                fmt::format("stop has {} strings, expected at most {}", stops.size(), kStringsMax));
  }
  for (size_t i = 0; i < stops.size(); ++i) {
    if (stops[i].empty() || stops[i].size() > kBytesMax) {
      throw Error(ErrorCode::kInvalidInput, fmt::format("stop string {} has {} bytes, expected 1 to {}", i,
                                                        stops[i].size(), kBytesMax));
    }
    automata_.push_back(make_automaton(std::move(stops[i])));
  }
}

StopMatcher::Automaton StopMatcher::make_automaton(std::string stop) {
  std::vector<size_t> border(stop.size(), 0);
  for (size_t i = 1; i < stop.size(); ++i) {
    size_t length = border[i - 1];
    while (length > 0 && stop[length] != stop[i]) length = border[length - 1];
    border[i] = stop[length] == stop[i] ? length + 1 : 0;
  }
  return {.stop = std::move(stop), .border = std::move(border)};
}

// Never called on a whole match: that ends the text.
void StopMatcher::advance(Automaton& automaton, char c) {
  size_t& length = automaton.matched_bytes;
  while (length > 0 && automaton.stop[length] != c) length = automaton.border[length - 1];
  if (automaton.stop[length] == c) ++length;
}

size_t StopMatcher::longest_partial_match() const {
  size_t longest = 0;
  for (const Automaton& automaton : automata_) longest = std::max(longest, automaton.matched_bytes);
  return longest;
}

std::string StopMatcher::push(std::string_view text) {
  if (matched_) return {};
  for (size_t i = 0; i < text.size(); ++i) {
    size_t match_bytes = 0;
    for (size_t which = 0; which < automata_.size(); ++which) {
      Automaton& automaton = automata_[which];
      advance(automaton, text[i]);
      if (automaton.matched_bytes < automaton.stop.size() || automaton.stop.size() <= match_bytes) continue;
      match_bytes = automaton.stop.size();
      matched_ = which;
    }
    if (!matched_) continue;
    held_ += text.substr(0, i + 1);
    if (stop_text_ == StopText::kHide) held_.resize(held_.size() - match_bytes);
    return std::exchange(held_, {});
  }
  held_ += text;
  std::string shown = held_.substr(0, held_.size() - longest_partial_match());
  held_.erase(0, shown.size());
  return shown;
}

std::string StopMatcher::flush() {
  return std::exchange(held_, {});
}

}  // namespace beryl::text
