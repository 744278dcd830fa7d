# Files of comfy_extras/nodes_text.py; see tests/nodecalls/record.py.
for text in ["", "one\ntwo\r\nthree", "Grüße 日本 \U0001f600", "\ttab"]:
    saves("SaveText", text=text, filename_prefix="t", format="txt")
saves("SaveText", text='{"a": [1, 2]}', filename_prefix="sub/t", format="json", before=[("SaveText", dict(text="x", filename_prefix="sub/t", format="txt"))])
saves("SaveText", text="# title", filename_prefix="t %width%", format="md", prompt={"1": {"class_type": "SaveText", "inputs": {}}}, workflow={"nodes": []})
