"""Runs a workflow and saves its images, with progress from the WebSocket: client.py SERVER WORKFLOW.json FOLDER
Needs requests and websocket-client. With COMFYGO_API_KEY set, the key is shown."""

import json
import os
import pathlib
import sys
import uuid

import requests
import websocket

server, workflow, folder = sys.argv[1].rstrip("/"), json.loads(pathlib.Path(sys.argv[2]).read_text()), pathlib.Path(sys.argv[3])
key = os.environ.get("COMFYGO_API_KEY")
client = uuid.uuid4().hex
session = requests.Session()
if key:
    session.headers["Authorization"] = f"Bearer {key}"

# Listen first, then queue: no message is missed.
socket = websocket.WebSocket()
socket.connect(server.replace("http", "ws", 1) + f"/ws?clientId={client}", header=[f"Authorization: Bearer {key}"] if key else [])
answer = session.post(f"{server}/prompt", json={"prompt": workflow, "client_id": client})
if not answer.ok:
    sys.exit(f"the server refuses the workflow: {answer.text}")
prompt = answer.json()["prompt_id"]

images = []
while True:
    message = socket.recv()
    if isinstance(message, bytes):
        continue  # a preview: four bytes of its kind, four of its format, and the image
    message = json.loads(message)
    data = message["data"]
    if data.get("prompt_id") != prompt:
        continue
    if message["type"] == "progress":
        print(f"node {data['node']}: {data['value']}/{data['max']}", file=sys.stderr)
    elif message["type"] == "executed":
        images += data["output"].get("images", [])
    elif message["type"] == "execution_error":
        sys.exit(f"node {data['node_id']} failed: {data['exception_message']}")
    elif message["type"] in ("execution_success", "execution_interrupted"):
        break
socket.close()

folder.mkdir(parents=True, exist_ok=True)
for image in images:
    view = session.get(f"{server}/view", params={k: image[k] for k in ("filename", "subfolder", "type")})
    view.raise_for_status()
    path = folder / image["filename"]
    path.write_bytes(view.content)
    print(path)
