// Suggestions for a mistyped name.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace beryl::checkpoint {

// Fewest insertions, deletions and replacements of bytes that turn `a` into `b`, upper and lower case of
// ASCII letters being equal. Work is the product of the lengths.
size_t edit_distance(std::string_view a, std::string_view b);

// The candidates that someone who wrote `name` may have meant, nearest first, at most 3: those that differ in
// few places for their length, and those that `name` begins. Names over 256 bytes match nothing.
std::vector<std::string> find_near_names(std::string_view name, std::span<const std::string> candidates);

}  // namespace beryl::checkpoint
