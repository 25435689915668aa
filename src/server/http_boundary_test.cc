// Each case of the boundary table, through a socket: the status, and whether the connection goes on at the
// right byte or ends.
#include <gtest/gtest.h>

#include <string>

#include "server/http_boundary_cases_for_tests.h"
#include "server/http_client_for_tests.h"
#include "server/http_server_for_tests.h"

namespace beryl::server {
namespace {

class HttpBoundary : public ::testing::TestWithParam<BoundaryCase> {
 protected:
  static HttpServer& server() {
    static HttpServer one(options_for_tests(), echo_handler());
    return one;
  }
};

TEST_P(HttpBoundary, AnswersAsItShould) {
  const BoundaryCase& one = GetParam();
  HttpClient client(server().port());
  ASSERT_TRUE(client.send(one.bytes));
  const auto response = client.receive();
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, one.status) << response->body;
  if (one.status != 200) {
    EXPECT_EQ(response->header("Connection"), "close");
    EXPECT_NE(response->body.find("{\"error\":{\"message\":"), std::string::npos) << response->body;
    EXPECT_TRUE(client.is_closed());
    return;
  }
  EXPECT_EQ(response->body, one.echo);
  // The next request begins where this one ended.
  ASSERT_TRUE(client.request("GET", "/next"));
  const auto next = client.receive();
  ASSERT_TRUE(next);
  EXPECT_EQ(next->body, "GET /next? ");
}

std::string name_of(const ::testing::TestParamInfo<BoundaryCase>& info) {
  std::string name = info.param.name;
  for (char& c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(Accepted, HttpBoundary, ::testing::ValuesIn(accepted_cases()), name_of);
INSTANTIATE_TEST_SUITE_P(Lines, HttpBoundary, ::testing::ValuesIn(refused_lines()), name_of);
INSTANTIATE_TEST_SUITE_P(Headers, HttpBoundary, ::testing::ValuesIn(refused_headers()), name_of);
INSTANTIATE_TEST_SUITE_P(Chunks, HttpBoundary, ::testing::ValuesIn(refused_chunks()), name_of);

}  // namespace
}  // namespace beryl::server
