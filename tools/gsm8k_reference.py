#!/usr/bin/env python3
"""What lm-evaluation-harness itself makes of GSM8K: the prompts of its tasks, and how it scores answers.

Needs lm-eval 0.4.13; it runs without torch:
    pip install --no-deps lm-eval==0.4.13
    pip install datasets dill jinja2 more_itertools numpy pyyaml sqlitedict word2number

    gsm8k_reference.py prompts TASK --data test.jsonl --shots train.jsonl [--limit N] [--num-fewshot N] [--chat]
    gsm8k_reference.py score TASK < PAIRS
    gsm8k_reference.py ask TASK --url http://127.0.0.1:8484/v1/chat/completions --data test.jsonl [OPTION...]

`prompts` prints a JSON line for each document: {"prompt": TEXT}, or {"messages": [...]} with --chat. `score` reads JSON
lines [GOLD ANSWER, GENERATED TEXT] and prints {"strict": ..., "strict_right": ..., "flexible": ..., "flexible_right":
...} for each. `ask` lets lm-eval put the questions to a server (it then needs aiohttp, requests and tenacity as well) and
prints {"index": ..., "answer": ..., "strict": ..., "strict_right": ...} for each.
"""

import argparse
import importlib.metadata
import json
import logging
import os
import pathlib
import sys
import urllib.request

VERSION = "0.4.13"
SEED = 1234  # lm-eval's own default for choosing shots


def load_task(name, data=None, shots=None, num_fewshot=None, seed=SEED):
    """lm-eval's task `name` on local files; without `data`, on one made-up document."""
    os.environ["TQDM_DISABLE"] = "1"
    import datasets
    import lm_eval.tasks
    import yaml
    from lm_eval.api.task import ConfigurableTask
    found = importlib.metadata.version("lm-eval")
    if found != VERSION:
        sys.exit(f"error: lm-eval {found} is installed, the reference is {VERSION}")
    logging.disable(logging.WARNING)
    folder = pathlib.Path(lm_eval.tasks.__file__).parent
    files = [path for path in sorted(folder.glob("gsm8k*/*.yaml"))
             if yaml.safe_load(path.read_text())["task"] == name]
    if len(files) != 1:
        sys.exit(f"error: lm-eval has {len(files)} tasks called '{name}'")
    config = yaml.safe_load(files[0].read_text())
    made_up = [{"question": "1 + 1?", "answer": "#### 2"}]
    read = lambda path: [json.loads(line) for line in open(path, encoding="utf-8")] if path else made_up
    splits = {"test": datasets.Dataset.from_list(read(data)), "train": datasets.Dataset.from_list(read(shots or data))}
    config["custom_dataset"] = lambda **_: splits
    config.pop("dataset_path")
    config.pop("dataset_name", None)
    config["metadata"] = None
    if num_fewshot is not None:
        config["num_fewshot"] = num_fewshot
    task = ConfigurableTask(config=config)
    task.set_fewshot_seed(seed)
    return task


def prompts(task, limit=None, chat=False):
    """The prompts of the first `limit` documents, in order: they draw their shots one after the other."""
    kept = []

    def keep(messages, add_generation_prompt=True):
        kept.append(messages)
        return ""

    for index, document in enumerate(task.eval_docs):
        if index == limit:
            return
        text = task.fewshot_context(document, num_fewshot=task.config.num_fewshot, apply_chat_template=chat,
                                    fewshot_as_multiturn=chat, chat_template=keep)
        yield {"messages": kept.pop()} if chat else {"prompt": text}


def score(task, gold_answer, text):
    """What both of the task's filters extract from `text`, and whether its metric takes it for the gold answer."""
    document = {"question": "", "answer": gold_answer}
    result = {}
    for ensemble in task._filters:
        responses = [[text]]
        for make_filter in ensemble.filters:
            responses = make_filter().apply(responses, [document])
        extracted = list(responses)[0]
        key = ensemble.name.split("-")[0]
        result[key] = extracted
        result[key + "_right"] = bool(task.process_results(document, [extracted])["exact_match"])
    return result


def ask(task, url, limit, tokens_max):
    """What a server answers, as lm-eval asks it with the chat template, greedily, four questions at a time."""
    from lm_eval import simple_evaluate
    from lm_eval.models.openai_completions import LocalChatCompletion
    with urllib.request.urlopen(url.removesuffix("/chat/completions") + "/models") as response:
        name = json.load(response)["data"][0]["id"]
    model = LocalChatCompletion(base_url=url, model=name, num_concurrent=4, tokenizer_backend=None,
                                tokenized_requests=False, max_gen_toks=tokens_max, max_retries=1)
    result = simple_evaluate(model=model, tasks=[task], apply_chat_template=True, log_samples=True, bootstrap_iters=0,
                             num_fewshot=task.config.num_fewshot, limit=limit)
    for sample in next(iter(result["samples"].values())):
        if sample["filter"] == "strict-match":
            yield {"index": sample["doc_id"], "answer": sample["resps"][0][0], "strict": sample["filtered_resps"][0],
                   "strict_right": bool(sample["exact_match"])}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    shown, asked = commands.add_parser("prompts"), commands.add_parser("ask")
    for command in (shown, asked):
        command.add_argument("task")
        command.add_argument("--data", required=True)
        command.add_argument("--shots")
        command.add_argument("--limit", type=int)
        command.add_argument("--num-fewshot", type=int)
        command.add_argument("--seed", type=int, default=SEED)
    shown.add_argument("--chat", action="store_true")
    asked.add_argument("--url", required=True)
    asked.add_argument("--max-tokens", type=int, default=256)
    commands.add_parser("score").add_argument("task")
    options = parser.parse_args()
    if options.command != "score":
        task = load_task(options.task, options.data, options.shots, options.num_fewshot, options.seed)
        lines = (prompts(task, options.limit, options.chat) if options.command == "prompts" else
                 ask(task, options.url, options.limit, options.max_tokens))
        for line in lines:
            print(json.dumps(line))
        return
    task = load_task(options.task)
    for line in sys.stdin:
        print(json.dumps(score(task, *json.loads(line))))


if __name__ == "__main__":
    main()
