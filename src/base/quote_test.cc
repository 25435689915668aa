#include "base/quote.h"

#include <gtest/gtest.h>

#include <string>

namespace beryl {
namespace {

TEST(Quote, KeepsPrintableAscii) {
  EXPECT_EQ(quote("model.layers.0.q_proj.weight"), "'model.layers.0.q_proj.weight'");
  EXPECT_EQ(quote(""), "''");
}

TEST(Quote, EscapesWhatATerminalWouldObey) {
  EXPECT_EQ(quote("\x1b[31mred\n"), "'\\x1b[31mred\\x0a'");
  EXPECT_EQ(quote(std::string_view("a\0b", 3)), "'a\\x00b'");
  EXPECT_EQ(quote("\xc2\x9b"
                  "31m\x7f\xff"),
            "'\\xc2\\x9b31m\\x7f\\xff'");
}

TEST(Quote, CutsLongText) {
  EXPECT_EQ(quote(std::string(161, 'a')), "'" + std::string(160, 'a') + "...'");
  EXPECT_EQ(quote(std::string(160, 'a')), "'" + std::string(160, 'a') + "'");
  EXPECT_EQ(printable("abcdef", 3), "abc...");
}

}  // namespace
}  // namespace beryl
