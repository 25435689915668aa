#include "text/grammar/utf8_ranges.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "text/utf8.h"

namespace beryl::text::grammar {
namespace {

int count_matches(const std::vector<ByteSequence>& sequences, std::string_view bytes) {
  int count = 0;
  for (const ByteSequence& sequence : sequences) {
    if (sequence.length != bytes.size()) continue;
    bool matches = true;
    for (size_t i = 0; i < bytes.size(); ++i) {
      const auto byte = static_cast<uint8_t>(bytes[i]);
      matches = matches && sequence.bytes[i].first <= byte && byte <= sequence.bytes[i].last;
    }
    count += matches ? 1 : 0;
  }
  return count;
}

void expect_exact(const CharSet& set, std::mt19937& random) {
  const std::vector<ByteSequence> sequences = utf8_sequences(set);
  std::vector<char32_t> probes;
  for (const CharRange& range : set.ranges()) {
    for (const char32_t at : {range.first, range.last}) {
      probes.insert(probes.end(), {at > 0 ? at - 1 : 0, at, at + 1, at | 0x3F, (at | 0xFFF) + 1});
    }
  }
  for (int i = 0; i < 200; ++i) probes.push_back(random() % 0x110000);
  for (const char32_t value : probes) {
    if (value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) continue;
    std::string bytes;
    append_utf8(bytes, value);
    EXPECT_EQ(count_matches(sequences, bytes), set.contains(value) ? 1 : 0) << std::hex << uint32_t{value};
  }
}

TEST(Utf8Ranges, StandForExactlyTheSet) {
  std::mt19937 random(1);
  expect_exact(CharSet::all(), random);
  expect_exact(json_plain_characters(), random);
  for (int round = 0; round < 200; ++round) {
    CharSet set;
    for (int i = 0; i < 4; ++i) {
      const uint32_t bits = random() % 21 + 1;
      const char32_t first = random() % (1U << bits);
      set.add(first, first + random() % (1U << bits));
    }
    expect_exact(set.intersect(CharSet::all()), random);
  }
}

TEST(Utf8Ranges, AreFew) {
  // By hand: 00-7F, C2-DF.., E0 A0-BF.., E1-EC.., ED 80-9F.., EE-EF.., F0 90-BF.., F1-F3.., F4 80-8F..
  EXPECT_EQ(utf8_sequences(CharSet::all()).size(), 9U);
}

TEST(Utf8Ranges, HaveNoInvalidBytes) {
  for (const ByteSequence& sequence : utf8_sequences(CharSet::all())) {
    const Utf8Lead first = classify_utf8_lead(sequence.bytes[0].first);
    const Utf8Lead last = classify_utf8_lead(sequence.bytes[0].last);
    EXPECT_EQ(first.byte_count, sequence.length);
    EXPECT_EQ(last.byte_count, sequence.length);
    if (sequence.length < 2) continue;
    EXPECT_GE(sequence.bytes[1].first, std::max(first.second_min, last.second_min));
    EXPECT_LE(sequence.bytes[1].last, std::min(first.second_max, last.second_max));
  }
}

}  // namespace
}  // namespace beryl::text::grammar
