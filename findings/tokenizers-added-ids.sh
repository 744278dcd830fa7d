#!/usr/bin/env bash
# The library tokenizers does not give an added token the id that its tokenizer.json states when ids before it are unused: it counts on from
# the size of the vocabulary. A careful guess is that "id" is the id, as it is the row of the model's embedding; a file in which unused
# reserved tokens are left out then gives other rows. With the gaps filled by unused tokens the stated ids are right.
#
# Where it meets our users: text encoders and language models that bring their own tokenizer.json (engine/tokenizer); comfygo gives
# each token the stated id.
#
# Seen with tokenizers 0.23.3, Linux x86-64, a vocabulary of 3 words and two added tokens with the ids 5 and 9: they get 3 and 4. With
# added tokens for 3, 4, 6, 7 and 8 as well they get 5 and 9. Fails when that changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check tokenizers==0.23.3
"$dir/venv/bin/python" - <<'PY'
import json
import sys

from tokenizers import Tokenizer


def ids(added):
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    text = json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "normalizer": None, "pre_tokenizer": None, "post_processor": None, "decoder": None,
        "added_tokens": [{"id": i, "content": f"<{i}>", **plain} for i in added],
        "model": {"type": "WordLevel", "vocab": {"a": 0, "b": 1, "[UNK]": 2}, "unk_token": "[UNK]"},
    })
    return Tokenizer.from_str(text).encode("<5><9>").ids


gaps, filled = ids([5, 9]), ids([3, 4, 5, 6, 7, 8, 9])
print("with gaps:", gaps, "- without:", filled)
if gaps != [3, 4] or filled != [5, 9]:
    sys.exit("tokenizers changed: the stated ids 5 and 9 gave %s with gaps and %s without" % (gaps, filled))
PY
