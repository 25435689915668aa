#include "text/grammar/char_set.h"

#include <algorithm>

namespace beryl::text::grammar {
namespace {

constexpr char32_t kLast = 0x10FFFF;
constexpr char32_t kSurrogateFirst = 0xD800;
constexpr char32_t kSurrogateLast = 0xDFFF;

}  // namespace

CharSet::CharSet(std::initializer_list<CharRange> ranges) {
  for (const CharRange& range : ranges) add(range.first, range.last);
}

CharSet CharSet::all() {
  return {{0, kLast}};
}

void CharSet::add(char32_t first, char32_t last) {
  insert(first, std::min<char32_t>(last, kSurrogateFirst - 1));
  insert(std::max<char32_t>(first, kSurrogateLast + 1), last);
}

void CharSet::insert(char32_t first, char32_t last) {
  if (first > last) return;
  // Those that end before `first` and do not touch it stay; then all that overlap or touch become one.
  const auto begin =
      std::lower_bound(ranges_.begin(), ranges_.end(), first,
                       [](const CharRange& range, char32_t value) { return range.last + 1 < value; });
  auto end = begin;
  CharRange joined{first, last};
  while (end != ranges_.end() && end->first <= last + 1) {
    joined.first = std::min(joined.first, end->first);
    joined.last = std::max(joined.last, end->last);
    ++end;
  }
  if (begin == end) {
    ranges_.insert(begin, joined);
  } else {
    *begin = joined;
    ranges_.erase(begin + 1, end);
  }
}

void CharSet::add(const CharSet& other) {
  for (const CharRange& range : other.ranges_) add(range.first, range.last);
}

CharSet CharSet::complement() const {
  CharSet result;
  char32_t next = 0;
  for (const CharRange& range : ranges_) {
    if (range.first > next) result.add(next, range.first - 1);
    next = range.last + 1;
  }
  if (next <= kLast) result.add(next, kLast);
  return result;
}

CharSet CharSet::intersect(const CharSet& other) const {
  CharSet result;
  size_t a = 0;
  size_t b = 0;
  while (a < ranges_.size() && b < other.ranges_.size()) {
    const char32_t first = std::max(ranges_[a].first, other.ranges_[b].first);
    const char32_t last = std::min(ranges_[a].last, other.ranges_[b].last);
    if (first <= last) result.ranges_.push_back({first, last});
    ranges_[a].last < other.ranges_[b].last ? ++a : ++b;
  }
  return result;
}

bool CharSet::contains(char32_t character) const {
  return std::any_of(ranges_.begin(), ranges_.end(), [&](const CharRange& range) {
    return range.first <= character && character <= range.last;
  });
}

const CharSet& json_plain_characters() {
  static const CharSet kSet = CharSet{{0, 0x1F}, {'"', '"'}, {'\\', '\\'}}.complement();
  return kSet;
}

}  // namespace beryl::text::grammar
