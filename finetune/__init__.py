"""Fine-tuning: LoRA or QLoRA on a selected subset.

`python -m finetune SPEC.json`, or `finetune.train.train(spec)`.
"""
