# docker build -t ds2 .                     selection, curation, reports and the miniature on a CPU
# docker build -t ds2:gpu --target gpu .    fine-tunes, vLLM raters and evaluation on a GPU
# docker run --rm -v "$PWD:/work" ds2 look mine.jsonl
# Neither image was built where this file was written.
FROM python:3.11-slim AS base
WORKDIR /opt/ds2
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY conf conf
COPY ds2 ds2
COPY experiments experiments
COPY finetune finetune
COPY eval eval

FROM base AS gpu
RUN pip install --no-cache-dir '.[eval,api,vllm,qlora]'
WORKDIR /work
ENTRYPOINT ["ds2"]

FROM base AS cpu
RUN pip install --no-cache-dir --constraint constraints.txt torch==2.13.0 \
    && pip install --no-cache-dir --constraint constraints.txt '.[eval,api]'
WORKDIR /work
ENTRYPOINT ["ds2"]
