"""Two models' answers to the same prompts before a judge: `python -m eval answer|judge SPEC.json`.

The paper's Figure 6: win, tie and loss on MT-Bench, Vicuna and LIMA-test prompts. Every pair is judged in
both orders.
"""
