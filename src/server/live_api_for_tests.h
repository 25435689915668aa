// An Api over an engine of its own, whose model writes nonsense.
#pragma once

#include "engine/fake_runner_for_tests.h"
#include "server/api_for_tests.h"
#include "server/engine_port.h"
#include "server/waiting_responder_for_tests.h"

namespace beryl::server {

struct LiveApiForTests {
  ApiForTests setup;
  engine::FakeRunner runner{
      {.vocabulary_size = setup.tokenizer.vocabulary_size(), .sliding_pages = 200, .full_pages = 400}};
  engine::Engine engine{runner,
                        {.context_max = 200,
                         .sequences_max = 6,
                         .tokens_per_page = 4,
                         .sliding_pages = 200,
                         .full_pages = 400,
                         .prefix_sliding_pages = 60,
                         .snapshot_interval = 16,
                         .chunk_tokens = 16}};
  LiveEngine port{engine};
  Api api{setup.model(), port, {.threads = 2}};
};

}  // namespace beryl::server
