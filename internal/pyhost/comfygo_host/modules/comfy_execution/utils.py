"""Which node is running."""

import contextvars
from typing import NamedTuple, Optional


class ExecutionContext(NamedTuple):
    prompt_id: str
    node_id: str
    list_index: Optional[int]


current_executing_context = contextvars.ContextVar("comfygo_executing", default=None)


def get_executing_context():
    return current_executing_context.get()


class CurrentNodeContext:
    """Sets the running node for the code within."""

    def __init__(self, prompt_id, node_id, list_index=None):
        self.context = ExecutionContext(prompt_id, node_id, list_index)

    def __enter__(self):
        self.token = current_executing_context.set(self.context)
        return self

    def __exit__(self, *error):
        current_executing_context.reset(self.token)
