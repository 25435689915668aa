"""lm-evaluation-harness: likelihoods and generation over /v1/completions, generation over /v1/chat/completions.

The likelihoods that it reports are compared with those that the server gives for the same tokens, and generated answers
with those of a plain request: the harness must have understood every array that it was sent.
"""

import json
import math
import os
import subprocess
import sys

import pytest

PROBLEMS = [{"question": "Sam has 12 boxes with 7 apples each. How many apples does Sam have?", "answer": "84"},
            {"question": "There are 50 marbles on the table and 30 in the box. How many marbles are there in all?",
             "answer": "80 marbles"}]
TASK = """
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: {output_type}
doc_to_text: "Question: {{{{question}}}}\\nAnswer:"
doc_to_target: "{{{{answer}}}}"
target_delimiter: " "
{more}
"""
LIKELIHOOD = "metric_list: [{metric: perplexity, aggregation: perplexity}]"
GENERATION = """
generation_kwargs: {until: ["Question:"], do_sample: false, temperature: 0.0, max_gen_toks: 12}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
"""


@pytest.fixture(scope="module")
def run_lm_eval(server, tmp_path_factory):
    """Runs the harness on tasks made here; returns the logged samples of each."""
    folder = tmp_path_factory.mktemp("lm_eval")
    data = folder / "problems.jsonl"
    # One whose answer is what the model itself would say.
    prompt = server.tokenize(f"Question: {PROBLEMS[0]['question']}\nAnswer:")
    reply = server.post("/v1/completions", {"prompt": prompt, "max_tokens": 4, "temperature": 0})
    likely = {**PROBLEMS[0], "answer": reply["choices"][0]["text"].removeprefix(" ")}
    data.write_text("".join(json.dumps(problem) + "\n" for problem in [*PROBLEMS, likely]))
    for name, output_type, more in [("likely", "loglikelihood", LIKELIHOOD),
                                    ("generated", "generate_until", GENERATION)]:
        (folder / f"{name}.yaml").write_text(TASK.format(name=name, data=data, output_type=output_type, more=more))

    def run(model, tasks, url, arguments, *options):
        output = folder / f"output-{model}"
        command = [sys.executable, "-m", "lm_eval", "run", "--model", model, "--tasks", tasks, "--include_path", folder,
                   "--model_args", f"model=demo,base_url={url},max_retries=1,timeout=120,max_length=512,{arguments}",
                   "--output_path", output, "--log_samples", *options]
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(folder / "hf"),
                       "OPENAI_API_KEY": "none"}
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False,
                              env=environment, timeout=300)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-5000:]
        samples = {}
        for task in tasks.split(","):
            [log] = output.rglob(f"samples_{task}_*.jsonl")
            samples[task] = sorted(map(json.loads, log.read_text().splitlines()), key=lambda sample: sample["doc_id"])
        return samples

    return run


def test_local_completions(server, run_lm_eval):
    samples = run_lm_eval("local-completions", "likely,generated", server.url + "/v1/completions",
                          "tokenizer_backend=remote,num_concurrent=2")
    for sample in samples["likely"]:
        context, target = sample["arguments"]["gen_args_0"]["arg_0"], sample["arguments"]["gen_args_0"]["arg_1"]
        ids, first = server.tokenize(context + target), len(server.tokenize(context))
        reply = server.post("/v1/completions", {"prompt": ids, "prompt_logprobs": 1, "max_tokens": 0})
        entries = reply["choices"][0]["prompt_logprobs"][first:]
        values = [entry[str(token)]["logprob"] for entry, token in zip(entries, ids[first:])]
        is_greedy = all(entry[str(token)]["rank"] == 1 for entry, token in zip(entries, ids[first:]))
        reported, said_greedy = sample["filtered_resps"][0]  # logged as text
        assert float(reported) == sum(values) < 0 and math.isfinite(float(reported))
        assert said_greedy == str(is_greedy)
    assert {sample["filtered_resps"][0][1] for sample in samples["likely"]} == {"True", "False"}
    for sample in samples["generated"]:
        prompt = sample["arguments"]["gen_args_0"]["arg_0"]
        body = {"prompt": server.tokenize(prompt), "max_tokens": 12, "temperature": 0, "stop": ["Question:", "<eos>"]}
        assert sample["resps"][0][0] == server.post("/v1/completions", body)["choices"][0]["text"] != ""


def test_local_chat_completions(server, run_lm_eval):
    samples = run_lm_eval("local-chat-completions", "generated", server.url + "/v1/chat/completions",
                          "tokenizer_backend=None,tokenized_requests=False,num_concurrent=2",
                          "--apply_chat_template")
    for sample in samples["generated"]:
        messages = json.loads(sample["arguments"]["gen_args_0"]["arg_0"][0])
        body = {"messages": messages, "max_tokens": 12, "temperature": 0, "stop": ["Question:", "<eos>"]}
        reply = server.post("/v1/chat/completions", body)["choices"][0]["message"]["content"]
        assert sample["resps"][0][0] == reply != ""
