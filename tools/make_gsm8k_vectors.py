#!/usr/bin/env python3
"""Writes testdata/gsm8k: what lm-evaluation-harness and Python make of made-up documents, answers and seeds.

    make_gsm8k_vectors.py OUT        needs what gsm8k_reference.py needs

documents.jsonl, shots.jsonl   made-up data in the form of GSM8K
prompts.json                   prompts of each task for the first documents, without and with a chat template
scoring.json                   500 answers, odd ones included, as each task extracts and scores them
sampling.json                  what random.Random(seed).sample() draws
"""

import json
import pathlib
import random
import sys

import gsm8k_reference

TASKS = ["gsm8k", "gsm8k_cot", "gsm8k_cot_llama", "gsm8k_platinum", "gsm8k_platinum_cot", "gsm8k_platinum_cot_llama"]
SCORED_TASKS = ["gsm8k", "gsm8k_cot", "gsm8k_cot_llama"]  # the platinum tasks score as these
ANSWERS = 500

NUMBERS = ["18", "5", "-5", "1,234", "$18", "$1,234.50", "-$7", "0", "18.", "18..", "3.5", "1,", ".", ",", "$", "-", "--4",
           "-.5", "$.", "$$", "..", "...", "007", "1 000", "1/2", "50%", "2-3", "-12-", "\u0661\u0668", "\u221218", "10\u20ac",
           "99,999,999,999", "1.2.3", "4,-4", "\uff11\uff18", "-\u00a05"]
MARKS = ["#### ", "####", "##### ", "### ", " #### ", "The answer is ", "the answer is ", "The answer is: ", "The final answer is ",
         "The final answer is $", "The final answer is: ", "The  answer is ", "So ", "= ", "Answer: ", "** ", ""]
REAL_MARKS = ["#### ", "The answer is ", "The final answer is "]
ENDS = ["", ".", "\n", ".\n", " ", " dollars.", ",", "\n\nQuestion: 3 + 4?", "\nQ: next", "</s>", "!", "**", "\u3002", "\r\n", "\0",
        " each day", "-", "$", "0"]
WORDS = ["He has 3 left. ", "Tom pays 2 * 4 = <<2*4=8>>8. ", "x\n", "No number here. ", "-", "It costs $5.00. ", "\u00c9t\u00e9 ", "",
         "The answer is unknown. ", "#### \n", "The final answer is ", "first, second. ", "12:30 ", "\U0001f600 "]
GOLDS = ["She has 9.\n#### 18", "#### 5", "#### -5", "so\n#### 1,234", "a #### 3 b #### 7", "#### 18.", "no mark 18", "#### 0", "####8",
         "#### $18", "#### 3.5", "#### 18 ", "#### ", "18", "[invalid]", "#### [INVALID]", "#### 18\n", "#### 18.\n"]


def made_up_documents(count, seed):
    """Small problems, some with characters that templates, JSON or tokenizers could trip over."""
    source = random.Random(seed)
    odd = ["", " \u00e9\u00df\u6f22", " {{x}} {% y %}", " <b>&amp;</b>", "  ", "\ttab", " \\n \"quoted\"", "\u2019s", "\nsecond line"]
    for index in range(count):
        a, b = source.randrange(2, 999), source.randrange(2, 99)
        yield {"question": f"Box {index} holds {a} pens,{odd[index % len(odd)]} and {b} more come. How many now?",
               "answer": f"It holds {a} + {b} = <<{a}+{b}={a + b}>>{a + b:,} pens.\n#### {a + b:,}"}


def answer(source):
    """One answer as a model might write it, or as none would."""
    if source.random() < 0.05:
        return source.choice(["", " ", "\n", "####", "#### ", "The answer is", "The answer is ", "$", "a" * 300, "1" * 60])
    text = source.choice(WORDS)
    for _ in range(source.choice([1, 1, 1, 2, 3])):
        text += source.choice(WORDS) + source.choice(MARKS) + source.choice(NUMBERS) + source.choice(ENDS)
    return text


def scoring():
    source = random.Random(20)
    tasks = {name: gsm8k_reference.load_task(name) for name in SCORED_TASKS}
    cases = []
    for _ in range(ANSWERS):
        gold, text = source.choice(GOLDS), answer(source)
        if source.random() < 0.4:  # enough of them right
            gold = source.choice(GOLDS[:6])
            text = source.choice(WORDS) + source.choice(MARKS + REAL_MARKS * 6) + gold.rpartition("#### ")[2] + source.choice(ENDS)
        scores = {name: gsm8k_reference.score(task, gold, text) for name, task in tasks.items()}
        cases.append({"gold": gold, "text": text, **scores})
    return cases


def sampling():
    cases = []
    for seed, population, count, draws in [(1234, 7473, 5, 50), (1234, 1209, 6, 20), (0, 7473, 8, 5), (42, 12, 5, 10), (7, 21, 5, 5),
                                           (7, 22, 5, 5), (9, 85, 6, 5), (9, 86, 6, 5), (2**32 + 5, 1000, 20, 2), (3, 1, 1, 2), (4, 5, 0, 1),
                                           (2**63 + 11, 100, 25, 2)]:
        source = random.Random(seed)
        cases.append({"seed": seed, "population": population, "count": count,
                      "draws": [source.sample(range(population), count) for _ in range(draws)]})
    return cases


def write(path, value, **options):
    path.write_text(json.dumps(value, ensure_ascii=True, **options) + "\n", encoding="utf-8")


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    for name, documents in [("documents.jsonl", made_up_documents(9, 1)), ("shots.jsonl", made_up_documents(30, 2))]:
        (out / name).write_text("".join(json.dumps(each) + "\n" for each in documents), encoding="utf-8")
    prompts = {}
    for name in TASKS:
        for chat in (False, True):
            task = gsm8k_reference.load_task(name, out / "documents.jsonl", out / "shots.jsonl")
            prompts[name + (" chat" if chat else "")] = list(gsm8k_reference.prompts(task, 3, chat))
    write(out / "prompts.json", prompts, indent=0)
    write(out / "scoring.json", scoring(), indent=0)
    write(out / "sampling.json", sampling())


if __name__ == "__main__":
    main()
