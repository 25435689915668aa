// Every rule of the header, case by case: verdict and words of the message.
#include "checkpoint/safetensors_json.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

#include "base/error.h"
#include "checkpoint/safetensors.h"

namespace beryl::checkpoint {
namespace {

using ::testing::HasSubstr;

// A header with `data_bytes` bytes of data behind it, and the words that its refusal must hold; none when the
// file is well-formed.
struct HeaderCase {
  std::string name;
  std::string header;
  uint64_t data_bytes = 0;
  std::vector<std::string> words;
};

void PrintTo(const HeaderCase& value, std::ostream* out) {
  *out << value.name;
}

std::string entry(std::string_view name, std::string_view dtype, std::string_view shape,
                  std::string_view offsets) {
  return fmt::format(R"("{}":{{"dtype":"{}","shape":{},"data_offsets":{}}})", name, dtype, shape, offsets);
}

// {"a": one F32 tensor of two elements}, with `fields` in place of its fields.
std::string fields(std::string_view fields) {
  return fmt::format(R"({{"a":{{{}}}}})", fields);
}

const std::string kA = entry("a", "F32", "[2]", "[0,8]");
const std::string kMetadata = R"("__metadata__":{"format":"pt"})";

std::vector<HeaderCase> well_formed() {
  return {
      {"no_tensors", "{}", 0, {}},
      {"one_tensor", "{" + kA + "}", 8, {}},
      {"metadata", "{" + kMetadata + "," + kA + "}", 8, {}},
      {"metadata_last", "{" + kA + "," + kMetadata + "}", 8, {}},
      {"metadata_empty", R"({"__metadata__":{}})", 0, {}},
      {"trailing_spaces", "{" + kA + "}      ", 8, {}},
      {"white_space_between_tokens", "{\n\t" + kA + "\r\n }", 8, {}},
      {"fields_in_another_order", fields(R"("data_offsets":[0,8],"shape":[2],"dtype":"F32")"), 8, {}},
      {"escaped_field_name", fields(R"("dt\u0079pe":"F32","shape":[2],"data_offsets":[0,8])"), 8, {}},
      {"scalar", "{" + entry("a", "BF16", "[]", "[0,2]") + "}", 2, {}},
      {"empty_tensor", "{" + entry("a", "F32", "[0]", "[0,0]") + "}", 0, {}},
      {"empty_tensor_before_another", "{" + entry("e", "F32", "[3,0]", "[0,0]") + "," + kA + "}", 8, {}},
      {"empty_tensor_after_another", "{" + kA + "," + entry("e", "F32", "[0]", "[8,8]") + "}", 8, {}},
      {"tensors_not_in_data_order", "{" + entry("b", "U8", "[3]", "[8,11]") + "," + kA + "}", 11, {}},
      {"data_not_aligned",
       "{" + entry("b", "U8", "[1]", "[0,1]") + "," + entry("a", "F32", "[2]", "[1,9]") + "}",
       9,
       {}},
      {"header_length_no_multiple_of_8", "{" + kA + "} ", 8, {}},
      {"name_not_ascii", "{" + entry("größe", "F32", "[2]", "[0,8]") + "}", 8, {}},
      {"name_of_512_bytes", "{" + entry(std::string(512, 'n'), "F32", "[2]", "[0,8]") + "}", 8, {}},
      {"rank_8", "{" + entry("a", "U8", "[1,1,1,2,1,1,1,1]", "[0,2]") + "}", 2, {}},
      {"f4_even_count", "{" + entry("a", "F4", "[2,3]", "[0,3]") + "}", 3, {}},
      {"f6_whole_bytes", "{" + entry("a", "F6_E2M3", "[4]", "[0,3]") + "}", 3, {}},
      {"metadata_of_1_mib", R"({"__metadata__":{"k":")" + std::string((1 << 20) - 1, 'v') + "\"}}", 0, {}},
  };
}

std::vector<HeaderCase> repeated() {
  const std::string same = "tensor 'a' appears twice";
  return {
      {"name_twice", "{" + kA + "," + kA + "}", 8, {same}},
      {"name_twice_other_range", "{" + kA + "," + entry("a", "F32", "[2]", "[8,16]") + "}", 16, {same}},
      {"name_twice_other_dtype", "{" + kA + "," + entry("a", "BF16", "[4]", "[8,16]") + "}", 16, {same}},
      {"name_twice_escaped", "{" + kA + "," + entry(R"(\u0061)", "F32", "[2]", "[8,16]") + "}", 16, {same}},
      {"name_twice_apart",
       "{" + kA + "," + entry("b", "U8", "[1]", "[8,9]") + "," + entry("a", "U8", "[1]", "[9,10]") + "}",
       10,
       {same}},
      {"dtype_twice",
       fields(R"("dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8])"),
       8,
       {"tensor 'a'", "field 'dtype' appears twice"}},
      {"shape_twice",
       fields(R"("dtype":"F32","shape":[2],"shape":[2],"data_offsets":[0,8])"),
       8,
       {"tensor 'a'", "field 'shape' appears twice"}},
      {"offsets_twice_escaped",
       fields(R"("dtype":"F32","shape":[2],"data_offsets":[0,8],"data_offset\u0073":[0,8])"),
       8,
       {"tensor 'a'", "field 'data_offsets' appears twice"}},
      {"metadata_twice", "{" + kMetadata + "," + kMetadata + "}", 0, {"__metadata__ appears twice"}},
      {"metadata_key_twice", R"({"__metadata__":{"k":"1","k":"1"}})", 0, {"metadata key 'k' appears twice"}},
      {"metadata_key_twice_escaped",
       R"({"__metadata__":{"k":"1","\u006b":"1"}})",
       0,
       {"metadata key 'k' appears twice"}},
  };
}

std::vector<HeaderCase> outside_the_object() {
  const std::string good = "{" + kA + "}";
  return {
      {"empty_header", "", 0, {"must start with '{'"}},
      {"space_first", " " + good, 8, {"must start with '{', found ' '"}},
      {"newline_first", "\n" + good, 8, {"must start with '{', found '\\x0a'"}},
      {"bom_first", "\xef\xbb\xbf" + good, 8, {"must start with '{', found '\\xef'"}},
      {"list", "[]", 0, {"must start with '{', found '['"}},
      {"nul_after", good + std::string(1, '\0'), 8, {"NUL at byte"}},
      {"nul_after_then_brace", good + std::string("\0 }", 3), 8, {"NUL at byte"}},
      {"newline_after", good + "\n", 8, {"must end with '}' and spaces, found '\\x0a'"}},
      {"tab_after", good + " \t ", 8, {"must end with '}' and spaces"}},
      {"second_object_after", good + "{}", 8, {"not valid JSON", "expected end of input"}},
      {"second_value_after", good + " 1", 8, {"must end with '}' and spaces, found '1'"}},
      {"comment", "{/* */" + kA + "}", 8, {"not valid JSON"}},
      {"trailing_comma", "{" + kA + ",}", 8, {"not valid JSON"}},
      {"cut_inside", "{\"a\":{}", 8, {"tensor 'a': field 'dtype' is missing"}},
      {"not_closed", "{\"__metadata__\":{}", 0, {"not valid JSON"}},
  };
}

std::vector<HeaderCase> ranges() {
  const std::string b = entry("b", "F32", "[2]", "[8,16]");
  return {
      {"hole_at_start", "{" + b + "}", 16, {"bytes 0 to 8", "before tensor 'b'", "belong to no tensor"}},
      {"hole_between",
       "{" + kA + "," + entry("b", "F32", "[2]", "[9,17]") + "}",
       17,
       {"bytes 8 to 9", "before tensor 'b'", "belong to no tensor"}},
      {"overlap",
       "{" + kA + "," + entry("b", "F32", "[2]", "[7,15]") + "}",
       15,
       {"tensor 'b' starts at byte 7", "inside tensor 'a'"}},
      {"same_range",
       "{" + kA + "," + entry("b", "F32", "[2]", "[0,8]") + "}",
       8,
       {"tensor 'b' starts at byte 0", "inside tensor 'a'"}},
      {"extra_bytes", "{" + kA + "}", 11, {"3 bytes at the end of the file belong to no tensor"}},
      {"extra_bytes_without_tensors", "{}", 1, {"1 bytes at the end of the file belong to no tensor"}},
      {"short_body", "{" + kA + "," + b + "}", 11, {"5 bytes are missing", "take 16 bytes, 11 are there"}},
      {"no_body", "{" + kA + "}", 0, {"8 bytes are missing", "take 8 bytes, 0 are there"}},
      {"end_near_2_64",
       "{" + entry("a", "U8", "[1]", "[18446744073709551614,18446744073709551615]") + "}",
       1,
       {"bytes are missing"}},
      {"empty_inside_another",
       "{" + kA + "," + entry("e", "F32", "[0]", "[4,4]") + "}",
       8,
       {"tensor 'e' starts at byte 4", "inside tensor 'a'"}},
      {"empty_beyond_the_end",
       "{" + kA + "," + entry("e", "F32", "[0]", "[9,9]") + "}",
       8,
       {"1 bytes are missing"}},
      {"empty_after_a_hole",
       "{" + kA + "," + entry("e", "F32", "[0]", "[9,9]") + "}",
       9,
       {"bytes 8 to 9", "before tensor 'e'"}},
      {"offsets_backwards",
       "{" + entry("a", "F32", "[2]", "[8,0]") + "}",
       8,
       {"tensor 'a'", "[8,0] end before they start"}},
      {"range_too_long",
       "{" + entry("a", "F32", "[2]", "[0,12]") + "}",
       12,
       {"tensor 'a'", "span 12 bytes", "F32 [2] takes 8"}},
      {"range_too_short",
       "{" + entry("a", "F32", "[2]", "[0,4]") + "}",
       4,
       {"tensor 'a'", "span 4 bytes", "F32 [2] takes 8"}},
      {"empty_with_bytes",
       "{" + entry("a", "F32", "[2,0]", "[0,4]") + "}",
       4,
       {"span 4 bytes", "F32 [2,0] takes 0"}},
  };
}

std::vector<HeaderCase> entries() {
  const std::string rest = R"("dtype":"F32","data_offsets":[0,8])";
  return {
      {"unknown_field",
       fields(R"("dtype":"F32","shape":[2],"data_offsets":[0,8],"strides":[4])"),
       8,
       {"tensor 'a'", "unknown field 'strides'"}},
      {"empty_field_name", fields(R"("":1)"), 8, {"tensor 'a'", "unknown field ''"}},
      {"no_dtype",
       fields(R"("shape":[2],"data_offsets":[0,8])"),
       8,
       {"tensor 'a'", "field 'dtype' is missing"}},
      {"no_shape", fields(rest), 8, {"tensor 'a'", "field 'shape' is missing"}},
      {"no_offsets", fields(R"("dtype":"F32","shape":[2])"), 8, {"field 'data_offsets' is missing"}},
      {"empty_entry", R"({"a":{}})", 0, {"tensor 'a'", "field 'dtype' is missing"}},
      {"entry_null", R"({"a":null})", 0, {"tensor 'a'", "expected an object", "found null"}},
      {"entry_list", R"({"a":[]})", 0, {"tensor 'a'", "expected an object", "found a list"}},
      {"dtype_unknown",
       "{" + entry("a", "Q4_K", "[2]", "[0,8]") + "}",
       8,
       {"tensor 'a'", "unknown dtype 'Q4_K'"}},
      {"dtype_lower_case", "{" + entry("a", "f32", "[2]", "[0,8]") + "}", 8, {"unknown dtype 'f32'"}},
      {"dtype_number", fields(R"("dtype":1)"), 8, {"expected a string as dtype, found 1"}},
      {"dtype_null", fields(R"("dtype":null)"), 8, {"expected a string as dtype, found null"}},
      {"shape_string", fields(R"("shape":"[2]")"), 8, {"as shape, found the string '[2]'"}},
      {"shape_object", fields(R"("shape":{})"), 8, {"as shape, found an object"}},
      {"dimension_2_0", fields(R"("shape":[2.0])"), 8, {"tensor 'a'", "as dimension, found 2.0"}},
      {"dimension_2e0", fields(R"("shape":[2e0])"), 8, {"tensor 'a'", "as dimension, found 2e0"}},
      {"dimension_negative", fields(R"("shape":[-2])"), 8, {"tensor 'a'", "as dimension, found -2"}},
      {"dimension_minus_zero", fields(R"("shape":[-0])"), 8, {"as dimension, found"}},
      {"dimension_string", fields(R"("shape":["2"])"), 8, {"as dimension, found the string '2'"}},
      {"dimension_true", fields(R"("shape":[true])"), 8, {"as dimension, found true"}},
      {"dimension_list", fields(R"("shape":[[2]])"), 8, {"as dimension, found a list"}},
      {"dimension_leading_zero", fields(R"("shape":[02])"), 8, {"not valid JSON"}},
      {"dimension_2_63", fields(R"("shape":[9223372036854775808])"), 8, {"found 9223372036854775808"}},
      {"dimension_2_64", fields(R"("shape":[18446744073709551616])"), 8, {"found 18446744073709551616"}},
      {"offsets_one",
       fields(R"("data_offsets":[0])"),
       8,
       {"tensor 'a'", "data_offsets has 1 numbers, expected 2"}},
      {"offsets_none", fields(R"("data_offsets":[])"), 8, {"data_offsets has 0 numbers, expected 2"}},
      {"offsets_three", fields(R"("data_offsets":[0,8,8])"), 8, {"data_offsets has more than 2 numbers"}},
      {"offset_negative", fields(R"("data_offsets":[-8,0])"), 8, {"tensor 'a'", "as data offset, found -8"}},
      {"offset_fraction", fields(R"("data_offsets":[0,8.0])"), 8, {"as data offset, found 8.0"}},
      {"offsets_null", fields(R"("data_offsets":null)"), 8, {"as data_offsets, found null"}},
      {"rank_9",
       "{" + entry("a", "U8", "[1,1,1,1,1,1,1,1,1]", "[0,1]") + "}",
       1,
       {"tensor 'a'", "more than 8 dimensions"}},
      {"overflow_behind_a_zero",
       "{" + entry("a", "U8", "[0,9223372036854775807,4]", "[0,0]") + "}",
       0,
       {"tensor 'a'", "U8 [0,9223372036854775807,4] has no size"}},
      {"overflow_before_a_zero",
       "{" + entry("a", "U8", "[9223372036854775807,4,0]", "[0,0]") + "}",
       0,
       {"tensor 'a'", "[9223372036854775807,4,0] has no size"}},
      {"overflow",
       "{" + entry("a", "F32", "[4294967296,4294967296]", "[0,0]") + "}",
       0,
       {"tensor 'a'", "has no size"}},
      {"overflow_in_bits",
       "{" + entry("a", "F64", "[2305843009213693952]", "[0,0]") + "}",
       0,
       {"has no size"}},
      {"f4_odd_count",
       "{" + entry("a", "F4", "[3]", "[0,2]") + "}",
       2,
       {"tensor 'a'", "F4 [3] has no size in whole bytes"}},
      {"f6_odd_count",
       "{" + entry("a", "F6_E3M2", "[2]", "[0,2]") + "}",
       2,
       {"F6_E3M2 [2] has no size in whole bytes"}},
  };
}

std::vector<HeaderCase> names_and_metadata() {
  return {
      {"name_empty", "{" + entry("", "F32", "[2]", "[0,8]") + "}", 8, {"empty name"}},
      {"name_nul",
       "{" + entry(R"(a\u0000b)", "F32", "[2]", "[0,8]") + "}",
       8,
       {"'a\\x00b' holds a control character"}},
      {"name_escape",
       "{" + entry(R"(a\u001b[31m)", "F32", "[2]", "[0,8]") + "}",
       8,
       {"'a\\x1b[31m' holds a control character"}},
      {"name_delete", "{" + entry("a\x7f", "F32", "[2]", "[0,8]") + "}", 8, {"control character"}},
      {"name_c1", "{" + entry(R"(a\u009b)", "F32", "[2]", "[0,8]") + "}", 8, {"control character"}},
      {"name_raw_newline", "{" + entry("a\nb", "F32", "[2]", "[0,8]") + "}", 8, {"not valid JSON"}},
      {"name_of_513_bytes",
       "{" + entry(std::string(513, 'n'), "F32", "[2]", "[0,8]") + "}",
       8,
       {"has 513 bytes, at most 512 are allowed"}},
      {"name_utf8_broken", "{" + entry("a\xff", "F32", "[2]", "[0,8]") + "}", 8, {"not valid JSON", "UTF-8"}},
      {"name_utf8_overlong", "{" + entry("a\xc0\xaf", "F32", "[2]", "[0,8]") + "}", 8, {"not valid JSON"}},
      {"name_utf8_surrogate",
       "{" + entry("\xed\xa0\x80", "F32", "[2]", "[0,8]") + "}",
       8,
       {"not valid JSON"}},
      {"name_lone_surrogate_escape",
       "{" + entry(R"(\ud800)", "F32", "[2]", "[0,8]") + "}",
       8,
       {"not valid JSON", "surrogate"}},
      {"metadata_null", R"({"__metadata__":null})", 0, {"as __metadata__, found null"}},
      {"metadata_list", R"({"__metadata__":[]})", 0, {"as __metadata__, found a list"}},
      {"metadata_number", R"({"__metadata__":{"k":1}})", 0, {"as metadata value, found 1"}},
      {"metadata_nested", R"({"__metadata__":{"k":{}}})", 0, {"as metadata value, found an object"}},
      {"metadata_over_1_mib",
       R"({"__metadata__":{"k":")" + std::string(1 << 20, 'v') + "\"}}",
       0,
       {"__metadata__ holds more than 1048576 bytes"}},
      {"nested_100000",
       R"({"a":{"shape":)" + std::string(100'000, '[') + "}",
       0,
       {"tensor 'a'", "found a list"}},
      {"nested_100000_objects",
       [] {
         std::string text;
         for (int i = 0; i < 100'000; ++i) text += "{\"a\":";
         return text + "}";
       }(),
       0,
       {"tensor 'a'", "unknown field 'a'"}},
  };
}

class HeaderTest : public ::testing::TestWithParam<HeaderCase> {};

TEST_P(HeaderTest, HasTheVerdictAndTheWords) {
  const HeaderCase& param = GetParam();
  try {
    parse_safetensors_header(param.header, param.data_bytes);
    EXPECT_TRUE(param.words.empty()) << "was accepted";
  } catch (const Error& error) {
    EXPECT_FALSE(param.words.empty()) << "was refused: " << error.message();
    for (const std::string& word : param.words) EXPECT_THAT(error.message(), HasSubstr(word));
    EXPECT_FALSE(error.help().empty());
    EXPECT_LT(error.message().size(), 600U);
  }
}

std::string case_name(const ::testing::TestParamInfo<HeaderCase>& info) {
  return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(WellFormed, HeaderTest, ::testing::ValuesIn(well_formed()), case_name);
INSTANTIATE_TEST_SUITE_P(Repeated, HeaderTest, ::testing::ValuesIn(repeated()), case_name);
INSTANTIATE_TEST_SUITE_P(OutsideTheObject, HeaderTest, ::testing::ValuesIn(outside_the_object()), case_name);
INSTANTIATE_TEST_SUITE_P(Ranges, HeaderTest, ::testing::ValuesIn(ranges()), case_name);
INSTANTIATE_TEST_SUITE_P(Entries, HeaderTest, ::testing::ValuesIn(entries()), case_name);
INSTANTIATE_TEST_SUITE_P(NamesAndMetadata, HeaderTest, ::testing::ValuesIn(names_and_metadata()), case_name);

}  // namespace
}  // namespace beryl::checkpoint
