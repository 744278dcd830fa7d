"""A pack whose requirements are not installed."""
import comfygo_test_requirement_that_is_missing

NODE_CLASS_MAPPINGS = {}
