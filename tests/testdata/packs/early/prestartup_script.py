"""Runs before any pack is imported."""
import os

os.environ["COMFYGO_TEST_EARLY"] = "ran first"
