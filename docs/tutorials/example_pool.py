"""A small made-up pool for the tutorials, with the standard library alone.

    python example_pool.py                     # mine.jsonl (600 rows), messy.jsonl (the same, spoilt)
    python example_pool.py answer anchors.csv  # fills the column `score` in as a person would

Each row is a question with an answer, 0 (useless) to 5 (excellent). Nobody sees that number but the person of
the second command. Three raters guess it: `score` errs least, `second` is severe, `third` is almost blind.
"""

import csv
import json
import random
import sys
from pathlib import Path

TOPICS = {
    "cooking": ("risotto", "stock", "onion", "simmer", "pan", "salt", "butter", "rice"),
    "gardening": ("tomato", "soil", "prune", "water", "compost", "seedling", "shade", "mulch"),
    "python": ("list", "dictionary", "function", "loop", "index", "exception", "import", "string"),
    "travel": ("train", "ticket", "border", "hostel", "passport", "luggage", "platform", "timetable"),
    "health": ("sleep", "stretch", "posture", "breathing", "walk", "knee", "muscle", "rest"),
    "finance": ("budget", "interest", "loan", "savings", "invoice", "tax", "fund", "fee"),
}
STEPS = (
    "First prepare the {a} and check that the {b} is ready.",
    "Then combine {a} with {b} slowly, because haste spoils the {c}.",
    "If the {b} fails, go back one step and replace the {c}.",
    "For example, two parts of {a} to one of {c} is a good start.",
    "Finally compare the {a} with what you expected of the {b}.",
)
FILLER = (
    "It depends on many things, as everything does in the end.",
    "Well, you know how it is with these matters, more or less.",
    "Just try something, and then something else, until it works.",
    "Many people ask this, and nobody has found out so far.",
    "There are books about it, most of them long and rather dull.",
)
QUESTIONS = ("How do I get the {a} right when the {b} is new?", "What should I do about {a} and {b}?",
             "Why does my {a} never work with the {b}?")  # fmt: skip


def row(number: int, draw: random.Random) -> dict:
    topic = draw.choice(sorted(TOPICS))
    a, b, c = draw.sample(TOPICS[topic], 3)
    quality = min(5, max(0, round(draw.gauss(2.5 + 0.6 * (sorted(TOPICS).index(topic) - 2.5), 1.2))))
    good = [step.format(a=a, b=b, c=c) for step in draw.sample(STEPS, min(quality, len(STEPS)))]
    answer = " ".join([*good, *draw.sample(FILLER, min(5, max(0, 5 - quality + draw.choice((-1, 0, 1)))))])
    question = draw.choice(QUESTIONS).format(a=a, b=b)

    def rated(bias: float, noise: float) -> int:
        return min(5, max(0, round(quality + draw.gauss(bias, noise))))

    numbers = {
        "score": rated(0.4, 0.9),
        "second": rated(-0.7, 1.2),
        "third": rated(0.3, 2.5),
        "person": quality,
    }
    kind = number % 3
    if kind == 0:
        turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        return {"id": f"chat-{number}", "source": "chat", "messages": turns, **numbers}
    if kind == 1:
        return {"id": f"forum-{number}", "source": "forum", "question": question, "answer": answer, **numbers}
    return {"id": f"wiki-{number}", "source": "wiki", "instruction": question, "output": answer, **numbers}


def make(count: int = 600) -> None:
    draw = random.Random(0)
    rows = [row(number, draw) for number in range(count)]
    lines = [json.dumps(one) for one in rows]
    Path("mine.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for number in range(0, count, 40):  # copies, with ids of their own
        lines.append(json.dumps({**rows[number], "id": f"copy-{number}"}))
    for number in range(5, count, 60):  # no answer; an unknown role; a line that breaks off
        lines[number] = json.dumps({"id": f"lost-{number}", "question": "And then?", "answer": None})
    lines[7] = json.dumps({"id": "odd", "messages": [{"role": "judge", "content": "Guilty."}]})
    lines[11] = lines[11][:40]
    Path("messy.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def answer(path: str) -> None:
    with Path("mine.jsonl").open(encoding="utf-8") as file:
        person = {one["id"]: one["person"] for one in map(json.loads, file)}
    with Path(path).open(encoding="utf-8", newline="") as file:
        asked = list(csv.DictReader(file))
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        out = csv.DictWriter(file, asked[0].keys())
        out.writeheader()
        out.writerows({**one, "score": person[one["id"]]} for one in asked)


if __name__ == "__main__":
    if sys.argv[1:2] == ["answer"]:
        answer(sys.argv[2])
    else:
        make(*map(int, sys.argv[1:]))
