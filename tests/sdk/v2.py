"""Drives the Comfy API v2 with the PyPI package comfy-sdk as it is: upload, dedup, job, events, download, cancel, lists,
errors; the synchronous and the asynchronous client. Run with COMFY_BASE_URL set, and COMFY_TEST_IMAGE naming a PNG."""

import asyncio
import os
import struct
import sys
import tempfile

import comfy_sdk
from comfy_sdk import AsyncComfy, Comfy
from comfy_sdk.events import OutputReady, StatusChange

IMAGE = os.environ["COMFY_TEST_IMAGE"]
KEY = os.environ.get("COMFY_API_KEY") or None


def graph():
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": ""}},
        "2": {"class_type": "ImageScaleBy", "inputs": {"image": ["1", 0], "upscale_method": "nearest-exact", "scale_by": 2}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "sdk"}},
    }


def width(png):
    return struct.unpack(">I", png[16:20])[0]


def code(call):
    try:
        call()
    except comfy_sdk.ComfyError as e:
        return e.code
    return "none"


def synchronous():
    with open(IMAGE, "rb") as f:
        image = f.read()
    with Comfy(api_key=KEY) as client:
        # Bytes of its own, so that the upload is a new one even behind the other SDK's.
        asset = client.assets.from_bytes(image + b"python", filename="photo.png")
        asset.commit()
        assert asset.created_new is True
        twin = client.assets.from_bytes(image + b"python", filename="photo.png")
        twin.commit()
        assert twin.created_new is False and twin.hash == asset.hash

        wf = client.workflows.from_json(graph())
        wf.set_input("1", "image", asset)
        job = client.submit(wf, metadata={"client": "acme"})
        end = None
        for event in job.events():
            match event:
                case OutputReady(output=output):
                    assert output.node_id == "3", output
                case StatusChange(status=status):
                    end = status
        assert end == "succeeded", end
        job.result()
        assert job.metadata == {"client": "acme"}

        (output,) = job.get_outputs("3")
        png = output.to_bytes()
        assert png[1:4] == b"PNG" and width(png) == 2 * width(image)
        assert output.to_bytes(range=(0, 4)) == png[:5]
        with tempfile.TemporaryDirectory() as folder:
            path = output.to_file(os.path.join(folder, "out.png"))
            assert os.path.getsize(path) == output.size_bytes == len(png)
        assert output.get_download_url().url.startswith(os.environ["COMFY_BASE_URL"])
        assert client.assets.get(output.id).job_id == job.id

        again = client.jobs.get(job.id)
        assert again.status == "succeeded" and again.get_workflow().format == "api"
        assert again.cancel().status == "succeeded"
        assert [j.id for j in client.list_jobs(metadata={"client": "acme"}, limit=1)] == [job.id]

        broken = client.workflows.from_json({"1": {"class_type": "NoSuchNode", "inputs": {}}})
        assert code(lambda: client.submit(broken)) == "invalid_workflow"
        assert code(lambda: client.jobs.get("9f8a1c0d-2b3e-4f56-8a7b-1c2d3e4f5a6b")) == "not_found"
        client.run(wf, timeout=60)
        client.submit(wf, idempotency_key="one").result()
        assert code(lambda: client.submit(wf, idempotency_key="one")) == "idempotency_key_reuse"

        twin_id = twin.id
        twin.delete()
        assert code(lambda: client.assets.get(twin_id)) == "not_found"
        if KEY:
            with Comfy(api_key="not-" + KEY) as stranger:
                assert code(lambda: stranger.jobs.get(job.id)) == "unauthorized"


async def asynchronous():
    async with AsyncComfy(api_key=KEY) as client:
        wf = client.workflows.from_json(graph())
        wf.set_input("1", "image", client.assets.from_file(IMAGE))
        job = await client.submit(wf)
        async for event in job.events():
            pass
        await job.result()
        (output,) = job.get_outputs("3")
        assert (await output.to_bytes())[1:4] == b"PNG"


synchronous()
asyncio.run(asynchronous())
print("ok", comfy_sdk.__name__, sys.version.split()[0])
