#include "checkpoint/near_names.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace beryl::checkpoint {
namespace {

constexpr size_t kNameBytesMax = 256;
constexpr size_t kSuggestionsMax = 3;
// Shorter beginnings fit too much to be a hint.
constexpr size_t kPrefixBytesMin = 3;

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

}  // namespace

size_t edit_distance(std::string_view a, std::string_view b) {
  const std::string from = lower_case(a);
  const std::string to = lower_case(b);
  // distances[j]: from the part of `from` seen so far to the first j bytes of `to`.
  std::vector<size_t> distances(to.size() + 1);
  std::iota(distances.begin(), distances.end(), size_t{0});
  for (size_t i = 0; i < from.size(); ++i) {
    size_t diagonal = distances[0];
    distances[0] = i + 1;
    for (size_t j = 0; j < to.size(); ++j) {
      const size_t replaced = diagonal + (from[i] == to[j] ? 0 : 1);
      diagonal = distances[j + 1];
      distances[j + 1] = std::min({replaced, distances[j] + 1, diagonal + 1});
    }
  }
  return distances.back();
}

std::vector<std::string> find_near_names(std::string_view name, std::span<const std::string> candidates) {
  if (name.empty() || name.size() > kNameBytesMax) return {};
  const std::string wanted = lower_case(name);
  std::vector<std::pair<size_t, std::string>> near;
  for (const std::string& candidate : candidates) {
    if (candidate.size() > kNameBytesMax) continue;
    const size_t distance = edit_distance(name, candidate);
    const bool is_begun = name.size() >= kPrefixBytesMin && lower_case(candidate).starts_with(wanted);
    const size_t allowed = std::min(std::max<size_t>(2, name.size() / 4), name.size() - 1);
    if (is_begun || distance <= allowed) near.emplace_back(distance, candidate);
  }
  std::sort(near.begin(), near.end());
  near.erase(std::unique(near.begin(), near.end()), near.end());
  if (near.size() > kSuggestionsMax) near.resize(kSuggestionsMax);
  std::vector<std::string> names;
  for (auto& [distance, candidate] : near) names.push_back(std::move(candidate));
  return names;
}

}  // namespace beryl::checkpoint
