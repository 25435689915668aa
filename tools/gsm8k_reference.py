#!/usr/bin/env python3
"""What lm-evaluation-harness itself makes of GSM8K: the prompts of its tasks, and how it scores answers.

Needs lm-eval 0.4.13; it runs without torch:
    pip install --no-deps lm-eval==0.4.13
    pip install datasets dill jinja2 more_itertools numpy pyyaml sqlitedict word2number

    gsm8k_reference.py prompts TASK --data test.jsonl --shots train.jsonl [--limit N] [--num-fewshot N] [--chat]
    gsm8k_reference.py score TASK < PAIRS

`prompts` prints a JSON line for each document: {"prompt": TEXT}, or {"messages": [...]} with --chat. `score` reads JSON
lines [GOLD ANSWER, GENERATED TEXT] and prints {"strict": ..., "strict_right": ..., "flexible": ..., "flexible_right":
...} for each.
"""

import argparse
import importlib.metadata
import json
import logging
import os
import pathlib
import sys

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


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    asked = commands.add_parser("prompts")
    asked.add_argument("task")
    asked.add_argument("--data", required=True)
    asked.add_argument("--shots")
    asked.add_argument("--limit", type=int)
    asked.add_argument("--num-fewshot", type=int)
    asked.add_argument("--seed", type=int, default=SEED)
    asked.add_argument("--chat", action="store_true")
    commands.add_parser("score").add_argument("task")
    options = parser.parse_args()
    if options.command == "prompts":
        task = load_task(options.task, options.data, options.shots, options.num_fewshot, options.seed)
        for prompt in prompts(task, options.limit, options.chat):
            print(json.dumps(prompt))
        return
    task = load_task(options.task)
    for line in sys.stdin:
        print(json.dumps(score(task, *json.loads(line))))


if __name__ == "__main__":
    main()
