"""The Python side of the `data` bench: Hugging Face datasets, transformers and TRL, in the steps of TRL's SFTTrainer."""

import tempfile
import time

import datasets
from transformers import AutoTokenizer
from trl import pack_dataset
from worker import serve

datasets.disable_progress_bars()


def load(file, cache):
    return datasets.Dataset.from_parquet(file, cache_dir=cache)


def rows(message):
    with tempfile.TemporaryDirectory() as cache:
        start = time.perf_counter()
        loaded = list(load(message["file"], cache))
        seconds = time.perf_counter() - start
    return {"rows": len(loaded), "answered": sum(row["answer"] is not None for row in loaded), "seconds": seconds}


def prepare(message):
    with tempfile.TemporaryDirectory() as cache:
        start = time.perf_counter()
        tokenizer = AutoTokenizer.from_pretrained(message["tokenizer"])
        dataset = load(message["file"], cache).filter(lambda row: row["answer"] is not None)
        dataset = dataset.select(range(min(message["rows"], len(dataset))))
        dataset = dataset.map(
            lambda row: {
                "prompt": [{"role": "user", "content": row["question"]}],
                "completion": [{"role": "assistant", "content": row["answer"]}],
            },
            remove_columns=dataset.column_names,
        )

        def tokenize(row):
            prompt = tokenizer.apply_chat_template(
                row["prompt"], add_generation_prompt=True, tokenize=True, return_dict=True
            )["input_ids"]
            ids = tokenizer.apply_chat_template(
                row["prompt"] + row["completion"], tokenize=True, return_dict=True
            )["input_ids"]
            return {"input_ids": ids, "completion_mask": [0] * len(prompt) + [1] * (len(ids) - len(prompt))}

        dataset = dataset.map(tokenize, remove_columns=dataset.column_names)
        dataset = dataset.map(
            lambda row: {"labels": [i if m else -100 for i, m in zip(row["input_ids"], row["completion_mask"])]},
            remove_columns=["completion_mask"],
        )
        count = len(dataset)
        packed = pack_dataset(dataset, message["maxLength"], "bfd")
        tokens = sum(len(row) for row in packed["input_ids"])
        learnt = sum(label != -100 for row in packed["labels"] for label in row)
        seconds = time.perf_counter() - start
    return {"rows": count, "tokens": tokens, "bins": len(packed), "learnt": learnt, "seconds": seconds}


serve({"rows": rows, "prepare": prepare})
