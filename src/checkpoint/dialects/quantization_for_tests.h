// Quantisation sections of config.json and the errors that they lead to, for tests of dialects.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "checkpoint/quantization_config.h"

namespace beryl::checkpoint {

// The quantisation of a config.json that has this section.
inline QuantizationConfig quantization_of(std::string_view section,
                                          const std::string& key = "quantization_config") {
  return parse_quantization_config({{key, parse_json(section, "section")}}, "config.json");
}

// Expects that `work` throws an Error with this code whose message and remedy contain all parts.
inline void expect_error(ErrorCode code, const std::vector<std::string>& parts,
                         const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    const std::string text = error.message() + " | " + error.help();
    EXPECT_EQ(error.code(), code) << text;
    for (const std::string& part : parts) EXPECT_THAT(text, testing::HasSubstr(part));
    return;
  }
  ADD_FAILURE() << "nothing is thrown; expected: " << testing::PrintToString(parts);
}

}  // namespace beryl::checkpoint
