#!/bin/sh
# Install torch 2.13.0 into /venv, while an image is built. TORCH_BUILD is cpu or cuda, /wheels a folder of wheels that
# may be empty, TORCH_INDEX_URL a package index that has the wanted build and may be empty.
set -eu
wanted=torch==2.13.0
if [ "$TORCH_BUILD" = cpu ] && [ -z "$TORCH_INDEX_URL" ] && ! ls /wheels/torch-2.13.0* >/dev/null 2>&1; then
    echo "There is no CPU build of $wanted: the plain package index has the CUDA build, several GB. Set TORCH_INDEX_URL to" \
        "PyTorch's CPU index (the 'Get started' page of pytorch.org names it), or TORCH_WHEELS to a folder with the wheel." >&2
    exit 1
fi
pip --python /venv/bin/python install --quiet --cache-dir /pip --disable-pip-version-check --find-links /wheels \
    ${TORCH_INDEX_URL:+--extra-index-url "$TORCH_INDEX_URL"} "$wanted"
/venv/bin/python - <<END
import torch
found = "cpu" if torch.version.cuda is None else "cuda"
if found != "$TORCH_BUILD":
    raise SystemExit(f"This is a {found} build of torch {torch.__version__}, wanted was TORCH_BUILD=$TORCH_BUILD.")
END
