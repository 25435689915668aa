// A set of Unicode characters.
#pragma once

#include <initializer_list>
#include <vector>

namespace beryl::text::grammar {

struct CharRange {
  char32_t first = 0;
  char32_t last = 0;  // inclusive

  bool operator==(const CharRange&) const = default;
};

// Of all scalar values: surrogates are never in a set, whatever is added.
class CharSet {
 public:
  CharSet() = default;
  CharSet(std::initializer_list<CharRange> ranges);

  static CharSet all();

  void add(char32_t first, char32_t last);
  void add(const CharSet& other);

  CharSet complement() const;
  CharSet intersect(const CharSet& other) const;
  CharSet without(const CharSet& other) const { return intersect(other.complement()); }

  bool empty() const { return ranges_.empty(); }
  bool contains(char32_t character) const;
  bool contains_all(const CharSet& other) const { return other.without(*this).empty(); }
  // Ascending, disjoint, not touching each other.
  const std::vector<CharRange>& ranges() const { return ranges_; }

  bool operator==(const CharSet&) const = default;

 private:
  // Without surrogates.
  void insert(char32_t first, char32_t last);

  std::vector<CharRange> ranges_;
};

// What may stand in a JSON string as it is: all but control characters, '"' and '\'.
const CharSet& json_plain_characters();

}  // namespace beryl::text::grammar
