#!/usr/bin/env python3
"""Writes testdata/compare/NAME.json: how far two checkpoints are from each other, computed with numpy from the logits
and streams of transformers.

    make_compare_vectors.py FIRST SECOND DATA.jsonl OUT.json [--limit N]      needs what reference.py needs

Positions are those that predict an answer's tokens: from the last token of its prompt to the end of its turn.
"""

import argparse
import json

import numpy
import torch

import reference


def log_softmax(logits):
    logits = logits.astype(numpy.float64)
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - numpy.log(numpy.exp(shifted).sum(-1, keepdims=True))


def trace(folder, prompts, firsts):
    """Log-probabilities, streams by layer and chosen experts by layer, of all measured positions."""
    model = reference.load_model(folder)
    experts = []
    for layer in model.model.language_model.layers:
        layer.router.register_forward_hook(lambda module, inputs, out: experts.append(out[2].numpy()))
    logprobs, streams, chosen = [], [], []
    for tokens, first in zip(prompts, firsts):
        experts.clear()
        logits, hidden = reference.run(model, tokens, hidden=True)
        logprobs.append(log_softmax(logits.numpy())[first:])
        streams.append([stream.numpy().astype(numpy.float64)[first:] for stream in hidden])
        chosen.append([layer[first:] for layer in experts])
    join = lambda lists: [numpy.concatenate(parts) for parts in zip(*lists)]
    return numpy.concatenate(logprobs), join(streams), join(chosen)


def compare(first, second, followers):
    (p, p_streams, p_experts), (q, q_streams, q_experts) = first, second
    kl = (numpy.exp(p) * (p - q)).sum(-1)
    known = numpy.array([token for token in followers if token >= 0])
    rows = numpy.array([row for row, token in enumerate(followers) if token >= 0])
    perplexity = lambda logprobs: float(numpy.exp(-logprobs[rows, known].mean()))
    changed = [[not set(b) <= set(a) for a, b in zip(ours, theirs)] for ours, theirs in zip(p_experts, q_experts)]
    choices = [numpy.mean([len(set(b) - set(a)) / len(b) for a, b in zip(ours, theirs)])
               for ours, theirs in zip(p_experts, q_experts)]
    errors = [numpy.linalg.norm(b - a) / numpy.linalg.norm(a) for a, b in zip(p_streams, q_streams)]
    return {"positions": len(kl), "kl_mean": kl.mean(), "kl_median": numpy.median(kl), "kl_max": kl.max(),
            "kl_p99": numpy.quantile(kl, 0.99), "kl_p999": numpy.quantile(kl, 0.999),
            "same_choice": float((p.argmax(-1) == q.argmax(-1)).mean()),
            "first_perplexity": perplexity(p), "second_perplexity": perplexity(q),
            "embedding_error": errors[0],
            "layers": [{"relative_error": error, "changed_choices": choice, "changed_positions": float(numpy.mean(each))}
                       for error, choice, each in zip(errors[1:], choices, changed)]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("first")
    parser.add_argument("second")
    parser.add_argument("data")
    parser.add_argument("out")
    parser.add_argument("--limit", type=int, default=200)
    options = parser.parse_args()
    torch.manual_seed(0)
    prompts = reference.read_prompts(options.first, options.data, options.limit)
    firsts = [len(tokens) - 1 - tokens[::-1].index(END_OF_THOUGHT) for tokens in prompts]
    followers = [token for tokens, first in zip(prompts, firsts) for token in [*tokens[first + 1:], -1]]
    result = compare(trace(options.first, prompts, firsts), trace(options.second, prompts, firsts), followers)
    with open(options.out, "w", encoding="utf-8") as out:
        json.dump(result, out, indent=1)
        out.write("\n")


# A prompt without thinking ends in an empty thought; its closing token predicts the answer's first.
END_OF_THOUGHT = 101


if __name__ == "__main__":
    main()
