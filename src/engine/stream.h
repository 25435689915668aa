// One answer on its way: a sample of a request, with what the scheduler and the loop know of it.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "engine/page_table.h"
#include "engine/request.h"
#include "engine/token_history.h"

namespace beryl::engine {

// What the samples of one request share.
struct SharedPrompt {
  RequestId id = 0;
  Request request;
  TimePoint submitted_at;
  // The first sample computes the prompt; the others wait for it, and begin with this snapshot of all but the
  // last token. Null when there is none: then they compute the prompt themselves.
  bool is_ready = false;
  std::unique_ptr<Snapshot> snapshot = nullptr;
};

struct Stream {
  Stream(PagePools& pools, std::shared_ptr<SharedPrompt> shared_prompt, int32_t sample_index)
      : shared(std::move(shared_prompt)),
        sample(sample_index),
        tokens(shared->request.prompt),
        prompt_length(static_cast<int64_t>(tokens.size())),
        pages(pools) {}

  const Request& request() const { return shared->request; }
  int64_t length() const { return static_cast<int64_t>(tokens.size()); }
  int64_t new_tokens() const { return length() - prompt_length; }
  // Tokens that must run before the next one can be chosen; at least one.
  int64_t remaining() const { return length() - computed; }
  // The prompt, or after a preemption all that was known, is computed: every step gives a token.
  bool is_decoding() const { return remaining() == 1; }
  bool may_start() const { return sample == 0 || shared->is_ready; }
  // Its rows of the prompt need logits; of the samples, the first reports them.
  bool wants_prompt_rows() const { return sample == 0 && request().wants_every_prompt_row(); }
  // Higher priorities first, then in order of arrival.
  bool goes_before(const Stream& other) const;

  std::shared_ptr<SharedPrompt> shared;
  int32_t sample;
  uint64_t arrival = 0;         // set by the scheduler
  std::vector<int32_t> tokens;  // prompt and answer
  int64_t prompt_length;
  int64_t computed = 0;  // tokens whose keys and values are in the pages
  PageTable pages;

  // The loop's own notes.
  SamplingParams sampling = {};  // what the next token is chosen by
  TokenHistory history = {};
  std::unique_ptr<TokenConstraint> constraint = nullptr;  // made for the first new token
  int64_t prompt_rows_reported = 0;                       // with Request::wants_every_prompt_row()
  bool was_admitted = false;
  bool has_ended = false;
  SampleResult result = {};
  TimePoint started_at = {}, first_token_at = {};
};

}  // namespace beryl::engine
